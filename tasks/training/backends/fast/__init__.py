"""rawtune's own training loop for Llama-shaped models: explicit passes, FP8 for frozen products."""
