"""Models and torch: the child runner, one way to load, to write and to score, merge, conversion, the base model."""
