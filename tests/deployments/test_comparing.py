"""`rawtune compare`, in a process of its own where it matters."""

import json
from pathlib import Path

import pytest

from deployments.cli.comparing import compare
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.ledger import Ledger
from tasks.base.records import Item
from tasks.base.store import Store
from tasks.evaluation.params import ItemsParams, ReportParams
from tasks.evaluation.report import report
from tasks.release.registry import Revision, record
from tests.deployments.test_cli import rawtune
from tests.evaluation.conftest import CART, GUIDE, answers_of, artifact_of, asked_of, document
from tests.pages import parsed, rows, texts

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
    compare(released, asked, None, "tuned", None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["second"] == [made.uri]
    assert (found["shared"], found["only_first"], found["only_second"]) == (len(questions) - 1, 0, 1)
    assert all(row["first"] == 1 and row["second"] < 1 for row in found["differences"].values())
    assert set(found["kinds"]) == {item.kind for item in questions[:-1] if item.suite == "recall"}


def test_runs_and_their_seeds_are_compared_in_a_table_and_on_a_page(
    released: Store, questions: list[Item], tmp_path: Path
) -> None:
    made = {}
    for name, right in (("one", 2), ("two", 4), ("other", len(questions))):
        book = Ledger(released, name)
        book.outcome("evaluation/report", "Completed", 1.0, _made(released, questions, right))
        made[name] = book.close(1.0)
    page = tmp_path / "compared.html"
    done = rawtune("compare", "one,two", "other", "--page", str(page), "--store", released.uri, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"other minus one,two: {len(questions)} questions of both" in done.stdout
    assert "There is one run of the second side" in done.stdout
    assert done.stdout.splitlines()[2].split()[:6] == ["by", "suite", "guess", "first", "second", "change"]
    tree = parsed(page.read_text("utf-8"))
    assert texts(tree, "//h1") == ["other minus one,two"]
    shown = rows(tree, "By suite")
    assert [row[0] for row in shown] == [line.split()[0] for line in done.stdout.splitlines()[3 : 3 + len(shown)]]
    assert {row[3] for row in shown} == {"100%"}


def test_what_shares_no_question_is_said_to(
    released: Store, questions: list[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    _made(released, questions[-1:], 1)
    compare(released, "shop", None, "tuned", None, as_json=False)
    assert capsys.readouterr().out.startswith("Nothing can be compared: shop and the newest report share no question")


@pytest.mark.parametrize(
    ("first", "arm", "message"),
    [
        ("nothing-of-this", "tuned", "there is no release"),
        ("shop", "base-oracle", "has no answers of base-oracle"),
        ("tests/records", "tuned", "is of tests/records; reports and releases are compared"),
    ],
)
def test_unknown_release_wrong_room_and_missing_arm_are_refused(
    first: str, arm: str, message: str, released: Store
) -> None:
    with pytest.raises(InputError, match=message):
        compare(released, first, None, arm, None, as_json=False)
