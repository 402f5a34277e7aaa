"""The proof that no evaluation question stands in the training table with its answer."""
