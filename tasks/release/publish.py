"""Makes the release folder and publishes it.

The folder is the step's artifact, in the Hub's layout: adapter, tokenizer with chat template, generation settings,
card, report, figures,
parameters and a manifest of what it was made from. Publishing is idempotent and rests on the adapter: one that was
released before is not
released again, whatever else differs. `ensure_published` runs after the step in every run, also when the step
itself came from the cache, and
does nothing if there is nothing to do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks.base.errors import GateRefused
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Artifact, Store
from tasks.release.folder import adapter_sha256, check_publishable, write_folder, write_json
from tasks.release.measures import read_measures
from tasks.release.model_card import CardInput, model_card
from tasks.release.params import ReleaseFacts, ReleaseParams
from tasks.release.registry import Revision, record

VERSION = "2026.11.24"


class Publication(BaseModel):
    """Where a release can be had."""

    model_config = ConfigDict(frozen=True)

    revision: str
    """Name of the release that holds this adapter; an older one if the adapter was released before."""
    location: str
    """Path of the release folder, or the address of the Hub repository at that revision."""
    new: bool
    """Whether this call published anything."""


def revision_name(snapshot_date: str, adapter: str) -> str:
    """`snapshot/<DATE>-<key8>`: the date of the newest source commit and the beginning of the adapter's identity."""
    return f"snapshot/{snapshot_date}-{adapter[:8]}"


def adapter_identity(config: dict[str, Any], weights_sha256: str) -> str:
    """Hash of an adapter's weights and released configuration."""
    document = json.dumps([weights_sha256, config], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def ensure_published(store: Store, release: Artifact, params: ReleaseParams, facts: ReleaseFacts) -> Publication:
    """Publishes a finished release folder if its adapter is not published yet; safe to call at any time, any number
    of times.
    """
    document = read_json(store, release, "manifest.json")
    revision = Revision(
        revision=document["revision"], artifact=release, adapter=document["adapter"], base_model=document["base_model"]
    )
    known, new = record(store, facts.name, revision)
    return Publication(revision=known.revision, location=str(store.blob(known.artifact.sha256)), new=new)


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
) -> None:
    """Makes the release folder of an adapter that the gate allowed.

    Raises:
        GateRefused: the gate did not allow it; the flow skips this step then.
    """
    decision = read_json(run.store, gate, "decision.json")
    if decision["decision"] != "allow":
        raise GateRefused("; ".join(decision["reasons"]))
    config = write_folder(run.folder, run.checkout(adapter), run.checkout(model), facts.model_id)
    identity = adapter_identity(config, adapter_sha256(run.folder))
    revision = revision_name(facts.snapshot_date, identity)
    made_from = {"adapter": adapter, "model": model, "report": report, "gate": gate, "table": table}
    lineage = {artifact.step: artifact.sha256 for artifact in made_from.values()}
    card = CardInput(
        revision=revision,
        location=params.repo_id or "path/to/this/folder",
        rank=config["r"],
        tokens=table.counts.get("tokens"),
        lineage=lineage,
    )
    measures = read_measures(read_json(run.store, report, "summary.json"))
    run.path("README.md").write_text(model_card(facts, measures, card), "utf-8")
    for name in ("report.html", "summary.json"):
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
    run.count("files", len(check_publishable(run.folder)))
