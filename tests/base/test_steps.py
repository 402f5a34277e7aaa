import json
from pathlib import Path
from typing import Annotated

import pytest
from prefect import flow
from pydantic import Field

from tasks.base.artifacts import Artifact
from tasks.base.errors import Pruned
from tasks.base.ledger import ledger
from tasks.base.params import EXECUTION, Params
from tasks.base.records import Verdict
from tasks.base.runs import StepRun
from tasks.base.steps import Explanation, Step, explaining, step, without_prefect
from tasks.base.store import Store

RAN: list[str] = []


class CutParams(Params):
    modulus: int = Field(10, ge=1)
    workers: Annotated[int, EXECUTION] = 1


class WideParams(CutParams):
    elsewhere: int = 0


@step("room/numbers", "1")
def numbers(run: StepRun, count: int) -> None:
    RAN.append(run.step)
    run.write(Verdict(id=f"{number:04d}", reason="kept") for number in range(count))


@step("room/cut", "1")
def cut(run: StepRun, source: Artifact, params: CutParams) -> None:
    RAN.append(run.step)
    run.write(verdict for verdict in run.read(source, Verdict) if int(verdict.id) < params.modulus)


@step("room/joined", "1")
def joined(run: StepRun, sources: list[Artifact], extra: Artifact | None = None) -> None:
    RAN.append(run.step)
    run.count("inputs", len(sources) + (extra is not None))
    run.path("note.txt").write_text("joined")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    RAN.clear()


@flow
def small_flow(store: Store, count: int, params: CutParams) -> Artifact:
    some = numbers(store, count=count)
    few = cut(store, source=some, params=params)
    return joined(store, sources=[some, few])


def _run(store: Store, count: int = 20, params: CutParams | None = None) -> list[tuple[str, str]]:
    with ledger(store, "run") as book:
        small_flow(store, count, params or CutParams())
    return [(outcome.step.split("/")[1], outcome.state) for outcome in book.report.steps]


def test_second_run_is_all_cached(prefect_harness: None, store: Store):
    assert _run(store) == [("numbers", "Completed"), ("cut", "Completed"), ("joined", "Completed")]
    assert _run(store) == [("numbers", "Cached"), ("cut", "Cached"), ("joined", "Cached")]
    assert RAN == ["room/numbers", "room/cut", "room/joined"]


def test_another_prefect_home_still_shows_cached(prefect_harness: None, store: Store, tmp_path: Path):
    numbers.direct(store, count=20)
    assert _run(store)[0] == ("numbers", "Cached")


def test_equal_output_cuts_off_what_follows(prefect_harness: None, store: Store):
    _run(store, params=CutParams(modulus=20))
    assert _run(store, params=CutParams(modulus=30)) == [
        ("numbers", "Cached"),
        ("cut", "Completed"),
        ("joined", "Cached"),
    ]


def test_damaged_artifact_is_redone_although_prefect_has_its_record(prefect_harness: None, store: Store):
    _run(store)
    (manifest,) = store.manifests("room/cut")
    (Path(store.artifact(manifest).uri) / "records.jsonl").write_text("damaged")
    assert _run(store) == [("numbers", "Cached"), ("cut", "Completed"), ("joined", "Cached")]


def test_two_stores_under_one_prefect_do_not_mix(prefect_harness: None, tmp_path: Path):
    one, two = Store(str(tmp_path / "one")), Store(str(tmp_path / "two"))
    _run(one)
    assert [state for _, state in _run(two)] == ["Completed"] * 3
    assert [state for _, state in _run(one)] == ["Cached"] * 3
    with ledger(one, "again") as book:
        assert small_flow(one, 20, CutParams()).uri.startswith(one.uri)
    assert all(outcome.artifact["uri"].startswith(one.uri) for outcome in book.report.steps if outcome.artifact)


def test_failing_step_is_noted_as_failed(prefect_harness: None, store: Store):
    with ledger(store, "run") as book, pytest.raises(ValueError, match="invalid literal"):
        _broken_flow(store)
    assert [(outcome.step, outcome.state) for outcome in book.report.steps] == [("room/broken", "Failed")]
    assert list(store.manifests("room/broken")) == []
    assert not any(store.local("tmp").iterdir())


@step("room/broken", "1")
def broken(run: StepRun) -> None:
    run.path("half.txt").write_text("half")
    int("no number")


@flow
def _broken_flow(store: Store) -> None:
    broken(store)


def key(made: Step[...], *args: object, **kwargs: object) -> object:
    return made.key_document(*args, **kwargs)


def test_key_bears_no_execution_field_and_no_foreign_field(store: Store):
    source = numbers.direct(store, count=3)
    document = key(cut, source=source, params=WideParams(elsewhere=7, workers=9))
    assert document == {
        "step": "room/cut",
        "version": "1",
        "parameters": {"params": {"modulus": 10}},
        "inputs": {"source": source.sha256},
    }
    assert document == key(cut, source=source.model_copy(update={"uri": "elsewhere"}), params=CutParams())


def test_key_differs_by_name_version_parameter_and_input(store: Store):
    source, other = numbers.direct(store, count=3), numbers.direct(store, count=4)
    keys = [
        key(cut, source=source, params=CutParams()),
        key(cut, source=other, params=CutParams()),
        key(cut, source=source, params=CutParams(modulus=3)),
        key(cut.named("cut-again"), source=source, params=CutParams()),
        key(Step("room/cut", "2", cut.body), source=source, params=CutParams()),
    ]
    assert all(keys.count(document) == 1 for document in keys)


def test_list_and_optional_inputs_are_inputs(store: Store):
    one, two = numbers.direct(store, count=1), numbers.direct(store, count=2)
    assert key(joined, sources=[one, two], extra=one)["inputs"] == {
        "sources": [one.sha256, two.sha256],
        "extra": one.sha256,
    }
    assert joined.direct(store, sources=[one, two], extra=None).counts == {"inputs": 2}


def test_explain_says_what_differs_and_what_waits(store: Store):
    source = numbers.direct(store, count=20)
    cut.direct(store, source=source, params=CutParams())
    with explaining() as explanations:
        some = numbers(store, count=20)
        few = cut(store, source=some, params=CutParams(modulus=7))
        joined(store, sources=[some, few])
    assert explanations == [
        Explanation("room/numbers", True),
        Explanation("room/cut", False, ("parameters.params.modulus: 10 → 7",)),
        Explanation("room/joined", False, ("waits for room/cut",)),
    ]
    assert RAN == ["room/numbers", "room/cut"]


def test_explain_of_a_damaged_artifact_says_so(store: Store):
    artifact = numbers.direct(store, count=20)
    (Path(artifact.uri) / "records.jsonl").write_text("damaged")
    with explaining() as explanations:
        numbers(store, count=20)
    assert explanations == [Explanation("room/numbers", False, ("its artifact is missing or has wrong bytes",))]


def test_ledger_holds_outcomes_and_entries(store: Store):
    with ledger(store, "run-1") as book:
        book.outcome("room/numbers", "Completed", 1.23456, numbers.direct(store, count=1))
        book.add("spend", {"usd": 0.25})
        report = book.close(2.0)
    written = (Path(store.root.path) / "ledger/run-1/run.json").read_text()
    assert report.model_validate_json(written) == report
    assert report.steps[0].seconds == 1.235
    assert '"usd": 0.25' in (Path(store.root.path) / "ledger/run-1/spend/000001.json").read_text()


def test_ledger_of_a_run_that_goes_on_keeps_the_entries_of_before(store: Store):
    for usd in (0.25, 0.5):
        with ledger(store, "suspended") as book:
            book.add("spend", {"usd": usd})
    entries = sorted((Path(store.root.path) / "ledger/suspended/spend").iterdir())
    assert [json.loads(entry.read_text())["usd"] for entry in entries] == [0.25, 0.5]


def test_without_prefect_a_step_makes_the_artifact_that_a_flow_then_finds(prefect_harness: None, store: Store):
    params = CutParams()
    with without_prefect():
        some = numbers(store, count=20)
        few = cut(store, source=some, params=params)
        assert cut(store, source=some, params=params) == few
    assert RAN == ["room/numbers", "room/cut"]
    assert _run(store, params=params)[:2] == [("numbers", "Cached"), ("cut", "Cached")]


@step("room/pruned", "1")
def pruned(run: StepRun) -> None:
    raise Pruned("others do better")


def test_pruned_step_is_cancelled_in_prefect_skipped_in_the_report_and_not_kept(store: Store, prefect_harness: None):
    @flow
    def search() -> str:
        with ledger(store, "pruned-run") as book:
            try:
                pruned(store)
            except Pruned as reason:
                return f"{reason}: {book.report.steps[0].state}"
        return "made"

    assert search() == "others do better: Skipped"
    assert store.steps() == []
