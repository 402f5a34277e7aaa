"""What runs, in which order; no logic."""
