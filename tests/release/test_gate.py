"""The gate decides on intervals and says why."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact
from tasks.base.errors import ReleaseError
from tasks.base.records import Dialogue, Message, Provenance, Split
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.evaluation.params import ItemsParams, expected_questions
from tasks.release.gate import decide, gate, with_decision
from tasks.release.measures import Figure, read_measures, shortfalls
from tasks.release.params import GateParams
from tests.pages import parsed, rows
from tests.release.conftest import FAKE_TOKEN, SUMMARY, report_of


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
        ("differences/recall", {"estimate": 0.3, "low": 0.05, "high": 0.6, "items": 40}, "recall-gain"),
        ("differences/recall", None, "recall-gain"),
        ("differences/forgetting", {"estimate": -0.01, "low": -0.2, "high": 0.1, "items": 40}, "forgetting"),
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


def test_page_begins_with_whether_it_may_be_released_and_why(store: Store, report: Artifact) -> None:
    refused = report_of(store, _changed("leaks", 2))
    for of, word in ((report, "The gate allows it."), (refused, "The gate refuses it.")):
        made = gate.direct(store, of, GateParams())
        page = parsed((store.checkout(made) / "report.html").read_text("utf-8"))
        section = page.xpath("//section[@id='decision']")[0]
        assert section.xpath("string(p)") == word
        checks = read_json(store, made, "decision.json")["checks"]
        shown = rows(page, "May it be released?")
        assert sorted(shown) == sorted([one["name"], "yes" if one["passed"] else "no", one["detail"]] for one in checks)
        assert shown[0][1] == ("yes" if of is report else "no")
    with pytest.raises(ReleaseError, match="no place for the gate's decision"):
        with_decision("<p>another page</p>", {})


def test_gate_point_judgement_ignores_the_interval(store: Store) -> None:
    report = report_of(store, _changed("differences/recall", {"estimate": 0.3, "low": 0.05, "high": 0.6, "items": 40}))
    assert gate.direct(store, report, GateParams(judge="point")).counts["allowed"] == 1


def _against(change: dict[str, Any] | None) -> dict[str, Any]:
    """The good summary beside a released model, with the report's figure of recall on the questions that both had."""
    return SUMMARY | {"previous": {"name": "r1", "differences": {"recall": change} if change else {}}}


@pytest.mark.parametrize(
    ("estimate", "low", "high", "by_interval", "by_point"),
    [(-0.4, -0.55, -0.25, 0, 0), (-0.1, -0.3, 0.1, 1, 0), (0.2, 0.1, 0.3, 1, 1), (0.0, -0.05, 0.05, 1, 1)],
)
def test_gate_refuses_what_is_measurably_worse_than_the_released_model_by_the_figures_of_the_report(
    store: Store, estimate: float, low: float, high: float, by_interval: int, by_point: int
) -> None:
    report = report_of(store, _against({"estimate": estimate, "low": low, "high": high, "items": 40}))
    for judge, allowed in (("interval", by_interval), ("point", by_point)):
        made = gate.direct(store, report, GateParams(judge=judge))
        failed = [check["name"] for check in read_json(store, made, "decision.json")["checks"] if not check["passed"]]
        assert (made.counts["allowed"], failed) == (allowed, [] if allowed else ["regression"])


def test_gate_bounds_that_everything_meets_ask_for_no_figure(store: Store) -> None:
    report = report_of(store, SUMMARY | {"differences": {}})
    assert gate.direct(store, report, GateParams(min_recall_gain=-1, max_forgetting=1)).counts["allowed"] == 1


def test_gate_released_model_asked_other_questions_is_not_compared_and_the_decision_says_so(
    store: Store, report: Artifact
) -> None:
    made = gate.direct(store, report_of(store, _against(None)), GateParams())
    checks = {check["name"]: check for check in read_json(store, made, "decision.json")["checks"]}
    assert (checks["regression"]["passed"], checks["regression"]["measured"]) == (True, None)
    assert checks["regression"]["detail"].endswith("not compared, no question was asked of both")
    alone = gate.direct(store, report, GateParams())
    assert "regression" not in [check["name"] for check in read_json(store, alone, "decision.json")["checks"]]


def test_gate_bears_a_regression_up_to_its_bound_and_none_beyond(store: Store) -> None:
    worse = report_of(store, _against({"estimate": -0.3, "low": -0.4, "high": -0.2, "items": 40}))
    for bound, allowed in ((0.21, 1), (0.19, 0)):
        assert gate.direct(store, worse, GateParams(max_regression=bound)).counts["allowed"] == allowed


@pytest.mark.parametrize(
    ("figure", "passed"),
    [
        ({"estimate": 1.0, "low": 0.9, "high": 1.0, "items": 19, "documents": 19}, False),
        ({"estimate": 1.0, "low": 0.9, "high": 1.0, "items": 300, "documents": 4}, False),
        ({"estimate": 1.0, "low": 0.9, "high": 1.0}, False),
        ({"estimate": 1.0, "low": 0.9, "high": 1.0, "items": 20, "documents": 5}, True),
    ],
)
def test_gate_decides_nothing_on_few_questions_or_documents(store: Store, figure: dict[str, Any], passed: bool) -> None:
    report = report_of(store, _changed("differences/recall", figure))
    decision = read_json(store, gate.direct(store, report, GateParams()), "decision.json")
    (check,) = [one for one in decision["checks"] if one["name"] == "recall-gain"]
    assert check["passed"] == passed
    assert ("decide nothing" in check["detail"]) != passed
    assert gate.direct(store, report, GateParams(judge="point")).counts["allowed"] == 1  # asked for by name


def test_every_reason_names_the_parameter_that_decides(store: Store) -> None:
    nothing = {"differences": {}, "losses": {}, "leaks": None}
    decision = read_json(store, gate.direct(store, report_of(store, SUMMARY | nothing), GateParams()), "decision.json")
    assert len(decision["reasons"]) == 4
    for check in decision["checks"]:
        section, _, field = check["parameter"].partition(".")
        assert check["passed"] or (section == "gate" and field in GateParams.model_fields)
        assert check["passed"] or f"({check['parameter']})" in check["detail"]


def test_default_questions_fit_the_default_gate_and_fewer_are_told_before_anything_is_spent() -> None:
    assert shortfalls(GateParams(), expected_questions(ItemsParams())) == []
    (line,) = shortfalls(GateParams(), expected_questions(ItemsParams(general_items=200)))
    assert "gate.max_forgetting: 0.03 needs 452 general questions and 200 are asked" in line
    assert "gate.max_forgetting to 0.05" in line
    both = shortfalls(GateParams(), {"recall": 8, "forgetting": 0})
    assert [one.partition(":")[0] for one in both] == ["gate.min_recall_gain", "gate.max_forgetting"]
    assert shortfalls(GateParams(min_recall_gain=None, max_forgetting=None), {}) == []
    assert shortfalls(GateParams(judge="point"), {}) == []


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
    report = report_of(store, _changed("differences/recall", {"estimate": 0.9, "low": None, "high": None, "items": 40}))
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
                "recall": Figure(estimate=1.0, low=low, high=1.0, items=40),
                "forgetting": Figure(estimate=0.0, low=0.0, high=0.0, items=40),
            }
        }
    )
    assert (decide(measures, GateParams(min_recall_gain=bound)).decision == "allow") == (low >= bound)
