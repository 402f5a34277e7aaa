"""The search for training settings: trials, the study that draws them, its report."""
