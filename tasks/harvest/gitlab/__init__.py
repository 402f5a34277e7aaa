"""GitLab by its API: merge requests, issues and releases, and what a git server cannot tell."""
