"""How a recipe is computed on a machine, and what that takes: decided from shapes alone."""
