"""GitHub by its API: which pull requests there are, their threads, and what a git server cannot tell."""
