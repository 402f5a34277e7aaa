"""Where a repository's wiki lies, and its commit at the date."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tasks.base.errors import InputError, SourceError
from tasks.base.store import Store
from tasks.harvest.mirror import open_source, update_mirror
from tasks.harvest.params import ResolvedWiki, SourceParams
from tasks.harvest.repository import git, git_folder, head_commit


def resolve_wiki(source: SourceParams, name: str, folder: Path, until: int, store: Store) -> ResolvedWiki | None:
    """The wiki of a plain git repository: beside it, at the path or URL that is named, or none.

    Raises:
        InputError: the parameters name a wiki that is not there.
    """
    if source.wiki is None:
        return None
    if source.wiki == "auto":
        return _beside(source.repo, name, folder, until, store)
    path = Path(source.wiki.removeprefix("file://")).expanduser()
    if path.is_dir():
        found = git_folder(path)
        return _at(name, found, until, store) if found else _plain_folder(name, path, store)
    try:
        return _at(name, update_mirror(source.wiki, store), until, store)
    except SourceError as error:
        raise InputError(
            f"sources.wiki: {source.wiki} is neither a folder nor a git repository that can be read;"
            " use auto, or null for none"
        ) from error


def _beside(repo: str, name: str, folder: Path, until: int, store: Store) -> ResolvedWiki:
    if "://" in repo and not repo.startswith("file://"):
        try:
            return _at(
                name, update_mirror(repo.removesuffix("/").removesuffix(".git") + ".wiki.git", store), until, store
            )
        except SourceError:  # hosts answer 401, 403 or 404 where there is no wiki
            return ResolvedWiki(repo=name, revision=None, web_url=None)
    home = folder.parent if folder.name == ".git" else folder
    stem = home.name.removesuffix(".git")
    for candidate in (home.parent / f"{stem}.wiki.git", home.parent / f"{stem}.wiki"):
        if candidate.is_dir() and (found := git_folder(candidate)):
            return _at(name, found, until, store)
    return ResolvedWiki(repo=name, revision=None, web_url=None)


def _at(name: str, folder: Path, until: int, store: Store) -> ResolvedWiki:
    head = head_commit(folder)
    revision = open_source(str(folder), store).first_parent_head(head, until) if head else None
    return ResolvedWiki(repo=name, revision=revision, web_url=None, location=str(folder) if revision else None)


def _plain_folder(name: str, path: Path, store: Store) -> ResolvedWiki:
    """A folder of pages that is no repository: its files become a git tree in the cache, whose sha is the revision."""
    keeper = store.local("cache", "mirrors") / (hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:20] + ".git")
    if not (keeper / "HEAD").exists():
        git("init", "--quiet", "--bare", "--template=", str(keeper))
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "GIT_WORK_TREE": str(path.absolute())}
        git("--git-dir", str(keeper), "add", "--all", "--force", environment=index)
        tree = git("--git-dir", str(keeper), "write-tree", environment=index).decode().strip()
    return ResolvedWiki(repo=name, revision=tree, web_url=None, location=str(keeper))
