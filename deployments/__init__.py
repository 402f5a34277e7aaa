"""Where the flows run and how people reach them."""
