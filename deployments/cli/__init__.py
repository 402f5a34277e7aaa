"""The command line `rawtune`: what people type, and what it prints."""

from deployments.cli.commands import main

__all__ = ["main"]
