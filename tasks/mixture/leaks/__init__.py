"""Proof that the training table holds no question with its answer."""
