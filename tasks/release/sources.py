"""The retrieval index of a release and where it goes.

`ask`, `chat`, `serve` and `mcp` look things up in it. It holds the text of the snapshot, both sides of the split,
without secrets and copies, as the trained documents do. So it goes where that text may go: into the release folder,
unless the release is published to a repository that is not private (`release.sources`); the store keeps it either way.

What changed in the sources since a day is told from it too: pull requests by their date, files by an earlier release's
index.
"""

from __future__ import annotations

import datetime
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import NUMBERED, Document, Kind
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.lineage import ancestor
from tasks.release.params import ReleaseParams
from tasks.release.registry import Revision, read_registry
from tasks.retrieval.citations import link
from tasks.retrieval.index import Index
from tasks.retrieval.params import RetrievalParams
from tasks.retrieval.passages import Passage, passages

VERSION = "2026.11.30"

SOURCES: Final = "sources"
"""Folder of the index in a release."""
SETTINGS: Final = "retrieval.json"
"""The parameters that it was made with, which are those of the evaluation's arms."""
MAX_LISTED: Final = 100
"""Names per list; the counts are whole."""
_DATE: Final = re.compile(r"snapshot/(\d{4}-\d{2}-\d{2})-")


@step("release/index", VERSION)
def index(run: StepRun, documents: Artifact, params: RetrievalParams) -> None:
    """Cuts the documents into passages and indexes them; the same bytes for the same documents."""
    known = [  # in the order of the evaluation's arms, since of equal passages the earlier is found
        document for name in ("train.jsonl", "held_out.jsonl") for document in run.read(documents, Document, name)
    ]
    passage_index = Index.of(passages(known, params.passage_tokens))
    passage_index.save(run.folder)
    run.path(SETTINGS).write_text(json.dumps(params.identity(), indent=2) + "\n", "utf-8")
    run.count("documents", len(known))
    run.count("passages", len(passage_index))
    run.count("bytes", sum(path.stat().st_size for path in run.folder.iterdir()))


def is_in_folder(params: ReleaseParams) -> bool:
    """Whether the release folder, which is what the Hub gets, holds the text of the sources."""
    return params.sources == "always" or (params.sources == "auto" and (params.repo_id is None or params.private))


def index_of(store: Store, release: Artifact) -> tuple[Path, RetrievalParams]:
    """The folder of a release's index, and how it is asked.

    Raises:
        InputError: the release has none.
    """
    folder = _folder(store, release)
    if folder is None:
        revision = read_json(store, release, "manifest.json")["revision"]
        raise InputError(
            f"sources: {revision} has no index of its sources (made with `release.sources: never`, by an older "
            "rawtune, or published without it); run its preset again, or ask without sources"
        )
    return folder, RetrievalParams.model_validate_json((folder / SETTINGS).read_text("utf-8"))


def has_index(store: Store, release: Artifact) -> bool:
    """Whether a release can be asked with sources."""
    return _folder(store, release) is not None


def _folder(store: Store, release: Artifact) -> Path | None:
    inside = store.checkout(release) / SOURCES
    if inside.is_dir():
        return inside
    kept = ancestor(store, release, index.name)
    return None if kept is None else store.checkout(kept)


class Pull(BaseModel):
    """A pull request."""

    model_config = ConfigDict(frozen=True)

    number: str
    title: str
    date: str
    url: str | None


class Changes(BaseModel):
    """What changed since a day, as far as the releases know."""

    model_config = ConfigDict(frozen=True)

    since: datetime.date
    release: str
    """The release that was looked at; its snapshot's date is in its name."""
    pulls: tuple[Pull, ...]
    """Merged, or else last changed, on that day or later; newest first, at most `MAX_LISTED`."""
    undated_pulls: int
    """Pull requests of which plain git does not tell a date."""
    compared_with: str | None
    """The last release of a snapshot up to that day; null where this store has none, and files are not compared."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Paths of files and pages, sorted, at most `MAX_LISTED` each."""
    counts: dict[str, int]


def what_changed(store: Store, name: str, release: Revision, since: datetime.date) -> Changes:
    """What a release's sources have that they did not have on a day."""
    now = Index.open(index_of(store, release.artifact)[0])
    firsts = {passage.document_id: passage for passage in reversed(list(now)) if passage.kind == Kind.PULL}
    dated = [
        Pull(number=one.path, title=one.title, date=one.date, url=link(one)) for one in firsts.values() if one.date
    ]
    recent = sorted(
        (one for one in dated if one.date[:10] >= since.isoformat()), key=lambda one: one.date, reverse=True
    )
    earlier = _before(store, name, release, since)
    files: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    if earlier is not None:
        then, current = _texts(Index.open(index_of(store, earlier.artifact)[0])), _texts(now)
        files["added"] = sorted(current.keys() - then.keys())
        files["removed"] = sorted(then.keys() - current.keys())
        files["changed"] = sorted(path for path in current.keys() & then.keys() if current[path] != then[path])
    return Changes(
        since=since,
        release=release.revision,
        pulls=tuple(recent[:MAX_LISTED]),
        undated_pulls=len(firsts) - len(dated),
        compared_with=earlier.revision if earlier else None,
        counts={"pulls": len(recent), **{kind: len(paths) for kind, paths in files.items()}},
        added=tuple(files["added"][:MAX_LISTED]),
        removed=tuple(files["removed"][:MAX_LISTED]),
        changed=tuple(files["changed"][:MAX_LISTED]),
    )


def _before(store: Store, name: str, release: Revision, since: datetime.date) -> Revision | None:
    dated = [
        (match[1], number, one)
        for number, one in enumerate(read_registry(store, name).revisions)
        if one != release and (match := _DATE.match(one.revision)) and match[1] <= since.isoformat()
    ]
    kept = [one for one in dated if store.blob(one[2].artifact.sha256).exists() and has_index(store, one[2].artifact)]
    return max(kept)[2] if kept else None


def _texts(passages: Iterable[Passage]) -> dict[str, str]:
    """`repo: path` of files and pages → what the index has of them."""
    bodies: dict[str, list[str]] = defaultdict(list)
    for passage in passages:
        if passage.kind not in NUMBERED:
            bodies[f"{passage.repo}: {passage.path}"].append(passage.body)
    return {path: "\n".join(parts) for path, parts in bodies.items()}
