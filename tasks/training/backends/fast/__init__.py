"""rawtune's own training loop for Llama-shaped models: explicit forward and backward, FP8 for the frozen products."""
