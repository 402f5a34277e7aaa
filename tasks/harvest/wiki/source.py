"""Where a repository's wiki lies, and its commit at the date."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tasks.base.store import Store
from tasks.harvest.git.command import git
from tasks.harvest.git.mirror import RefusedError
from tasks.harvest.git.opened import Opened, local_folder, mirrored, open_local, open_repository
from tasks.harvest.params import ForgeName, Remote, ResolvedWiki


def wiki_of(
    name: str, web_url: str | None, opened: Opened | None, until: int, forge: ForgeName = "github"
) -> ResolvedWiki:
    """The wiki's commit at the date; no revision where there is no wiki or it is younger."""
    revision = opened.view.first_parent_head(opened.head, until) if opened else None
    if opened is None or revision is None:
        return ResolvedWiki(repo=name, revision=None, web_url=web_url, forge=forge)
    return ResolvedWiki(
        repo=name,
        revision=revision,
        web_url=web_url,
        forge=forge,
        location=str(opened.folder),
        remote=opened.remote,
    )


def named_wiki(address: str, name: str, until: int, store: Store, field: str = "sources.wiki") -> ResolvedWiki:
    """The pages that the parameters name: a git repository by path or URL, or a plain folder.

    Raises:
        InputError: there is nothing that can be read.
    """
    path = Path(address.removeprefix("file://")).expanduser()
    if path.is_dir() and local_folder(address) is None:
        return _plain_folder(name, path, store)
    return wiki_of(name, None, open_repository(address, field, store), until)


def beside(address: str, source: Opened, store: Store) -> Opened | None:
    """The wiki beside a repository that is not on GitHub: `<repo>.wiki.git`, or None."""
    if source.remote is not None:
        if Path(source.remote.url).is_file():  # a bundle
            return None
        return remote_wiki(Remote(url=address), store)
    path = Path(address.removeprefix("file://")).expanduser().absolute()
    home = path.parent if path.name == ".git" else path
    stem = home.name.removesuffix(".git")
    for candidate in (home.parent / f"{stem}.wiki.git", home.parent / f"{stem}.wiki"):
        folder = local_folder(str(candidate))
        if folder is not None:
            return open_local(folder, store)
    return None


def remote_wiki(repository: Remote, store: Store) -> Opened | None:
    """The wiki of a remote repository, or None: hosts answer 401, 403 or 404 for a wiki without pages."""
    url = repository.url.removesuffix("/").removesuffix(".git") + ".wiki.git"
    try:
        return mirrored(repository.model_copy(update={"url": url}), store)
    except RefusedError:
        return None


def _plain_folder(name: str, path: Path, store: Store) -> ResolvedWiki:
    """A folder of pages that is no repository: its files become a git tree in the cache, whose sha is the revision."""
    keeper = store.local("cache", "mirrors") / (hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:20] + ".git")
    if not (keeper / "HEAD").exists():
        git("init", "--quiet", "--bare", "--template=", operands=[str(keeper)])
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "GIT_WORK_TREE": str(path.absolute())}
        git("add", "--all", "--force", at=keeper, environment=index)
        tree = git("write-tree", at=keeper, environment=index).decode().strip()
    return ResolvedWiki(repo=name, revision=tree, web_url=None, location=str(keeper))
