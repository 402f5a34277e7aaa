"""From a finished evaluation to a release.

gate ▶ exports ▶ release folder ▶ dataset folder, then a person's word and the publishing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.mixing import Dataset
from flows.params import RetrainParams
from flows.resolve import Resolved, release_facts
from flows.watching import show_decision
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.runs import read_json
from tasks.base.store import Store
from tasks.release.costs import Ledgers, data_counts
from tasks.release.dataset import dataset, ensure_dataset_published
from tasks.release.export import gguf, merge, verify_export, wants_merged
from tasks.release.gate import Decision, ask_approval, gate, refusal_of
from tasks.release.lineage import ancestors
from tasks.release.publish import ensure_published, publish
from tasks.release.releases import is_released
from tasks.release.sources import index


@dataclass(frozen=True)
class Outcome:
    """The artifacts that a run's conclusion rests on; null where the run did not come that far."""

    report: Artifact | None = None
    verdict: Artifact | None = None
    release: Artifact | None = None
    dataset: Artifact | None = None


def release_folder(
    store: Store, params: RetrainParams, resolved: Resolved, data: Dataset, adapter: Artifact, report: Artifact
) -> Outcome:
    """The gate's verdict and, if it allows one, the release folder; publishes nothing."""
    facts = release_facts(params, resolved)
    history = list(ancestors(store, [(one.step, one.sha256) for one in (adapter, report)]))
    ledgers = Ledgers(store, history)
    verdict = gate(
        store,
        report=report,
        params=params.gate,
        chunks=data.chunks,
        dialogues=data.dialogues,
        exceeded=ledgers.exceeded(params.synthesis.budget_usd, params.training.max_usd),
    )
    if not verdict.counts.get("allowed", 1):
        publish.skip()
        return Outcome(report, verdict)
    exports = export(store, params, data, adapter)
    if params.release.sources == "never":
        index.skip()
    else:
        exports["sources"] = index(store, documents=data.documents, params=params.evaluation)
    release = publish(
        store,
        adapter=adapter,
        model=data.model,
        report=report,
        gate=verdict,
        table=data.table,
        params=params.release,
        facts=facts.model_copy(update={"data": data_counts(history), "cost": ledgers.cost()}),
        **exports,
    )
    if params.release.dataset_repo_id is None:
        return Outcome(report, verdict, release)
    published = dataset(store, table=data.table, dialogues=data.dialogues, facts=facts)
    return Outcome(report, verdict, release, published)


def export(store: Store, params: RetrainParams, data: Dataset, adapter: Artifact) -> dict[str, Artifact]:
    """Makes merged weights and GGUF files where they are needed, and compares them with the adapter."""
    trains_embeddings = params.training.embedding_learning_rate is not None
    if not wants_merged(params.release, params.training.rank, trains_embeddings):
        return {}
    merged = merge(store, adapter=adapter, model=data.model)
    files = gguf(store, merged=merged, name=params.name, params=params.release) if params.release.gguf else None
    agreement = verify_export(
        store,
        adapter=adapter,
        model=data.model,
        items=data.items,
        merged=merged,
        gguf=files,
        params=params.release,
    )
    return {"merged": merged, "agreement": agreement} | ({"gguf": files} if files else {})


def scores_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Suite → arms' figures and the difference of tuned and base, as `--json` prints them."""
    arms, differences = summary["arms"], summary["differences"]
    return {
        suite: {arm: found[suite] for arm, found in arms.items() if suite in found}
        | ({"difference": differences[suite]} if suite in differences else {})
        for suite in summary["suites"]
    }


def conclude(
    store: Store, params: RetrainParams, resolved: Resolved, outcome: Outcome, page: RunReport
) -> tuple[str, ...]:
    """Publishes an allowed release and fills in the run's report.

    Returns the reasons if the gate or a person refused it.
    """
    if outcome.report:
        page.report = f"{(outcome.verdict or outcome.report).uri}/report.html"  # the gate's has its decision on top
        page.scores = scores_of(read_json(store, outcome.report, "summary.json"))
    if outcome.verdict is None:
        return ()
    decision = Decision.model_validate(read_json(store, outcome.verdict, "decision.json"))
    reasons = () if outcome.release else decision.reasons
    facts = release_facts(params, resolved)
    if outcome.release and params.gate.approval == "manual" and not is_released(store, outcome.release, facts):
        reasons = refusal_of(ask_approval(decision, params.gate))
    page.decision = "refuse" if reasons else "allow"
    if reasons:
        page.resolved["refused"] = list(reasons)
    if outcome.release and not reasons:
        page.release = ensure_published(store, outcome.release, params.release, facts).location
        if outcome.dataset and params.release.dataset_repo_id:
            ensure_dataset_published(store, outcome.dataset, params.release.dataset_repo_id)
    show_decision(decision, reasons, page)
    return reasons
