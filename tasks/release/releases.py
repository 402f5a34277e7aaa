"""What people do with releases: see them, promote an earlier one, roll back, forget old ones.

It happens in the store and, where a release is on the Hub, there first.

The store's registry mirrors the Hub: before a run it takes over what the Hub calls the latest, also when another
machine published it or somebody rolled it back.
"""

from __future__ import annotations

import shutil

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, ReleaseError
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import PENDING, step
from tasks.base.store import Store
from tasks.release import hub, registry
from tasks.release.folder import adapter_identity, released_config, weights_sha256
from tasks.release.hub import HubAccess, check_access, connect, endpoint, speaking
from tasks.release.params import ReleaseFacts, ReleaseParams
from tasks.release.registry import Revision, Why, read_registry

VERSION = "2026.11.24"

ACTIONS: dict[Why, str] = {"promoted": "Promote", "rolled back": "Roll back to"}


class Listed(BaseModel):
    """One line of `rawtune release list`."""

    model_config = ConfigDict(frozen=True)

    revision: str
    latest: bool
    base_model: str
    location: str
    recall: float | None
    """Share of recall questions that its tuned model answered; null if not measured or its files are gone."""


def resolve_release(store: Store, name: str, params: ReleaseParams) -> HubAccess | None:
    """Before anything is spent: may the release be published, and which one is the latest there now?

    Raises:
        InputError: the token cannot write to the repository; see `check_access`.
    """
    access = check_access(params)
    if access is not None and access.exists:
        _take_over_latest(store, name, access.repo_id)
    return access


def previous_release(store: Store, adapter: Artifact, facts: ReleaseFacts) -> Artifact | None:
    """What the gate compares with: the last promoted release with another adapter; None without one.

    The same adapter gives the same answer however often it was released in between, so a repeated run stays cached.
    """
    identity = None
    if adapter.sha256 != PENDING:
        folder = store.checkout(adapter)
        identity = adapter_identity(released_config(folder, facts.model_id), weights_sha256(folder))
    previous = read_registry(store, facts.name).previous(identity)
    return previous.artifact if previous is not None and store.blob(previous.artifact.sha256).exists() else None


def is_released(store: Store, release: Artifact, facts: ReleaseFacts) -> bool:
    """Whether this adapter is released already, so that nobody need be asked again."""
    adapter = read_json(store, release, "manifest.json")["adapter"]
    return read_registry(store, facts.name).with_adapter(adapter) is not None


def list_releases(store: Store, name: str) -> list[Listed]:
    """Every release of a project, the oldest first."""
    known = read_registry(store, name)
    return [
        Listed(
            revision=one.revision,
            latest=one == known.latest,
            base_model=one.base_model,
            location=hub.address(one.repo_id, one.revision) if one.repo_id else str(store.blob(one.artifact.sha256)),
            recall=_recall(store, one),
        )
        for one in known.revisions
    ]


def promote_release(store: Store, name: str, revision: str, why: Why = "promoted") -> Revision:
    """Makes a release the latest again, on the Hub by one commit and in the store.

    Raises:
        InputError: there is no such release, or its files or its branch are gone.
    """
    known = read_registry(store, name).find(revision)
    if known is not None and known.repo_id is not None:
        if known.endpoint != endpoint():
            raise InputError(f"release: {known.revision} is published at {known.endpoint}; set HF_ENDPOINT to it")
        hub.make_latest(known.repo_id, known.revision, ACTIONS[why])
    return registry.promote(store, name, revision, why)


def rollback_release(store: Store, name: str) -> Revision:
    """Makes the release before the latest one the latest again; called twice it goes back twice.

    Raises:
        InputError: there is nothing to go back to.
    """
    earlier = registry.before_latest([one.revision for one in read_registry(store, name).promotions])
    if earlier is None:
        raise InputError(f"release: {name} has no release before its latest; nothing was changed")
    return promote_release(store, name, earlier, "rolled back")


def prune_releases(store: Store, name: str, keep: int) -> list[Revision]:
    """Forgets all but the last `keep` releases and the latest one, in the store and on the Hub.

    Their blobs go with the store's own prune, which must keep `registry.needed_blobs`.
    """
    gone = registry.prune(store, name, keep)
    for one in gone:
        if one.repo_id is not None and one.endpoint == endpoint():
            hub.forget(one.repo_id, one.revision)
    return gone


@step("release/import", VERSION)
def import_release(run: StepRun, repo_id: str, commit: str) -> None:
    """A release as it is on the Hub, without what can be made again from it (merged weights, GGUF)."""
    from huggingface_hub import snapshot_download

    with speaking(f"reading the latest release of {repo_id}"):
        snapshot_download(
            repo_id,
            revision=commit,
            local_dir=run.folder,
            endpoint=endpoint(),
            ignore_patterns=["merged/*", "*.gguf", ".gitattributes"],
            max_workers=2,
        )
    shutil.rmtree(run.folder / ".cache", ignore_errors=True)  # the client's own notes about the download
    if not (run.folder / "manifest.json").exists():
        raise ReleaseError(f"{repo_id} at {commit[:8]} has no manifest.json and is not a release of rawtune")


def _take_over_latest(store: Store, name: str, repo_id: str) -> None:
    promoted = hub.promotions(repo_id)
    if not promoted:
        return
    known = read_registry(store, name)
    latest = next((one for one in known.revisions if one.revision == promoted[-1]), None)
    if latest is None:
        commit = hub.branches(connect(), repo_id)[hub.MAIN]
        release = import_release.direct(store, repo_id, commit)
        document = read_json(store, release, "manifest.json")
        revision = Revision(
            revision=document["revision"],
            artifact=release,
            adapter=document["adapter"],
            base_model=document["base_model"],
            repo_id=repo_id,
            endpoint=endpoint(),
        )
        registry.record(store, name, revision)
    elif latest.is_at(repo_id, endpoint()) and latest != known.latest:
        registry.promote(store, name, latest.revision)


def _recall(store: Store, one: Revision) -> float | None:
    if not store.blob(one.artifact.sha256).exists():
        return None
    tuned = read_json(store, one.artifact, "summary.json").get("arms", {}).get("tuned", {})
    share = tuned.get("recall", {}).get("estimate")
    return None if share is None else float(share)
