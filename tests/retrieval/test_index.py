"""The index: identifiers before filler words, the same from a folder, the right passage for the oracle."""

import os
import subprocess
import sys
from pathlib import Path

from tasks.base.records import Document
from tasks.evaluation.answer import looked_up, prompt
from tasks.evaluation.params import AnswerParams, Arm, ItemsParams, Suite
from tasks.retrieval.index import Index, query
from tasks.retrieval.passages import passages
from tests.evaluation.conftest import asked_of, document


def test_query_is_made_of_identifiers_where_there_are_any() -> None:
    assert query("Name the file in which shop defines `Cart.add_article`. Reply with the path only.") == [
        ("cart", 3.0),
        ("add_article", 3.0),
        ("add", 1.0),
        ("article", 1.0),
    ]
    assert query("What is the return policy?") == [("return", 1.0), ("policy", 1.0)]
    assert ("delivery_cost", 3.0) in query("Where is delivery_cost written?")


def test_identifier_finds_its_passage_among_prose_that_repeats_the_question(train: list[Document]) -> None:
    prose = "Reply with the path only. Name the file in which shop defines things.\n" * 20
    index = Index.of(passages([*train, document("docs/prose.md", prose)], 100))
    best = index.search("Name the file in which shop defines `delivery_cost`. Reply with the path only.", 1)
    assert best[0].document_id == "shop/file/src/cart.py"
    assert "def delivery_cost" in best[0].text


def test_nothing_is_found_for_words_that_no_passage_has(train: list[Document]) -> None:
    assert Index.of(passages(train, 100)).search("`zzzqqq`", 3) == []


def test_oracle_sees_the_line_that_the_answer_rests_on(train: list[Document], held_out: list[Document]) -> None:
    asked = asked_of(train, held_out, ItemsParams(items=40, suites=(Suite.RECALL,), general_items=0))
    found = looked_up(Arm.BASE_ORACLE, asked, [*train, *held_out], AnswerParams(passage_tokens=40))
    for item in asked:
        assert len(found[item.id]) == 1
        first, last = found[item.id][0].span
        assert first <= item.span[0] <= last


def test_prompt_puts_passages_before_the_question_and_is_the_question_alone_without(train: list[Document]) -> None:
    item = asked_of(train, [], ItemsParams(items=1, suites=(Suite.RECALL,), general_items=0))[0]
    assert prompt(item)[0].content == item.question
    text = prompt(item, list(passages(train, 100)))[0].content
    assert text.endswith(f"Question: {item.question}")
    assert "docs/guide.md, lines 1 to" in text


def test_index_in_a_folder_finds_the_same_and_has_the_same_bytes_in_another_process(
    train: list[Document], tmp_path: Path
) -> None:
    index = Index.of(passages(train, 40))
    index.save(tmp_path / "one")
    script = (
        "import sys, pathlib\n"
        "from tasks.retrieval.index import Index\n"
        "opened = Index.open(pathlib.Path(sys.argv[1]))\n"
        "Index.of(opened).save(pathlib.Path(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "one"), str(tmp_path / "two")]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "7"}, cwd=Path(__file__).parents[2])
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()} == files
    assert {Path(name).suffix for name in files} <= {".json", ".jsonl", ".npy"}
    opened = Index.open(tmp_path / "one")
    for question in ("Where is `delivery_cost`?", "return policy", "`zzzqqq`"):
        assert opened.search(question, 3) == index.search(question, 3)
