"""What tools and flows speak of: types of inputs, images."""
