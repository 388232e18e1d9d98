"""The client's insides, under the names that people import."""
