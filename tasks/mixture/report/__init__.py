"""The data report, for whoever has to trust the training table."""
