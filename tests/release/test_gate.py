"""The gate decides on intervals and says why."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact
from tasks.base.records import Dialogue, Message, Provenance, Split
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.gate import decide, gate
from tasks.release.measures import Figure, change_since, read_measures
from tasks.release.params import GateParams
from tests.release.conftest import FAKE_TOKEN, RECALLED, SUMMARY, report_of


@step("tests/records", "1")
def _records(run: StepRun, lines: list[str]) -> None:
    run.path("records.jsonl").write_text("".join(line + "\n" for line in lines))


def _changed(path: str, value: Any) -> dict[str, Any]:
    summary = copy.deepcopy(SUMMARY)
    *parents, last = path.split("/")
    node = summary
    for name in parents:
        node = node[name]
    node[last] = value
    return summary


def test_gate_good_report_allows(store: Store, report: Artifact) -> None:
    made = gate.direct(store, report, GateParams())
    decision = read_json(store, made, "decision.json")
    assert decision["decision"] == "allow"
    assert made.counts["allowed"] == 1
    assert [check["name"] for check in decision["checks"] if not check["passed"]] == []


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("differences/recall", {"estimate": 0.3, "low": 0.05, "high": 0.6}, "recall-gain"),
        ("differences/recall", None, "recall-gain"),
        ("differences/forgetting", {"estimate": -0.01, "low": -0.2, "high": 0.1}, "forgetting"),
        ("losses/tuned/answers_held_out", {"loss": 3.3, "tokens": 900}, "held-out-loss"),
        ("leaks", 2, "leaks"),
        ("leaks", None, "leaks"),
    ],
)
def test_gate_one_bad_figure_refuses_with_its_reason(store: Store, path: str, value: Any, name: str) -> None:
    made = gate.direct(store, report_of(store, _changed(path, value)), GateParams())
    decision = read_json(store, made, "decision.json")
    assert decision["decision"] == "refuse"
    assert made.counts["allowed"] == 0
    failed = [check for check in decision["checks"] if not check["passed"]]
    assert [check["name"] for check in failed] == [name]
    assert decision["reasons"] == [failed[0]["detail"]]


def test_gate_point_judgement_ignores_the_interval(store: Store) -> None:
    report = report_of(store, _changed("differences/recall", {"estimate": 0.3, "low": 0.05, "high": 0.6}))
    assert gate.direct(store, report, GateParams(judge="point")).counts["allowed"] == 1


def test_gate_worse_than_the_released_model_on_the_same_questions_refuses(store: Store, report: Artifact) -> None:
    worse = report_of(store, SUMMARY, {item: score * (int(item[1:]) > 15) for item, score in RECALLED.items()})
    made = gate.direct(store, worse, GateParams(), previous=report)
    failed = [check for check in read_json(store, made, "decision.json")["checks"] if not check["passed"]]
    assert [check["name"] for check in failed] == ["regression"]
    assert gate.direct(store, report, GateParams(), previous=worse).counts["allowed"] == 1
    assert gate.direct(store, report, GateParams(), previous=report).counts["allowed"] == 1


def test_gate_few_questions_that_changed_by_chance_do_not_refuse(store: Store) -> None:
    few = {f"q{number:02d}": 1.0 for number in range(10)}
    before, after = (report_of(store, SUMMARY, scores) for scores in (few, few | {"q03": 0.0}))
    assert gate.direct(store, after, GateParams(), previous=before).counts["allowed"] == 1
    assert gate.direct(store, after, GateParams(judge="point"), previous=before).counts["allowed"] == 0


def test_gate_bounds_that_everything_meets_ask_for_no_figure(store: Store) -> None:
    report = report_of(store, SUMMARY | {"differences": {}})
    assert gate.direct(store, report, GateParams(min_recall_gain=-1, max_forgetting=1)).counts["allowed"] == 1


def test_gate_released_model_asked_other_questions_is_not_compared_and_the_decision_says_so(
    store: Store, report: Artifact
) -> None:
    other = report_of(store, SUMMARY, {"another": 1.0})
    made = gate.direct(store, report, GateParams(), previous=other)
    checks = {check["name"]: check for check in read_json(store, made, "decision.json")["checks"]}
    assert (checks["regression"]["passed"], checks["regression"]["measured"]) == (True, None)
    assert checks["regression"]["detail"].endswith("not compared, no question was asked of both")
    alone = gate.direct(store, report, GateParams())
    assert "regression" not in [check["name"] for check in read_json(store, alone, "decision.json")["checks"]]


def test_gate_bears_a_regression_up_to_its_bound_and_none_beyond(store: Store, report: Artifact) -> None:
    nothing = report_of(store, SUMMARY, dict.fromkeys(RECALLED, 0.0))
    change = -sum(RECALLED.values()) / len(RECALLED)
    for bound, allowed in ((-change + 0.02, 1), (-change - 0.02, 0)):
        params = GateParams(max_regression=bound, judge="point")
        assert gate.direct(store, nothing, params, previous=report).counts["allowed"] == allowed


def test_change_since_equals_the_textbook_interval_when_every_document_has_one_question() -> None:
    from scipy import stats

    ours = [0.0, 1.0, 1.0, 1.0, 0.5, 1.0, 0.0, 1.0]
    theirs = [1.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0]
    rows_of = [
        [
            {"item_id": f"q{n}", "arm": "tuned", "suite": "recall", "document_id": f"d{n}", "score": score}
            for n, score in enumerate(scores)
        ]
        for scores in (ours, theirs)
    ]
    change = change_since(*rows_of)
    assert change is not None
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert change.low == pytest.approx(expected.low)
    assert change.high == pytest.approx(expected.high)


def test_gate_training_text_with_a_secret_refuses(store: Store, report: Artifact) -> None:
    dialogue = Dialogue(
        id="r/file/a",
        messages=(Message(role="user", content="key?"), Message(role="assistant", content=f"It is {FAKE_TOKEN}.")),
        method="page-qa",
        provenance=Provenance(document_id="r/file/a", revision="0" * 40, span=(1, 1), prompt_version="1", model="t"),
        split=Split.TRAIN,
    )
    made = gate.direct(store, report, GateParams(), dialogues=_records.direct(store, lines=[dialogue.line()]))
    decision = read_json(store, made, "decision.json")
    assert decision["reasons"] == ["1 unredacted secrets found"]
    assert FAKE_TOKEN not in str(decision)


def test_gate_point_without_interval_is_not_enough_for_interval_judgement(store: Store) -> None:
    report = report_of(store, _changed("differences/recall", {"estimate": 0.9, "low": None, "high": None}))
    assert gate.direct(store, report, GateParams()).counts["allowed"] == 0
    assert gate.direct(store, report, GateParams(judge="point")).counts["allowed"] == 1


def test_gate_exceeded_budget_refuses(store: Store, report: Artifact) -> None:
    made = gate.direct(store, report, GateParams(), exceeded=("training.max_usd: $16.20 spent of $15.00",))
    decision = read_json(store, made, "decision.json")
    assert decision["decision"] == "refuse"
    assert decision["reasons"] == ["budget exceeded: training.max_usd: $16.20 spent of $15.00"]


def test_gate_secret_found_refuses() -> None:
    assert decide(read_measures(SUMMARY), GateParams(), secrets=1).decision == "refuse"


@given(low=st.floats(-1, 1), bound=st.floats(-1, 1, exclude_min=True))
def test_decide_recall_bound_holds_exactly_for_the_lower_end(low: float, bound: float) -> None:
    measures = read_measures(SUMMARY).model_copy(
        update={
            "differences": {
                "recall": Figure(estimate=1.0, low=low, high=1.0),
                "forgetting": Figure(estimate=0.0, low=0.0, high=0.0),
            }
        }
    )
    assert (decide(measures, GateParams(min_recall_gain=bound)).decision == "allow") == (low >= bound)
