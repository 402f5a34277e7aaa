"""Citations: only what was shown, by number or by the answer's words; as text, and taken off an earlier answer."""

from tasks.base.records import Document, Kind
from tasks.retrieval.citations import NOTHING, cited, link, listed, place, sources, without_sources
from tasks.retrieval.passages import Passage, passages
from tests.evaluation.conftest import document

QUESTION = "What does `delivery_cost` return for DE?"


def shown(train: list[Document]) -> list[Passage]:
    return list(passages(train, 40))


def test_answer_cites_the_passage_that_has_its_words(train: list[Document]) -> None:
    found = shown(train)
    (number,) = cited(QUESTION, "It returns 490, else 990.", found)
    assert 'return 490 if country == "DE" else 990' in found[number].body


def test_answer_that_no_passage_supports_cites_nothing(train: list[Document]) -> None:
    assert cited(QUESTION, "Seventeen penguins from Antarctica.", shown(train)) == []
    assert cited(QUESTION, "delivery_cost", shown(train)) == []  # nothing but words of the question
    assert cited(QUESTION, "", shown(train)) == []
    assert cited(QUESTION, "It returns 490.", []) == []


def test_number_that_was_shown_is_cited_and_another_is_not(train: list[Document]) -> None:
    found = shown(train)
    assert cited(QUESTION, "Something [2], [1] and [2].", found) == [1, 0]
    assert cited(QUESTION, "Penguins [99].", found) == []
    assert cited(QUESTION, "Penguins [0].", found) == []


def test_source_is_a_place_at_a_commit_with_the_lines_in_its_link() -> None:
    at = "https://forge.example/shop/blob/abc/src/a%20b.py"
    source = document("src/a b.py", "x = 1\ny = 2\n").model_copy(update={"url": at})
    (passage,) = passages([source], 100)
    assert place(passage) == "src/a b.py:1-3 @ aaaaaaaa"
    assert link(passage) == f"{at}#L1-L3"
    (one,) = sources("What is y?", "2 y", [passage])
    assert listed([one]) == f"\n\nSources:\n- [`src/a b.py:1-3 @ aaaaaaaa`]({at}#L1-L3)"
    (pull,) = passages([document("12", "Sells more.", Kind.PULL)], 100)
    assert (place(pull), link(pull)) == ("#12 @ aaaaaaaa", None)


def test_list_behind_an_answer_is_taken_off_again(train: list[Document]) -> None:
    found = shown(train)
    for answer in ("It returns 490, else 990.", "Penguins."):
        assert without_sources(answer + listed(sources(QUESTION, answer, found))) == answer
    assert listed([]) == f"\n\n{NOTHING}"
    assert without_sources("Sources:\n- mine") == "Sources:\n- mine"


def test_hostile_names_do_not_leave_their_list(train: list[Document]) -> None:
    hostile = document("a`](https://evil.example)\n- [x.py", "penguin = 1").model_copy(update={"url": "https://f/a) b"})
    (passage,) = passages([hostile], 100)
    text = listed(sources("?", "penguin", [passage]))
    assert text.count("\n") == 3
    assert "(https://f/a%29%20b#L1-L1)" in text
