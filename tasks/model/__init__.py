"""Models and torch: the child runner, one way each to load, write, score and merge, the base model."""
