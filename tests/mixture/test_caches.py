"""What a step keeps on this machine saves time and changes no byte."""

import shutil

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.mixture.leaks.guard import WordCache, leak_guard
from tasks.mixture.leaks.matching import WordNumbers
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.mixture.table.assemble import assemble
from tests.mixture.conftest import chunk, dialogue, item

QUESTION = "Which payment methods can a reader of the weekly edition switch between without calling support?"
ANSWER = "Direct debit and card, but never PayPal."


def made_of(store, put, model, edited_text):
    """Table and guarded questions of a corpus whose eighth document has this text; nothing of an earlier run but its
    caches.
    """
    shutil.rmtree(store.local("steps", "mixture"))
    texts = {number: f"value {number}\n" * (number % 7 + 1) for number in range(40)} | {8: edited_text}
    inputs = {
        "chunks": put([chunk(f"o/r/file/{number:02d}", text) for number, text in texts.items()]),
        "dialogues": put(
            [
                dialogue(f"o/r/file/{number:02d}", f"What is {number}?", f"It says {text}", wording)
                for number, text in texts.items()
                for wording in range(3)
            ]
        ),
    }
    table = assemble.direct(store, **inputs, model=model, params=MixtureParams(), max_tokens=256)
    asked = put([item("o/r/file/08", QUESTION, ANSWER), item("o/r/file/01", "Who maintains it?", "Team Blue")])
    guarded = leak_guard.direct(store, items=asked, table=table, **inputs, params=LeakParams())
    return table.sha256, guarded.sha256, guarded.counts


def test_run_after_an_edit_makes_the_same_bytes_as_one_without_caches(store, put, byte_model):
    before = made_of(store, put, byte_model, "value 8\n")
    warm = made_of(store, put, byte_model, f"Q: {QUESTION}\nA: {ANSWER}\n")
    assert {path.name.split("-")[0] for path in store.local("cache").rglob("*.sqlite")} == {
        "tokens",
        "dialogues",
        "words",
    }
    shutil.rmtree(store.local("cache"))
    cold = made_of(store, put, byte_model, f"Q: {QUESTION}\nA: {ANSWER}\n")
    assert warm == cold
    assert (before[2].get("leaks"), warm[2]["leaks"]) == (0, 1)
    assert made_of(store, put, byte_model, "value 8\n") == before


@given(st.lists(st.lists(st.text(max_size=40), min_size=1, max_size=3), max_size=4))
@settings(max_examples=30, deadline=None)
def test_remembered_words_equal_found_ones(tmp_path_factory, groups):
    with WordCache(tmp_path_factory.mktemp("words")) as cache:
        made = [cache.number(groups), cache.number(groups)]
    for numbered in made:
        for found, group in zip(numbered, groups, strict=True):
            words = [WordNumbers().of(text) for text in group]
            assert found.lengths.tolist() == [len(one) for one in words]
            assert found.words.tolist() == [number for one in words for number in one.tolist()]
