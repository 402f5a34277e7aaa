"""The gate decides on intervals and says why."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.runs import read_json
from tasks.base.store import Artifact, Store
from tasks.release.gate import decide, gate
from tasks.release.measures import Figure, read_measures
from tasks.release.params import GateParams
from tests.release.conftest import SUMMARY, report_of


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


def test_gate_worse_than_the_released_model_refuses(store: Store, report: Artifact) -> None:
    worse = report_of(store, _changed("arms/tuned/recall", {"estimate": 0.5, "low": 0.4, "high": 0.6}))
    made = gate.direct(store, worse, GateParams(), previous=report)
    failed = [check for check in read_json(store, made, "decision.json")["checks"] if not check["passed"]]
    assert [check["name"] for check in failed] == ["regression"]
    assert gate.direct(store, report, GateParams(), previous=report).counts["allowed"] == 1


def test_gate_exceeded_budget_refuses(store: Store, report: Artifact) -> None:
    assert gate.direct(store, report, GateParams(), budget_kept=False).counts["allowed"] == 0


def test_gate_secret_found_refuses() -> None:
    assert decide(read_measures(SUMMARY), GateParams(), secrets=1).decision == "refuse"


@given(low=st.floats(-1, 1), bound=st.floats(-1, 1))
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
