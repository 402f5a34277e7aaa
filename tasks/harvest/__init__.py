"""Harvest: what was in a repository, its pull requests and its wiki at a date."""
