"""The store's own release registry: which releases exist, which one is the latest, and why.

    releases/<name>/registry.json   every revision and, in order, every promotion; the last promotion is "latest"
    releases/<name>/latest          local stores only: link to the latest release's folder, for people and
                                    `from_pretrained`

One file holds both lists and is replaced atomically, so a reader sees the old or the new state, never half. It names
artifacts and holds no content of its own: rolling back is one more promotion, and the files are byte for byte the
old ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, StoreError
from tasks.base.files import replacing, write_text
from tasks.base.locks import hold
from tasks.base.runs import read_json
from tasks.base.store import Store

Why = Literal["published", "promoted", "rolled back"]


class Revision(BaseModel):
    """One release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str
    """`snapshot/<DATE>-<key8>`."""
    artifact: Artifact
    """The release folder."""
    adapter: str
    """Hash of weights and configuration: two releases with equal adapters are the same release."""
    base_model: str
    repo_id: str | None = None
    """Repository on the Hub that has it too; null = in the store only."""
    endpoint: str | None = None
    """Address of that Hub."""

    def is_at(self, repo_id: str | None, endpoint: str | None) -> bool:
        """Whether it is published there; every release is published in its store."""
        return repo_id is None or (self.repo_id, self.endpoint) == (repo_id, endpoint)


class Promotion(BaseModel):
    """One change of "latest"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str
    why: Why


class Registry(BaseModel):
    """All releases of one project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revisions: tuple[Revision, ...] = ()
    """In order of their first publication."""
    promotions: tuple[Promotion, ...] = ()

    @property
    def latest(self) -> Revision | None:
        """The release that users get."""
        return self.find(self.promotions[-1].revision) if self.promotions else None

    def find(self, revision: str) -> Revision | None:
        """The release of that name; its date and key, or an unambiguous beginning of the key, are enough."""
        matches = [known for known in self.revisions if _matches(known.revision, revision)]
        exact = [known for known in matches if known.revision == revision]
        return exact[0] if exact else matches[0] if len(matches) == 1 else None

    def with_adapter(self, adapter: str) -> Revision | None:
        """The release that has this adapter."""
        return next((known for known in self.revisions if known.adapter == adapter), None)

    def previous(self, adapter: str | None) -> Revision | None:
        """What a new adapter is compared with: the last promoted release whose adapter differs from it."""
        for promotion in reversed(self.promotions):
            known = self.find(promotion.revision)
            if known is not None and known.adapter != adapter:
                return known
        return None


def read_registry(store: Store, name: str) -> Registry:
    """The registry of a project; empty if it has none.

    Raises:
        StoreError: the file is there and is not a registry.
    """
    path = store.root / "releases" / name / "registry.json"
    try:
        return Registry.model_validate_json(path.read_text("utf-8"))
    except FileNotFoundError:
        return Registry()
    except ValueError as error:
        raise StoreError(
            f"releases/{name}/registry.json in {store.uri} is not a release registry; move it away"
        ) from error


def projects(store: Store) -> list[str]:
    """Names of the projects that have releases in the store, sorted."""
    folder = store.root / "releases"
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.exists() else []


def record(store: Store, name: str, release: Revision) -> tuple[Revision, bool]:
    """Adds a release and makes it the latest, unless its adapter is released already.

    A known adapter is not promoted again, also when a person has since rolled it back: that decision stands. What is
    noted about a known one is the place on the Hub that it has gained.

    Returns:
        The release as the registry knows it, and whether anything changed.
    """
    is_new: list[bool] = []

    def add(registry: Registry) -> Registry:
        known = registry.with_adapter(release.adapter)
        is_new.append(known is None)
        if known is not None:
            gained = known.model_copy(update=release.model_dump(include={"repo_id", "endpoint"}))
            kept = known if release.repo_id is None else gained
            return registry.model_copy(
                update={"revisions": tuple(kept if old == known else old for old in registry.revisions)}
            )
        revisions = (*(old for old in registry.revisions if old.revision != release.revision), release)
        promotion = Promotion(revision=release.revision, why="published")
        return Registry(revisions=revisions, promotions=(*registry.promotions, promotion))

    registry = _change(store, name, add)
    known = registry.with_adapter(release.adapter)
    assert known is not None, f"{release.revision} was not recorded"
    return known, is_new[0]


def promote(store: Store, name: str, revision: str, why: Why = "promoted") -> Revision:
    """Makes an earlier release the latest again; nothing happens if it is.

    Raises:
        InputError: there is no such release, or its files are no longer whole.
    """

    def move(registry: Registry) -> Registry:
        known = registry.find(revision)
        if known is None:
            raise InputError(f"release: {name} has no release {revision!r}; `rawtune release list` shows them")
        if not (store.blob(known.artifact.sha256)).exists():
            raise InputError(f"release: the files of {known.revision} are no longer in {store.uri}; choose another")
        if known == registry.latest:
            return registry
        promotion = Promotion(revision=known.revision, why=why)
        return registry.model_copy(update={"promotions": (*registry.promotions, promotion)})

    latest = _change(store, name, move).latest
    assert latest is not None
    return latest


def before_latest(promotions: list[str]) -> str | None:
    """The release that was the latest before the current one first was: what a rollback goes back to."""
    return (
        next(
            (name for name in reversed(promotions[: promotions.index(promotions[-1])]) if name != promotions[-1]),
            None,
        )
        if promotions
        else None
    )


def prune(store: Store, name: str, keep: int) -> list[Revision]:
    """Forgets all but the last `keep` releases and the latest one; returns the forgotten.

    Their blobs go with the store's own prune.
    """
    gone: list[Revision] = []

    def forget(registry: Registry) -> Registry:
        recent = registry.revisions[-keep:] if keep else ()
        names = {known.revision for known in (*recent, registry.latest) if known is not None}
        gone.extend(known for known in registry.revisions if known.revision not in names)
        return Registry(
            revisions=tuple(known for known in registry.revisions if known.revision in names),
            promotions=tuple(promotion for promotion in registry.promotions if promotion.revision in names),
        )

    _change(store, name, forget)
    return gone


def needed_blobs(store: Store) -> set[str]:
    """Hashes of the artifacts that recorded releases need: their folders and what those were made from.

    Both the store's manifests say that and the release's own, which a release from the Hub brings along. What those
    were made from in turn, the store's prune finds in their manifests.
    """
    needed: set[str] = set()
    for name in projects(store):
        for known in read_registry(store, name).revisions:
            needed.add(known.artifact.sha256)
            for manifest in store.manifests(known.artifact.step):
                if manifest.sha256 == known.artifact.sha256:
                    needed |= _hashes(manifest.inputs)
            if (store.blob(known.artifact.sha256) / "manifest.json").exists():
                needed |= set(read_json(store, known.artifact, "manifest.json")["made_from"].values())
    return needed


def _hashes(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["sha256"]} if isinstance(value.get("sha256"), str) else set()
        return own.union(*(_hashes(item) for item in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_hashes(item) for item in value))
    return set()


def _matches(known: str, asked: str) -> bool:
    date, _, key = known.removeprefix("snapshot/").rpartition("-")
    return asked in (known, f"{date}-{key}") or (
        re.fullmatch(r"[0-9a-f]{4,}", asked) is not None and key.startswith(asked)
    )


def _change(store: Store, name: str, change: Callable[[Registry], Registry]) -> Registry:
    """Reads, changes and replaces a registry while no other process can; then points the link at its latest."""
    with hold(store, f"releases/{name}"):
        before = read_registry(store, name)
        after = change(before)
        folder = store.root / "releases" / name
        if after != before:
            write_text(folder / "registry.json", after.model_dump_json(indent=1) + "\n")
        if store.is_local and after.latest is not None:
            _link(Path(folder.path) / "latest", Path("..", "..", "cas", after.latest.artifact.sha256))
        return after


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    with replacing(link) as partial:
        partial.symlink_to(target)
