"""Where things are defined, how they are declared, which parameters they take and what their comments say of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tasks.base.records import Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.signatures import parameters
from tasks.text.structure import Definition

CALLABLE: Final = frozenset({"function", "method", "class"})

MIN_NAME: Final = 4
"""Shorter names (`x`, `id`, `app`) are not asked for: the question would not be about anything in particular."""

PRAGMAS: Final = (
    "eslint",
    "@ts-",
    "prettier",
    "istanbul",
    "noqa",
    "type:",
    "pylint",
    "nolint",
    "tslint",
    "biome",
    "/ <",
)


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Facts of a code file's definitions in order of lines; none for a file without a syntax tree."""
    if document.kind is not Kind.FILE:
        return
    items = corpus.structure(document).definitions
    times = Counter(item.qualified for item in items)
    for item in items:
        if len(item.name) >= MIN_NAME and times[item.qualified] == 1 and not re.search(r"[\s,]", item.qualified):
            yield from _of(document, corpus, item)


def _of(document: Document, corpus: Corpus, item: Definition) -> Iterator[Fact]:
    span = (item.first_line, item.last_line)
    words = {"thing": item.kind}
    scope = corpus.scope(document, item.qualified)
    if "." not in item.qualified and corpus.is_unique(document.repo, item.name) and not bears(document.path, item.name):
        yield corpus.fact(document, "location", item.name, [document.path], span, words=words)
    if tells(item):
        yield corpus.fact(document, "signature", item.qualified, [item.signature], span, scope=scope, words=words)
    names = parameters(item.signature, item.name, language_of(document.path) or "")
    if item.kind in ("function", "method") and names and names != ["props"]:
        yield corpus.fact(
            document, "parameters", item.qualified, names, span, shape=Shape.ORDERED, scope=scope, words=words
        )


def bears(path: str, name: str) -> bool:
    """Whether a file's name says already what it defines: `ProductSwitch.tsx`, `product_switch.py`."""
    stem = PurePosixPath(path).name.split(".")[0]
    return re.sub(r"\W|_", "", stem).lower() == re.sub(r"\W|_", "", name).lower()


def tells(item: Definition) -> bool:
    """Whether a signature says more than kind and name: parameters, or what a class extends."""
    head, _, rest = item.signature.partition(item.name)
    return item.kind in CALLABLE and head != item.signature and bool(rest.strip(" ()"))


FAMILY: Final = Family("definitions", facts)
