import pytest

from tasks.base.errors import LeakError
from tasks.base.records import Item, Kind, Split
from tasks.base.runs import read_records, read_verdicts
from tasks.base.shards import LOCAL, RunnerParams
from tasks.mixture.leaks.guard import HITS, Hit, leak_guard
from tasks.mixture.params import HeldOut, LeakParams, LeakPolicy, MixtureParams
from tasks.mixture.table.assemble import assemble
from tests.mixture.conftest import chunk, dialogue, item

QUESTION = "Which payment methods can a reader of the weekly edition switch between without calling support?"
ANSWER = "Direct debit and card, but never PayPal."
PAGE = "# Switching\n\nReaders may switch payment methods online.\n"


@pytest.fixture
def model(byte_model):
    return byte_model


def guard(store, put, model, items, chunks=(), dialogues=(), runner=LOCAL, **params):
    inputs = {"chunks": put([chunk("o/r/file/z", "z\n"), *chunks]), "dialogues": put(dialogues)}
    table = assemble.direct(store, **inputs, model=model, params=MixtureParams(), max_tokens=8192)
    asked = {"items": put(items), "table": table, "params": LeakParams(**params), "runner": runner}
    return leak_guard.direct(store, **asked, **inputs)


def reasons(store, made):
    return {verdict.id: verdict.reason for verdict in read_verdicts(store, made)}


def test_question_pasted_into_a_wiki_page_is_removed(store, put, model):
    leaked, clean = item("o/r/wiki/A", QUESTION, ANSWER), item("o/r/wiki/B", "Who maintains the gateway?", "Team Blue")
    page = chunk("o/r/wiki/A", f"{PAGE}\nQ: {QUESTION}\nA: {ANSWER}\n", kind=Kind.WIKI)
    made = guard(store, put, model, [leaked, clean], [page])
    assert list(read_records(store, made, Item)) == [clean]
    assert reasons(store, made) == {leaked.id: "leak-exact"}
    assert made.counts["leaks"] == 1
    (hit,) = read_records(store, made, Hit, HITS)
    assert hit.question == QUESTION
    assert QUESTION in hit.passage


@pytest.mark.parametrize(
    "copy",
    [
        f"{QUESTION.upper()}  --  {ANSWER.lower()}",
        f"{QUESTION.replace(' ', '   ')}\n\n{ANSWER.replace(',', ' ;')}",
        f"**{QUESTION.replace(' ', ' _')}** > {ANSWER}",
        f"Which payment methods may a reader of the weekly edition switch between without calling support? {ANSWER}",
    ],
)
def test_copy_with_changed_case_spacing_and_punctuation_is_removed(store, put, model, copy):
    made = guard(store, put, model, [item("o/r/wiki/A", QUESTION, ANSWER)], [chunk("o/r/wiki/A", f"{PAGE}{copy}")])
    assert made.counts["records"] == 0
    assert made.counts["leaks"] == 1


def test_answer_in_the_text_without_its_question_is_no_leak(store, put, model):
    made = guard(store, put, model, [item("o/r/wiki/A", QUESTION, ANSWER)], [chunk("o/r/wiki/A", f"{PAGE}{ANSWER}")])
    assert (made.counts["records"], made.counts["leaks"]) == (1, 0)


def test_question_that_quotes_a_title_of_its_source_is_no_leak(store, put, model):
    title = "Move the help centre banner above the fold for readers who come from the Canadian edition"
    asked = item(
        "o/r/pull/0000001", f"Name one file that proposal 1 (“{title}”) touches. Reply with its path.", "a/b.ts"
    )
    pull = chunk("o/r/pull/0000001", f"PR #1: {title}\nFile: a/b.ts\n", kind=Kind.PULL)
    made = guard(store, put, model, [asked], [pull])
    assert (made.counts["records"], made.counts["leaks"]) == (1, 0)


@pytest.mark.parametrize("cut", [5, 20, 40])
def test_question_cut_from_its_answer_by_a_chunk_boundary_is_found(store, put, model, cut):
    text = f"{QUESTION} {ANSWER}"
    pieces = [chunk("o/r/wiki/A", text[:cut], 0, last=False), chunk("o/r/wiki/A", text[cut:], 1)]
    made = guard(store, put, model, [item("o/r/wiki/A", QUESTION, ANSWER)], pieces)
    assert made.counts["leaks"] == 1


def test_twin_of_a_leaked_question_goes_with_it(store, put, model):
    first = item("o/r/wiki/A", QUESTION, ANSWER).model_copy(update={"pair_id": "p"})
    second = item("o/r/wiki/A", "Who may switch to a barter account?", number=1).model_copy(update={"pair_id": "p"})
    page = chunk("o/r/wiki/A", f"{QUESTION} {ANSWER}")
    made = guard(store, put, model, [first, second], [page])
    assert made.counts["records"] == 0
    assert reasons(store, made) == {first.id: "leak-exact", second.id: "pair-leaked"}


def test_unanswerable_question_leaks_without_an_answer(store, put, model):
    asked = item("o/r/wiki/A", QUESTION, "I do not know").model_copy(update={"answerable": False})
    made = guard(store, put, model, [asked], [chunk("o/r/wiki/A", QUESTION)])
    assert made.counts["leaks"] == 1


def test_question_about_a_document_that_the_sample_left_out_is_not_asked(store, put, model):
    inputs = {"chunks": put([chunk(f"o/r/file/{n}", "x = 1\n" * 30) for n in range(8)]), "dialogues": put([])}
    table = assemble.direct(store, **inputs, model=model, params=MixtureParams(), max_tokens=8192, train_tokens=500)
    asked = [item(f"o/r/file/{n}", f"Which number has file {n}?", "1") for n in range(8)]
    made = leak_guard.direct(store, items=put(asked), table=table, **inputs, params=LeakParams())
    assert 0 < made.counts["records"] < 8
    assert made.counts["verdict:not-trained"] == table.counts["verdict:not-sampled"] == 8 - made.counts["records"]


def test_held_out_document_in_the_table_is_an_error(store, put, model):
    pieces = [chunk("o/r/file/a", "a\n"), chunk("o/r/file/b", "b\n", split=Split.HELD_OUT)]
    inputs = {"chunks": put(pieces), "dialogues": put([])}
    table = assemble.direct(
        store, **inputs, model=model, params=MixtureParams(train_held_out=HeldOut.RAW), max_tokens=8192
    )
    with pytest.raises(LeakError, match="o/r/file/b is held out but stands in the training table"):
        leak_guard.direct(store, items=put([]), table=table, **inputs, params=LeakParams())
    made = leak_guard.direct(
        store, items=put([]), table=table, **inputs, params=LeakParams(), train_held_out=HeldOut.RAW
    )
    assert made.counts["leaks"] == 0


def test_document_on_both_sides_is_an_error(store, put, model):
    other = dialogue("o/r/file/a", "What is a?", "A.", split=Split.HELD_OUT)
    with pytest.raises(LeakError, match="both sides"):
        guard(store, put, model, [], [chunk("o/r/file/a", "a\n")], [other])


def test_replay_stream_is_searched_too(store, put, model):
    inputs = {"chunks": put([chunk("o/r/file/z", "z\n" * 200)]), "dialogues": put([]), "replay": put([])}
    inputs["replay"] = put([dialogue("replay/general/1", QUESTION, ANSWER, method="general")])
    table = assemble.direct(store, **inputs, model=model, params=MixtureParams(), max_tokens=8192, replay_share=0.5)
    made = leak_guard.direct(
        store, items=put([item("o/r/wiki/A", QUESTION, ANSWER)]), table=table, **inputs, params=LeakParams()
    )
    assert made.counts["leaks"] == 1


def test_template_question_about_another_thing_is_no_leak(store, put, model):
    def ask(name):
        return f"In the shop repository, which file defines the function {name}?"

    items = [item(f"o/r/file/{n}", ask(f"name{n}"), "src/all.py", number=n) for n in range(6)]
    trained = [dialogue("o/r/file/x", ask(f"other{n}"), "src/all.py", number=n) for n in range(6)]
    made = guard(store, put, model, items, dialogues=trained)
    assert (made.counts["records"], made.counts["leaks"]) == (6, 0)
    made = guard(store, put, model, items, dialogues=[*trained, dialogue("o/r/file/3", ask("name3"), "src/all.py", 9)])
    assert reasons(store, made) == {items[3].id: "leak-exact"}


def test_code_suite_looks_at_prompts_only(store, put, model):
    code = "def add(first, second):\n    return first + second\n\n\ndef twice(value):\n    return add(value, value)\n"
    asked = item("o/r/file/a.py", f"Complete this file:\n{code}", "return 1", suite="code")
    made = guard(store, put, model, [asked], [chunk("o/r/file/a.py", f"Complete this file:\n{code}\nreturn 1")])
    assert made.counts["leaks"] == 0
    made = guard(store, put, model, [asked], dialogues=[dialogue("o/r/file/a.py", f"Complete this file:\n{code}", "x")])
    assert made.counts["leaks"] == 1


def test_leak_fails_the_run_when_asked(store, put, model):
    page = chunk("o/r/wiki/A", f"{QUESTION} {ANSWER}")
    with pytest.raises(LeakError, match="1 of 1 evaluation items"):
        guard(store, put, model, [item("o/r/wiki/A", QUESTION, ANSWER)], [page], policy=LeakPolicy.FAIL)


def test_cut_between_question_and_answer_hides_nothing_where_a_shard_begins(store, put, model):
    pieces = [f"{PAGE * 4000}\nQ: {QUESTION}\n", f"A: {ANSWER}\n"]
    page = [chunk("o/r/wiki/A", text, index, last=index == 1, kind=Kind.WIKI) for index, text in enumerate(pieces)]
    asked = [item("o/r/wiki/A", QUESTION, ANSWER)]
    whole = guard(store, put, model, asked, page)
    apart = guard(store, put, model, asked, page, runner=RunnerParams(shard_bytes=100), jaccard=0.71)
    assert whole.counts["leaks"] == apart.counts["leaks"] == 1
    assert [hit.part_id for hit in read_records(store, apart, Hit, HITS)] == ["o/r/wiki/A#00001"]
