"""Questions that have nothing to do with the sources: shared out, one's own, generated."""

from pathlib import Path

import pytest

from tasks.base.errors import InputError
from tasks.base.records import Document, Item
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.evaluation.from_lm_eval import entry
from tasks.evaluation.general import choices, general_items, reasoning_gym_score
from tasks.evaluation.items import items
from tasks.evaluation.params import GeneralSuite, ItemsParams, Suite
from tasks.evaluation.scoring import metric_of, score
from tests.evaluation.conftest import artifact_of, asked_of, facts_of


def test_general_questions_are_shared_out_and_counted(store: Store, train: list[Document]) -> None:
    made = items.direct(
        store,
        documents=artifact_of(store, train=train, held_out=[]),
        facts=artifact_of(store, records=facts_of(train)),
        params=ItemsParams(items=1, suites=(Suite.RECALL,), general_items=9),
    )
    assert {name: made.counts[name] for name in made.counts if name.startswith("general-")} == {
        "general-harmless": 2,
        "general-formats": 2,
        "general-known-facts": 1,
        "general-gsm8k": 1,
        "general-hellaswag": 1,
        "general-truthfulqa": 1,
        "general-human-eval": 1,
    }
    assert made.counts["records"] == 10
    assert all(item.answers[0] for item in read_records(store, made, Item))


def test_own_general_questions_are_asked_and_known_by_their_bytes(tmp_path: Path, train: list[Document]) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text('{"question": "Who pays?", "answers": ["the customer"], "suite": "policy"}\n')
    params = ItemsParams(items=1, general_items=0, general_suites=(), general_file=str(own))
    made = asked_of(train, [], params)
    assert [item.question for item in made if item.suite == "general-policy"] == ["Who pays?"]
    before = params.identity()["general_file"]
    own.write_text('{"question": "Who pays now?", "answers": ["the customer"]}\n')
    assert params.identity()["general_file"] != before


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"question": "x"}',
        '["x"]',
        '{"question": "x", "answers": []}',
        '{"question": "x", "answers": ["a"], "suite": "a/b"}',
        '{"question": "x", "answers": ["a"], "choices": ["b", "c"]}',
    ],
)
def test_unreadable_own_question_names_file_and_line(tmp_path: Path, train: list[Document], line: str) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 of own\.jsonl"):
        asked_of(train, [], ItemsParams(general_items=0, general_file=str(own)))


def test_own_multiple_choice_is_answered_by_likelihood_and_only_the_right_choice_counts(
    tmp_path: Path, train: list[Document]
) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text('{"question": "Who pays?", "answers": ["The shop"], "choices": ["Nobody", "The shop", "A bank"]}\n')
    params = ItemsParams(items=1, general_items=0, general_suites=(), general_file=str(own))
    (item,) = [item for item in asked_of(train, [], params) if item.suite == "general-own"]
    assert choices(item) == ("A bank", "Nobody", "The shop")
    assert [score(item, choice) for choice in choices(item)] == [0, 0, 1]
    assert metric_of(item) == "likeliest choice"


def test_lm_eval_questions_become_lines_of_ones_own_file() -> None:
    assert entry("mine", "2 + 2 =", "4", None) == {"question": "2 + 2 =", "answers": ["4"], "suite": "mine"}
    assert entry("mine", "Which?", 1, ["a", " b"]) == {
        "question": "Which?",
        "answers": ["b"],
        "choices": ["a", "b"],
        "suite": "mine",
    }
    assert entry("mine", "Essay?", "word " * 100, None) is None  # only a judge could score it
    assert entry("winogrande", 0, 1, ["a", "b"]) is None  # several inputs
    assert entry("mine", "Which?", [0, 1], ["a", "b"]) is None  # two right choices


def test_missing_package_of_a_suite_names_the_remedy(train: list[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    with pytest.raises(InputError, match="rawtune\\[evaluation\\]"):
        asked_of(train, [], ItemsParams(general_items=2, general_suites=(GeneralSuite.REASONING_GYM,)))


def test_generated_tasks_of_two_seeds_have_nothing_in_common_and_their_answers_are_right() -> None:
    pytest.importorskip("reasoning_gym", reason="of the extra `evaluation`")
    first, second = (
        general_items(ItemsParams(general_items=20, general_suites=(GeneralSuite.REASONING_GYM,), item_seed=seed))
        for seed in (0, 1)
    )
    assert len(first) == len(second) == 20
    assert not {item.question for item in first} & {item.question for item in second}
    assert all(reasoning_gym_score(item, f"So:\nAnswer: {item.answers[0]}") == 1 for item in (*first, *second))
    assert all(reasoning_gym_score(item, "") == 0 for item in first)
