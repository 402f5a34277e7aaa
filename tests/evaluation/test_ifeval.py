"""IFEval's checks, one followed and one broken answer per instruction, and the prompts from an installed package."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.evaluation import general
from tasks.evaluation.general import general_items
from tasks.evaluation.ifeval import CHECKS, follows, is_checkable
from tasks.evaluation.params import GeneralSuite, ItemsParams
from tasks.evaluation.scoring import score

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("change_case:english_capital", {}, "ALL HIGH.", "All high."),
    ("change_case:english_lowercase", {}, "all low.", "All low."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "Say it. There.", "There. Say it."),
    ("combination:two_responses", {}, "one ****** two", "one ****** one"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] in [town]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Text.\nP. S. more", "Text."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Text.\nP.P.S more", "P.S. more"),
    ("detectable_format:constrained_response", {}, "My answer is yes.", "Yes."),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "a: 1"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1 a SECTION 2 b",
        "SECTION 1",
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b*", "*a* and ** **"),
    ("detectable_format:title", {}, "<<Title>>\ntext", "<< >>"),
    ("keywords:existence", {"keywords": ["Sea", "sky"]}, "the sea and the SKY", "the sea"),
    ("keywords:forbidden_words", {"forbidden_words": ["rock"]}, "rocket", "a rock"),
    ("keywords:frequency", {"relation": "at least", "keyword": "sea", "frequency": 2}, "sea, Sea", "sea"),
    ("keywords:letter_frequency", {"let_relation": "less than", "letter": "q", "let_frequency": 1}, "none", "queue"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "Then", "num_paragraphs": 2, "nth_paragraph": 2},
        "a\n\nthen b",
        "a\n\nb",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a"),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, "two words", "three whole words"),
    ("punctuation:no_comma", {}, "one and two", "one, two"),
    ("startend:end_checker", {"end_phrase": "The end."}, "So. the end.", "The end. Or not?"),
    ("startend:quotation", {}, '"quoted"', 'not "quoted"'),
]


@pytest.mark.parametrize(
    ("name", "given", "good", "bad"), CASES, ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)]
)
def test_instruction_is_told_followed_from_broken(name: str, given: dict[str, Any], good: str, bad: str) -> None:
    assert follows(good, [name], [given]) == 1
    assert follows(bad, [name], [given]) == 0
    assert follows("", [name], [given]) == 0


def test_every_check_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(CHECKS)


def test_all_instructions_of_a_prompt_must_be_followed() -> None:
    names = ["punctuation:no_comma", "change_case:english_lowercase"]
    assert follows("low and plain", names, [{}, {}]) == 1
    assert follows("low, not plain", names, [{}, {}]) == 0
    assert not is_checkable([*names, "language:response_language"])


def test_prompts_come_from_the_installed_package_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "eval_framework"
    data = package / "tasks" / "ifeval" / "data"
    data.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('heavy')\n")
    prompts = [
        {"key": 1, "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
        {"key": 2, "prompt": "In Kannada.", "instruction_id_list": ["language:response_language"], "kwargs": [{}]},
    ]
    (data / "input_data.jsonl").write_text("".join(json.dumps(one) + "\n" for one in prompts))
    monkeypatch.syspath_prepend(str(tmp_path))
    general._ifeval.cache_clear()
    items = general_items(ItemsParams(general_items=5, general_suites=(GeneralSuite.IFEVAL,)))
    assert [item.question for item in items] == ["No commas."]
    assert (score(items[0], "none here"), score(items[0], "a, b")) == (1, 0)
    general._ifeval.cache_clear()
