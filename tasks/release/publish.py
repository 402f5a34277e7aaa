"""Makes the release folder and publishes it.

The folder is the step's artifact, in the Hub's layout: adapter, tokenizer with chat template, generation settings,
card, report, figures, parameters and a manifest of what it was made from. Publishing is idempotent and rests on the
adapter: one that was released before is not released again, whatever else differs. `ensure_published` runs after the
step in every run, also when the step itself came from the cache, and does nothing if there is nothing to do.
"""

from __future__ import annotations

import shutil

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.errors import GateRefused
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.export import MERGED
from tasks.release.folder import (
    adapter_identity,
    check_publishable,
    check_text,
    weights_sha256,
    write_folder,
    write_json,
)
from tasks.release.gate import PAGE
from tasks.release.hub import address, endpoint, promotions, push
from tasks.release.measures import read_measures
from tasks.release.model_card import CardInput, model_card
from tasks.release.params import ReleaseFacts, ReleaseParams
from tasks.release.registry import Revision, read_registry, record
from tasks.release.sources import SOURCES, is_in_folder

VERSION = "2026.11.30.1"


class Publication(BaseModel):
    """Where a release can be had."""

    model_config = ConfigDict(frozen=True)

    revision: str
    """Name of the release that holds this adapter; an older one if the adapter was released before."""
    location: str
    """Address of the Hub repository at that revision, or the release folder's path."""
    folder: str
    """The release folder in the store."""
    new: bool
    """Whether this call published anything."""


def revision_name(snapshot_date: str, adapter: str) -> str:
    """`snapshot/<DATE>-<key8>`: the newest source commit's date and how the adapter's identity begins."""
    return f"snapshot/{snapshot_date}-{adapter[:8]}"


def ensure_published(store: Store, release: Artifact, params: ReleaseParams, facts: ReleaseFacts) -> Publication:
    """Publishes a finished release folder if its adapter is not published yet.

    Safe to call at any time and any number of times; a call that was killed is finished by the next.

    Raises:
        InputError: the token may not write to the repository.
        ReleaseError: the Hub failed; its latest release is then what it was.
    """
    document = read_json(store, release, "manifest.json")
    address = None if params.repo_id is None else endpoint()
    wanted = Revision(
        revision=document["revision"],
        artifact=release,
        adapter=document["adapter"],
        base_model=document["base_model"],
        repo_id=params.repo_id,
        endpoint=address,
    )
    registry = read_registry(store, facts.name)
    known = registry.with_adapter(wanted.adapter)
    if known is not None and (known.is_at(params.repo_id, address) or known != registry.latest):
        return _publication(store, known, new=False)
    if known is not None:
        wanted = known.model_copy(update={"repo_id": params.repo_id, "endpoint": address})
    if params.repo_id is not None and not _is_on_hub(wanted, params.repo_id):
        push(store.checkout(wanted.artifact), params.repo_id, wanted.revision, params.private)
    known, new = record(store, facts.name, wanted)
    return _publication(store, known, new)


def _is_on_hub(wanted: Revision, repo_id: str) -> bool:
    """Whether `main` ever held this adapter: then it was published, and whatever was done with it since stands."""
    return any(name.endswith(f"-{wanted.adapter[:8]}") for name in promotions(repo_id))


def _publication(store: Store, known: Revision, new: bool) -> Publication:
    folder = str(store.blob(known.artifact.sha256))
    location = folder if known.repo_id is None else address(known.repo_id, known.revision)
    return Publication(revision=known.revision, location=location, folder=folder, new=new)


@step("release/publish", VERSION)
def publish(
    run: StepRun,
    adapter: Artifact,
    model: Artifact,
    report: Artifact,
    gate: Artifact,
    table: Artifact,
    params: ReleaseParams,
    facts: ReleaseFacts,
    merged: Artifact | None = None,
    gguf: Artifact | None = None,
    agreement: Artifact | None = None,
    sources: Artifact | None = None,
) -> None:
    """Makes the folder of an adapter that the gate allowed, with exports and index where there are any.

    Raises:
        GateRefused: the gate did not allow it; the flow skips this step then.
    """
    decision = read_json(run.store, gate, "decision.json")
    if decision["decision"] != "allow":
        raise GateRefused("; ".join(decision["reasons"]))
    config = write_folder(run.folder, run.checkout(adapter), run.checkout(model), facts.model_id)
    identity = adapter_identity(config, weights_sha256(run.folder))
    revision = revision_name(facts.snapshot_date, identity)
    if merged is not None:
        shutil.copytree(run.checkout(merged), run.path(MERGED))
    if agreement is not None:
        shutil.copyfile(run.checkout(agreement) / "agreement.json", run.path("agreement.json"))
    if sources is not None and is_in_folder(params):
        shutil.copytree(run.checkout(sources), run.path(SOURCES))
    exported = _copy_gguf(run, gguf)
    made_from = (adapter, model, report, gate, table, merged, gguf, sources)
    lineage = {artifact.step: artifact.sha256 for artifact in made_from if artifact is not None}
    card = CardInput(
        revision=revision,
        repo_id=params.repo_id,
        rank=config["r"],
        tokens=table.counts.get("tokens"),
        merged=merged is not None,
        gguf=exported,
        sources=run.path(SOURCES).is_dir(),
        dataset=params.dataset_repo_id,
        lineage=lineage,
    )
    measures = read_measures(read_json(run.store, report, "summary.json"))
    run.path("README.md").write_text(model_card(facts, measures, card), "utf-8")
    shutil.copyfile(run.checkout(gate) / PAGE, run.path(PAGE))
    for name in ("summary.json", "scores.jsonl"):
        shutil.copyfile(run.checkout(report) / name, run.path(name))
    write_json(run.path("params.json"), facts.params)
    write_json(
        run.path("manifest.json"),
        {
            "revision": revision,
            "adapter": identity,
            "base_model": facts.model_id,
            "base_revision": facts.base_revision,
            "sources": [source.model_dump() for source in facts.sources],
            "gate": decision,
            "made_from": lineage,
        },
    )
    check_text(run.folder)
    run.count("files", len(check_publishable(run.folder)))


def _copy_gguf(run: StepRun, gguf: Artifact | None) -> tuple[str, ...]:
    if gguf is None:
        return ()
    names = sorted(path.name for path in run.checkout(gguf).glob("*.gguf"))
    for name in names:
        shutil.copyfile(run.checkout(gguf) / name, run.path(name))
    return tuple(names)
