import json
from pathlib import Path

import pytest

from tasks.base.records import Kind
from tasks.mixture.leaks.guard import leak_guard
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.mixture.report.data_facts import BINS, bin_of
from tasks.mixture.report.data_page import pieces, sentence
from tasks.mixture.report.data_report import data_report
from tasks.mixture.table.assemble import assemble
from tasks.text.tokenizer import TextTokenizer
from tests.mixture.conftest import chunk, dialogue, item
from tests.pages import parsed

QUESTION = "Which colour has the button of the shop when it is pressed twice?"
PARAMS = MixtureParams(shares={"raw": 1, "dialogue": 3}, max_repeats=3)


@pytest.fixture
def report(store, put, model):
    chunks = [
        chunk("o/r/file/a.html", "<script>alert('x')</script>\n" * 3),
        chunk("o/r/pull/0000001", "PR #1: <b>Add</b> & more\n", kind=Kind.PULL),
        chunk("o/r/wiki/Home", f"{QUESTION} Green.\n", kind=Kind.WIKI),
    ]
    chunks = [one.model_copy(update={"tokens": 20 + 40 * place}) for place, one in enumerate(chunks)]
    inputs = {"chunks": put(chunks), "dialogues": put([dialogue("o/r/file/a.html", "What is <a>?", "A link & more.")])}
    table = assemble.direct(store, **inputs, model=model, params=PARAMS, max_tokens=128)
    items = put([item("o/r/wiki/Home", QUESTION, "Green"), item("o/r/pull/0000001", "Who is asked?", "Nobody")])
    guarded = leak_guard.direct(store, items=items, table=table, **inputs, params=LeakParams())
    made = data_report.direct(
        store,
        table=table,
        chunks=inputs["chunks"],
        model=model,
        max_tokens=128,
        corpus=[inputs["dialogues"]],
        items=items,
        guarded=guarded,
        epochs=2,
    )
    return Path(store.checkout(made)), table


def test_summary_counts_what_the_table_holds(report):
    folder, table = report
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["table"]["tokens"] == table.counts["tokens"]
    assert summary["table"]["trained_tokens"] == table.counts["trained_tokens"]
    assert sum(summary["row_tokens"]) == table.counts["records"]
    assert {kind: sum(bins) for kind, bins in summary["chunk_tokens"].items()} == {"file": 1, "pull": 1, "wiki": 1}
    assert summary["accounting"]["adds_up"]
    for name, facts in summary["sources"].items():
        assert facts["tokens"] == table.counts[f"tokens:{name}"]
        assert facts["trained_tokens"] == table.counts[f"trained_tokens:{name}"]
    assert summary["sources"]["dialogue-fact"]["passes"] == 3
    assert summary["leaks"] == {"leaked": 1, "suites": {"recall": {"asked": 2, "leaked": 1, "not_asked": 0}}}


def test_page_stands_alone_and_escapes_what_it_shows(report):
    page = (report[0] / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert QUESTION in page
    pieces_shown = [(one.get("class"), one.text_content()) for one in parsed(page).xpath("//span")]
    answer = pieces_shown.index(("trained", "A link & more."))
    assert pieces_shown[answer + 1] == ("trained control", "<|im_end|>")
    assert ("masked control", "<|im_start|>") in pieces_shown
    assert "The sum is exact." in page


def test_markdown_names_sources_and_sum(report):
    text = (report[0] / "report.md").read_text("utf-8")
    assert "| dialogue-fact |" in text
    assert "It adds up." in text
    assert "1 of 2 questions stood in the training table" in text


def test_lost_tokens_are_called_out():
    account = {"tokens_in": 10, "repeated": 0, "left_out": {"overlong": 3}, "tokens": 6, "adds_up": False}
    assert sentence(account) == "10 tokens in − 3 overlong = 6 trained on. IT DOES NOT ADD UP."


def test_pieces_join_to_the_decoded_text(tokenizer_folder):
    tokenizer = TextTokenizer.load(tokenizer_folder)
    ids = [*tokenizer.encode("one two\nthree"), tokenizer.end_of_document]
    shown = pieces(ids, [False] + [True] * (len(ids) - 1), tokenizer)
    assert "".join(piece.text for piece in shown) == tokenizer.decode(ids)
    assert [piece.style for piece in shown] == ["masked", "trained", "trained control"]


@pytest.mark.parametrize(("tokens", "place"), [(0, 0), (1, 0), (32, 0), (33, 1), (1024, BINS - 1), (9999, BINS - 1)])
def test_bars_divide_the_row(tokens, place):
    assert bin_of(tokens, 1024) == place
