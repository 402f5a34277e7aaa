"""What a release was made from, followed back through the store's manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tasks.base.artifacts import Artifact, Manifest
from tasks.base.errors import InputError
from tasks.base.runs import read_json
from tasks.base.store import Store
from tasks.model.base_model import base_model
from tasks.model.params import STUB, BaseModelParams
from tasks.release.params import STUB_MODEL_ID
from tasks.release.registry import Revision, projects, read_registry


def chosen_release(store: Store, asked: str | None) -> tuple[str, Revision]:
    """The release that a person means: `NAME`, `NAME@REVISION`, or nothing if the store has one project.

    Returns:
        The project's name and the release; without a revision the latest one.

    Raises:
        InputError: there is no such release, or several projects to choose from.
    """
    known = projects(store)
    if not known:
        raise InputError(f"release: {store.uri} holds no release yet; `rawtune dry-run` makes one")
    name, _, revision = (asked or "").partition("@")
    if not name:
        if len(known) > 1:
            raise InputError(f"release: say which of {', '.join(known)} you mean")
        name = known[0]
    registry = read_registry(store, name)
    release = registry.find(revision) if revision else registry.latest
    if release is None:
        raise InputError(f"release: there is no release {asked!r} in {store.uri}; `rawtune release list` shows them")
    return name, release


def base_of(store: Store, release: Artifact) -> Artifact:
    """The base model of a release, from the store or, where it is not there, as the run fetched it."""
    document = read_json(store, release, "manifest.json")
    wanted = document["made_from"].get("model/base")
    for manifest in store.manifests("model/base"):
        if manifest.sha256 == wanted and store.is_whole(manifest):
            return store.artifact(manifest)
    name = STUB if document["base_model"] == STUB_MODEL_ID else document["base_model"]
    return base_model.direct(store, BaseModelParams(base_model=name, revision=document["base_revision"]))


def ancestor(store: Store, release: Artifact, step: str) -> Artifact | None:
    """The nearest whole artifact of a step that the release was made from; None if there is none.

    The way back goes by content hash, so it also works for a release that came from the Hub, as far as this store
    knows the way.
    """
    made_from: dict[str, str] = read_json(store, release, "manifest.json")["made_from"]
    for manifest in ancestors(store, made_from.items()):
        if manifest.step == step and store.is_whole(manifest):
            return store.artifact(manifest)
    return None


def ancestors(store: Store, made: Iterable[tuple[str, str]]) -> Iterator[Manifest]:
    """Every manifest of these artifacts and of all that they were made from, the nearest first.

    An artifact that was made under several keys has as many manifests; they come by key.

    Args:
        store: whose manifests are followed.
        made: step and sha256 of each artifact to begin with.
    """
    known: dict[str, list[Manifest]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(made)
    while waiting:
        step, sha256 = waiting.pop(0)
        if (step, sha256) in seen:
            continue
        seen.add((step, sha256))
        if step not in known:
            known[step] = sorted(store.manifests(step), key=lambda manifest: manifest.key)
        for manifest in known[step]:
            if manifest.sha256 == sha256:
                yield manifest
                waiting.extend(_inputs(manifest))


def _inputs(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for value in manifest.inputs.values():
        references: list[Any] = value if isinstance(value, list) else [value]
        yield from ((reference["step"], reference["sha256"]) for reference in references)
