"""What the model learned, what it forgot, and how sure we are."""
