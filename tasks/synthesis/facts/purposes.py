"""What a definition is for: the first paragraph of its documentation, where that speaks of it in whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tasks.synthesis.facts.source import MIN_NAME, Source
from tasks.synthesis.wordings.grammar import indicative
from tasks.text.facts import Fact, Shape
from tasks.text.structure import Definition

MIN_WORDS: Final = 4
MAX_CHARACTERS: Final = 600

_DOCUMENTING: Final = ("/**", "///", "//!", "#|", "##", '"""', "'''")
_ORDER: Final = re.compile(
    r"(?i)^(todo|fixme|xxx|hack|note|nb|warning|important|deprecated|eslint|@|prettier|istanbul|noqa|type:|pylint|nolint"
    r"|tslint|biome|copyright|licen[cs]e|see |we |i |https?:|from http|region|endregion|#region|generated|pragma|c8 )"
)
_NOT_PROSE: Final = re.compile(
    r"[=\-*+#~_/]{4,}|[{};]\s*$|=>|^\s*[\[<({]|\)\s*$|\b(const|let|var|import|return)\s+\w+\s*[=({]"
)
_SAYS: Final = re.compile(
    r"^(an?|the|this|these|returns?|whether|if|when|used?|uses|checks?|gets?|sets?|makes?|creates?|builds?|holds?|keeps?"
    r"|given|how|what|where|which|all|every|each|only|[a-z]+s)\b",
    re.IGNORECASE,
)


def facts(source: Source) -> Iterator[Fact]:
    """Purposes of a file's definitions in order of lines; none for tests."""
    if source.is_test:
        return
    for item in source.definitions:
        if (
            len(item.name) < MIN_NAME
            or item.name.startswith("__")
            or source.graph.symbol(source.path, item.qualified) is None
        ):
            continue
        told = purpose(source, item)
        if told:
            span = (min(item.outer_line, item.first_line), item.last_line)
            yield source.fact(
                "purpose",
                item.qualified,
                [told],
                Shape.PROSE,
                span,
                scope=source.scope_of(item.qualified),
                thing=source.noun(item),
                told=sentence(told),
            )


def sentence(told: str) -> str:
    """A purpose as a sentence that tells, with a large letter and an end."""
    said = indicative(told)
    return said[:1].upper() + said[1:] + ("" if re.search(r"[.!?:][`\"')]?$", said) else ".")


def purpose(source: Source, item: Definition) -> str:
    """The first paragraph of a definition's documentation as one line; empty where it does not speak of it."""
    paragraph = re.split(r"\n\s*\n|\n\s*(?:@|:param|Args:|Returns:|Raises:|>>>|```|---)", item.docstring)[0]
    text = " ".join(paragraph.split())
    if (
        len(text.split()) < MIN_WORDS
        or not MIN_WORDS < len(text) <= MAX_CHARACTERS
        or ("`" in text and text.count("`") % 2)
    ):
        return ""
    if _ORDER.match(text) or _NOT_PROSE.search(text) or text.endswith((":", ",", "…", "...", "-", "(")):
        return ""
    if not re.match(r"[A-Z`\"'“a-z]", text) or re.search(r"\bTODO\b|\bFIXME\b", text):
        return ""
    documented = item.outer_line == item.first_line or source.lines[item.outer_line - 1].lstrip().startswith(
        _DOCUMENTING
    )
    if source.language == "go":
        return text if text.startswith(item.name) else ""
    if documented:
        cut = len(" ".join(item.docstring.split())) > len(text)
        dangling = text.split()[-1].lower() in {
            "a",
            "an",
            "and",
            "by",
            "for",
            "in",
            "of",
            "on",
            "or",
            "the",
            "to",
            "with",
        }
        return "" if text[-1] not in ".!?)\"'`" and (cut or dangling) else text
    if item.kind == "constant" or item.outer_line < item.first_line - 6:
        return ""  # a plain comment above a constant speaks of the lines that follow as often as of the constant
    whole = text[-1] in ".!?" and text[0].isupper()
    return text if whole and (_SAYS.match(text) or item.name in text) else ""
