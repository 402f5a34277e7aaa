"""IFEval: does an answer do what its prompt literally demands? (arXiv 2311.07911; prompts Apache-2.0)

The checks follow google-research's `instruction_following_eval/instructions.py` ("strict"). Three kinds of
instruction are left out with their prompts: languages and sentence counts need downloaded models, and capital-word
counts a tokenizer of nltk's. A prompt counts if all its instructions are followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Check = Callable[[str, Mapping[str, Any]], bool]
"""`(answer, arguments of the instruction) -> followed`"""

CONSTRAINED: Final = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


def follows(answer: str, instructions: Sequence[str], arguments: Sequence[Mapping[str, Any]]) -> float:
    """1 if a non-empty answer follows every instruction."""
    pairs = zip(instructions, arguments, strict=True)
    return float(bool(answer.strip()) and all(CHECKS[name](answer, given) for name, given in pairs))


def is_checkable(instructions: Sequence[str]) -> bool:
    """Whether every instruction of a prompt has a check here."""
    return all(name in CHECKS for name in instructions)


def _related(count: int, relation: str | None, bound: int) -> bool:
    return count < bound if relation == "less than" else count >= bound


def _words(answer: str, given: Mapping[str, Any]) -> bool:
    return _related(len(re.findall(r"\w+", answer)), given["relation"], given["num_words"])


def _paragraphs(answer: str, given: Mapping[str, Any]) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", answer)
    inner = [part for part in parts[1:-1] if not part.strip()]
    return bool(not inner and sum(bool(part.strip()) for part in parts) == given["num_paragraphs"])


def _nth_paragraph(answer: str, given: Mapping[str, Any]) -> bool:
    parts = re.split(r"\n\n", answer)
    filled = [part for part in parts if part.strip()]
    nth = given["nth_paragraph"]
    if len(filled) != given["num_paragraphs"] or nth > len(parts):
        return False
    words = parts[nth - 1].split()
    first = re.split(r"[.,?!'\"]", words[0].strip().lstrip("'\""))[0].lower() if words else ""
    return bool(first == given["first_word"].lower())


def _keyword_frequency(answer: str, given: Mapping[str, Any]) -> bool:
    count = len(re.findall(re.escape(given["keyword"]), answer, re.IGNORECASE))
    return _related(count, given["relation"], given["frequency"])


def _letter_frequency(answer: str, given: Mapping[str, Any]) -> bool:
    count = answer.lower().count(given["letter"].lower())
    return _related(count, given["let_relation"], given["let_frequency"])


def _existence(answer: str, given: Mapping[str, Any]) -> bool:
    return all(re.search(re.escape(word), answer, re.IGNORECASE) for word in given["keywords"])


def _forbidden(answer: str, given: Mapping[str, Any]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", answer, re.IGNORECASE) for word in given["forbidden_words"])


def _bullets(answer: str, given: Mapping[str, Any]) -> bool:
    stars = re.findall(r"^[^\S\n]*\*[^\*].*$", answer, re.MULTILINE)
    dashes = re.findall(r"^[^\S\n]*-.*$", answer, re.MULTILINE)
    return bool(len(stars) + len(dashes) == given["num_bullets"])


def _highlights(answer: str, given: Mapping[str, Any]) -> bool:
    single = [highlight for highlight in re.findall(r"\*[^\n\*]*\*", answer) if highlight.strip("*").strip()]
    double = [highlight for highlight in re.findall(r"\*\*[^\n\*]*\*\*", answer) if highlight.strip("*").strip()]
    return bool(len(single) + len(double) >= given["num_highlights"])


def _sections(answer: str, given: Mapping[str, Any]) -> bool:
    parts = re.split(rf"\s?{re.escape(given['section_spliter'])}\s?\d+\s?", answer)
    return bool(len(parts) - 1 >= given["num_sections"])


def _json(answer: str, given: Mapping[str, Any]) -> bool:
    text = answer.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except ValueError:
        return False
    return True


def _title(answer: str, given: Mapping[str, Any]) -> bool:
    places = ((line, line.find("<<"), line.rfind(">>")) for line in answer.split("\n"))
    return any(line[start:end].strip("<>").strip() for line, start, end in places if 0 <= start < end)


def _two_responses(answer: str, given: Mapping[str, Any]) -> bool:
    parts = answer.split("******")
    filled = [part.strip() for part in parts if part.strip()]
    inner_empty = any(not part.strip() for part in parts[1:-1])
    return not inner_empty and len(filled) == 2 and filled[0] != filled[1]


def _repeat(answer: str, given: Mapping[str, Any]) -> bool:
    return answer.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def _postscript(answer: str, given: Mapping[str, Any]) -> bool:
    marker = given["postscript_marker"]
    spaced = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
    return bool(re.search(spaced.get(marker, rf"\s*{re.escape(marker.lower())}.*$"), answer.lower(), re.MULTILINE))


def _placeholders(answer: str, given: Mapping[str, Any]) -> bool:
    return bool(sum(map(bool, re.findall(r"\[[^\]\n]*(\])?", answer))) >= given["num_placeholders"])


def _end(answer: str, given: Mapping[str, Any]) -> bool:
    return bool(answer.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower()))


def _quotation(answer: str, given: Mapping[str, Any]) -> bool:
    text = answer.strip()
    return len(text) > 1 and text[0] == '"' == text[-1]


CHECKS: Final[dict[str, Check]] = {
    "change_case:english_capital": lambda answer, given: answer.isupper(),
    "change_case:english_lowercase": lambda answer, given: answer.islower(),
    "combination:repeat_prompt": _repeat,
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": lambda answer, given: any(one in answer for one in CONSTRAINED),
    "detectable_format:json_format": _json,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:title": _title,
    "keywords:existence": _existence,
    "keywords:forbidden_words": _forbidden,
    "keywords:frequency": _keyword_frequency,
    "keywords:letter_frequency": _letter_frequency,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "punctuation:no_comma": lambda answer, given: "," not in answer,
    "startend:end_checker": _end,
    "startend:quotation": _quotation,
}
"""Instruction id → check of an answer with the instruction's arguments."""
