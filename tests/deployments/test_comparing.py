"""`rawtune show evaluation --against RELEASE`, in a process of its own where it matters."""

import json

import pytest

from deployments.cli.comparing import show_against
from deployments.cli.showing import find
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Item
from tasks.base.store import Store
from tasks.evaluation.params import ItemsParams, ReportParams
from tasks.evaluation.report import report
from tasks.release.registry import Revision, record
from tests.deployments.test_cli import rawtune
from tests.evaluation.conftest import CART, GUIDE, answers_of, artifact_of, asked_of, document

REVISION = "snapshot/2023-12-31-0a1b2c3d"


def _made(store: Store, questions: list[Item], right: int) -> Artifact:
    """A report whose tuned model answers the first so many questions rightly."""
    texts = {item.id: item.answers[0] if place < right else "nothing" for place, item in enumerate(questions)}
    arms = [answers_of(store, "base", dict.fromkeys(texts, "nothing")), answers_of(store, "tuned", texts)]
    items = artifact_of(store, records=questions)
    return report.direct(store, items=items, answers=arms, adapter=None, table=None, params=ReportParams())


@pytest.fixture
def questions() -> list[Item]:
    documents = [document("docs/guide.md", GUIDE), document("src/cart.py", CART)]
    return asked_of(documents, [], ItemsParams(items=30, general_items=0))


@pytest.fixture
def released(store: Store, questions: list[Item]) -> Store:
    """A store with one release, whose model answers all questions but the last."""
    made = _made(store, questions[:-1], len(questions) - 1)
    record(store, "shop", Revision(revision=REVISION, artifact=made, adapter="x", base_model="stub"))
    return store


@pytest.mark.parametrize("asked", ["shop", f"shop@{REVISION}", REVISION, "0a1b"])
def test_newest_report_is_compared_with_the_release_that_is_named(
    asked: str, released: Store, questions: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    made = _made(released, questions, 1)
    show_against(released, find(released, "evaluation"), asked, as_json=True)
    compared = json.loads(capsys.readouterr().out)
    assert compared["report"] == made.uri
    assert (compared["shared"], compared["only_now"], compared["only_then"]) == (len(questions) - 1, 1, 0)
    assert all(row["then"] == 1 and row["now"] < 1 for row in compared["differences"].values())


def test_table_is_printed_and_nothing_in_common_is_said(
    released: Store, questions: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    _made(released, questions, 1)
    done = rawtune("show", "evaluation", "--against", "shop", "--store", released.uri, cwd=released.local())
    assert done.stdout.startswith(f"{len(questions) - 1} questions were asked of this model")
    assert "recall" in done.stdout
    assert done.stdout.splitlines()[1].split()[:4] == ["questions", "guess", "then", "now"]
    _made(released, questions[-1:], 1)
    show_against(released, find(released, "evaluation"), "shop", as_json=False)
    assert capsys.readouterr().out.startswith("Nothing can be compared with")


@pytest.mark.parametrize(
    ("what", "asked", "message"),
    [("evaluation", "nothing-of-this", "there is no release"), ("tests", "shop", "--against compares reports")],
)
def test_unknown_release_and_wrong_room_are_refused(what: str, asked: str, message: str, released: Store) -> None:
    with pytest.raises(InputError, match=message):
        show_against(released, find(released, what), asked, as_json=False)
