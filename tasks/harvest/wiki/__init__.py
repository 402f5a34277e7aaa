"""Wikis: where one lies, and its pages."""
