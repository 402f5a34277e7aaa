"""What a release cost: found by the keys of all it was made from, whichever run made it."""

from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact, Manifest
from tasks.base.ledger import ledger
from tasks.base.records import Verdict
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.costs import Ledgers, data_counts
from tasks.release.lineage import ancestors
from tasks.release.params import CostFacts


@step("synthesis/dialogues", "1")
def _dialogues(run: StepRun, usd: float | None) -> None:
    run.write(Verdict(id=f"d{number}", reason="made", detail=f"for {usd}") for number in range(3))
    run.ledger("spend", usd=usd, requests=7)


@step("corpus/redact", "1")
def _redact(run: StepRun, name: str) -> None:
    for reason in ("redacted-github-pat", "redacted-email", "too-long"):
        run.verdict(name, reason)


@step("training/train", "1")
def _train(run: StepRun, dialogues: Artifact, documents: Artifact, seed: int) -> None:
    run.path("adapter").write_text(str(seed))
    run.ledger("training", at=1, usd=1.0)
    run.ledger("training", seconds=3600.0, usd=2.5)
    run.ledger("evaluation", seconds={"load": 1.0, "generate": 9.0})


def history(store: Store, usd: float | None, seed: int) -> list[Manifest]:
    """One run that makes what is missing; the manifests of its adapter and all before it."""
    with ledger(store, f"run-{usd}-{seed}"):
        made = _train.direct(store, _dialogues.direct(store, usd), _redact.direct(store, "a"), seed)
    return list(ancestors(store, [(made.step, made.sha256)]))


def test_cost_of_a_run_that_found_its_dialogues_in_the_cache_names_what_they_cost(store: Store) -> None:
    history(store, 1.25, seed=1)
    second = history(store, 1.25, seed=2)
    assert Ledgers(store, second).cost() == CostFacts(
        api_usd=1.25, gpu_usd=2.5, training_seconds=3600, answering_seconds=10
    )
    assert [manifest.step for manifest in second] == ["training/train", "synthesis/dialogues", "corpus/redact"]


def test_cost_of_another_release_is_not_counted(store: Store) -> None:
    history(store, 5.0, seed=1)
    assert Ledgers(store, history(store, 1.25, seed=2)).cost() == CostFacts(
        api_usd=1.25, gpu_usd=2.5, training_seconds=3600, answering_seconds=10
    )


def test_cost_at_a_server_without_prices_counts_the_requests(store: Store) -> None:
    cost = Ledgers(store, history(store, None, seed=1)).cost()
    assert cost is not None
    assert (cost.api_usd, cost.unpriced_requests) == (0.0, 7)


def test_cost_without_a_ledger_is_not_known(store: Store) -> None:
    assert Ledgers(store, []).cost() is None


def test_cost_entry_of_a_killed_run_is_skipped(store: Store) -> None:
    made = history(store, 1.25, seed=1)
    torn = Path(store.root.path) / "ledger" / "killed" / "spend" / "000001.json"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"usd": 1')
    cost = Ledgers(store, made).cost()
    assert cost is not None
    assert cost.api_usd == 1.25


@pytest.mark.parametrize(
    ("synthesis", "training", "exceeded"),
    [
        (1.25, 2.5, ()),
        (1.24, None, ("synthesis.budget_usd: $1.25 spent of $1.24",)),
        (2.0, 2.49, ("training.max_usd: $2.50 spent of $2.49",)),
        (0.0, 0.01, ("synthesis.budget_usd: $1.25 spent of $0.00", "training.max_usd: $2.50 spent of $0.01")),
    ],
)
def test_exceeded_budgets_are_named_to_the_cent(
    store: Store, synthesis: float, training: float | None, exceeded: tuple[str, ...]
) -> None:
    assert Ledgers(store, history(store, 1.25, seed=1)).exceeded(synthesis, training) == exceeded


def test_data_counts_sum_redactions_and_leave_out_what_there_is_not(store: Store) -> None:
    assert data_counts(history(store, 1.25, seed=1)) == {"places_redacted": 2, "generated_dialogues": 3}
