"""Gitea and Forgejo by their API: pull requests, issues and releases."""
