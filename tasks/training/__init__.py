"""From a labelled table to an adapter: planner, backends, checkpoints, search."""
