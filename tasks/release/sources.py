"""The retrieval index of a release and where it goes.

`ask`, `chat`, `serve` and `mcp` look things up in it. It holds the text of the snapshot, both sides of the split,
without secrets and copies, as the trained documents do. So it goes where that text may go: into the release folder,
unless the release is published to a repository that is not private (`release.sources`); the store keeps it either way.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Document
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.lineage import ancestor
from tasks.release.params import ReleaseParams
from tasks.retrieval.index import Index
from tasks.retrieval.params import RetrievalParams
from tasks.retrieval.passages import passages

VERSION = "2026.11.30"

SOURCES: Final = "sources"
"""Folder of the index in a release."""
SETTINGS: Final = "retrieval.json"
"""The parameters that it was made with, which are those of the evaluation's arms."""


@step("release/index", VERSION)
def index(run: StepRun, documents: Artifact, params: RetrievalParams) -> None:
    """Cuts the documents into passages and indexes them; the same bytes for the same documents."""
    known = [  # in the order of the evaluation's arms, since of equal passages the earlier is found
        document for name in ("train.jsonl", "held_out.jsonl") for document in run.read(documents, Document, name)
    ]
    made = Index.of(passages(known, params.passage_tokens))
    made.save(run.folder)
    run.path(SETTINGS).write_text(json.dumps(params.identity(), indent=2) + "\n", "utf-8")
    run.count("documents", len(known))
    run.count("passages", len(made))
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
