"""What promptflow keeps to itself and people import all the same."""
