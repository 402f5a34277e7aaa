"""Study material that a model writes: calls, what it writes where the GPU is, and what of that is kept."""
