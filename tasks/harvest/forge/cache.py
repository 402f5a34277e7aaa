"""What is kept of a forge between runs, in the store's cache: indexes of pull requests and the like, and their threads.

    cache/<forge>/<host>/<owner>/<name>/identity
    cache/<forge>/<host>/<owner>/<name>/index.json
    cache/<forge>/<host>/<owner>/<name>/threads-2/<thousand>/<number>.json
    cache/<forge>/<host>/<owner>/<name>/{issues,discussions}/…    the same of these

Deleting it costs requests, never records: a cold and a warm run give the same bytes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from tasks.base.files import write_text
from tasks.base.store import Store
from tasks.harvest.credentials import section_of
from tasks.harvest.params import AnyForge

THREADS, DETAILS = "threads-2", "details-2"
"""Folders of threads and of what a list said of them; named anew when other fields are kept."""


class Listed(BaseModel):
    """A pull request, issue or discussion as its forge lists it: enough to select it and to see whether it changed."""

    model_config = ConfigDict(frozen=True)

    number: int
    created_at: str
    updated_at: str
    closed_at: str | None
    """Null while it is open; a merge closes it too."""
    merged_at: str | None
    bot: bool
    head: str | None
    """Null where there is none, as of issues; so are the next two."""
    base: str | None
    merge: str | None
    fork: str | None = None
    """Commit from which its forge compares it, where its list says that."""


class Index(BaseModel):
    """All that is known since a date of a repository's pull requests, of its issues, or of its discussions."""

    clone_url: str = ""
    """Empty until the forge has said it."""
    web_url: str = ""
    covered_since: str | None = None
    """Every pull request created at this moment or later is in `pulls`; empty = all; null = nothing is known."""
    covered_until: str | None = None
    """The last moment of which that is true; null = up to the watermark and beyond."""
    watermark: str = ""
    """Latest `updated_at` of any pull request when the list was last read: every change up to it is in `pulls`."""
    etag: str | None = None
    """Of the REST list's first page by update, so that it can answer that nothing changed."""
    pulls: dict[int, Listed] = {}
    """Those of the index's topic, by number."""
    lost_heads: tuple[str, ...] = ()
    """Heads that the git server does not have (pushed over between two requests): not asked for again."""


class ForgeCache:
    """The cache folder of one repository on one forge; of issues and discussions a folder below it."""

    def __init__(self, store: Store, server: AnyForge, repo: str, below: str = "") -> None:
        host = urlsplit(server.address).netloc.replace(":", "_")
        place = (section_of(server), host, *repo.lower().split("/"))
        self.folder = store.local("cache", *place, *filter(None, [below]))

    def index(self) -> Index | None:
        """The kept index, or None if there is none that can be read."""
        try:
            return Index.model_validate_json((self.folder / "index.json").read_bytes())
        except (OSError, ValueError):
            return None

    def keep_index(self, index: Index) -> None:
        """Keeps the index for the next run."""
        write_text(self.folder / "index.json", index.model_dump_json())

    def identity(self) -> int | None:
        """The forge's number of the repository whose cache it is, or None where that is not known."""
        try:
            return int((self.folder / "identity").read_text("ascii"))
        except (OSError, ValueError):
            return None

    def claim(self, identity: int) -> bool:
        """Keeps the repository's number; false where the cache was another repository's, and is empty now."""
        known = self.identity()
        if known not in (None, identity):
            self.clear()
        if known != identity:
            write_text(self.folder / "identity", str(identity))
        return known in (None, identity)

    def clear(self) -> None:
        """Forgets everything: another repository has the name now."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def forget(self, number: int) -> None:
        """Takes a pull request that is gone out of the index."""
        index = self.index()
        if index is not None:
            left = {key: item for key, item in index.pulls.items() if key != number}
            self.keep_index(index.model_copy(update={"pulls": left, "etag": None}))

    def thread(self, number: int, updated_at: str | None, folder: str = THREADS) -> dict[str, Any] | None:
        """A kept thread that is at least as new as `updated_at`."""
        try:
            thread: dict[str, Any] = json.loads(self._path(number, folder).read_bytes())
        except (OSError, ValueError):
            return None
        return thread if thread["updated_at"] >= (updated_at or "") else None

    def keep_thread(self, thread: dict[str, Any], folder: str = THREADS) -> None:
        """Keeps a thread (or, under `DETAILS`, what a list said of it)."""
        write_text(self._path(thread["number"], folder), json.dumps(thread))

    def of_head(self, kind: str, number: int, head: str | None) -> list[Any] | None:
        """Kept files or commits of a pull request, if they are those of this head."""
        try:
            found = json.loads(self._path(number, kind).read_bytes())
        except (OSError, ValueError):
            return None
        return found["items"] if found["head"] == head else None

    def keep_of_head(self, kind: str, number: int, head: str | None, items: list[Any]) -> None:
        """Keeps files or commits of a pull request."""
        write_text(self._path(number, kind), json.dumps({"head": head, "items": items}))

    def _path(self, number: int, folder: str) -> Path:
        return self.folder / folder / f"{number // 1000:04d}" / f"{number}.json"
