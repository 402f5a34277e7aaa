"""What the Prefect UI shows of an evaluation."""

import json
import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tasks.base.ledger import Ledger
from tasks.base.records import Item
from tasks.base.runs import read_json
from tasks.base.store import Store
from tasks.evaluation.page import markdown, run_costs
from tests.evaluation.conftest import HOSTILE, answers_of, report_of, right_answers


def test_prefect_artifact_states_verdict_table_and_costs(store: Store, questions: list[Item]) -> None:
    arms = [
        answers_of(store, "base", dict.fromkeys(right_answers(questions), "no")),
        answers_of(store, "tuned", right_answers(questions)),
    ]
    summary = read_json(store, report_of(store, questions, *arms), "summary.json")
    text = markdown(summary, {"seconds": 120.0, "usd": 3.0})
    assert "| recall | " in text
    assert "Spent by this run: $3.00, $" in text
    json.dumps(summary, allow_nan=False)


def test_costs_of_a_run_count_a_training_once_whatever_it_said_on_its_way(store: Store) -> None:
    book = Ledger(store, "priced")
    assert run_costs(book) == {"seconds": 0, "usd": 0}
    book.add("spend", {"usd": 0.5, "requests": 10})
    book.add("spend", {"usd": None, "requests": 3})
    for at, usd in ((8, 0.25), (16, 0.5), (24, 0.75)):
        book.add("training", {"at": at, "loss": 2.0, "usd": usd})
    book.add("training", {"seconds": 900.0, "usd": 0.75})
    book.add("evaluation", {"seconds": {"load": 2.0, "generate": 58.0}})
    assert run_costs(book) == {"seconds": 960, "usd": 1.25}


def test_prefect_artifact_holds_nothing_that_a_model_wrote(store: Store, questions: list[Item]) -> None:
    own = [item.model_copy(update={"suite": f"general-{HOSTILE}"}) for item in questions[:4]]
    arms = [answers_of(store, arm, dict.fromkeys(right_answers(questions), HOSTILE)) for arm in ("base", "tuned")]
    summary = read_json(store, report_of(store, [*own, *questions[4:]], *arms), "summary.json")
    text = markdown(summary, {})
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    tokens = [inner for token in MarkdownIt().enable("table").parse(text) for inner in [token, *(token.children or [])]]
    assert not {"link_open", "image", "html_inline", "html_block", "code_inline"} & {token.type for token in tokens}
    cells = [sum(token.type in ("td_open", "th_open") for token in row) for row in _rows(tokens)]
    assert set(cells) == {len(summary["arms"]) + 2}  # no name opens a column of its own


def test_prefect_artifact_reads_as_it_is_written(store: Store, questions: list[Item]) -> None:
    arms = [answers_of(store, arm, right_answers(questions)) for arm in ("base", "tuned")]
    text = markdown(read_json(store, report_of(store, questions, *arms), "summary.json"), {})
    assert "| held-out | " in text
    assert "&#" not in text


def _rows(tokens: list[Token]) -> list[list[Token]]:
    starts = [place for place, token in enumerate(tokens) if token.type == "tr_open"]
    ends = [place for place, token in enumerate(tokens) if token.type == "tr_close"]
    return [tokens[start:end] for start, end in zip(starts, ends, strict=True)]
