"""Mirrors of remote repositories in the store's cache, and the one place that opens a source for reading."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tasks.base.store import Store
from tasks.harvest.repository import Repository, git, open_view


def open_source(location: str, store: Store) -> Repository:
    """A view of the git directory that `resolve` found or made."""
    return open_view(Path(location), store.local("cache", "views"))


def update_mirror(url: str, store: Store) -> Path:
    """Fetches branches and pull heads of a repository into its mirror and returns the mirror's git directory.

    Raises:
        SourceError: the repository cannot be fetched.
    """
    mirror = store.local("cache", "mirrors") / (hashlib.sha256(url.encode()).hexdigest()[:20] + ".git")
    if not (mirror / "HEAD").exists():
        git("init", "--quiet", "--bare", "--template=", str(mirror))
    listing = git("ls-remote", "--symref", url, "HEAD").decode("utf-8", "replace")
    git(
        *(
            "--git-dir",
            str(mirror),
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--force",
            url,
        ),
        *("+refs/heads/*:refs/heads/*", "+refs/pull/*/head:refs/pull/*/head"),
    )
    for line in listing.splitlines():
        if line.startswith("ref: ") and line.endswith("\tHEAD"):
            git("--git-dir", str(mirror), "symbolic-ref", "HEAD", line[5:].split("\t")[0])
    return mirror
