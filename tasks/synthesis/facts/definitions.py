"""Where things are defined, how they are declared, and which parameters they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tasks.synthesis.facts.source import MIN_NAME, Source
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.signatures import parameters
from tasks.text.structure import Definition

CALLABLE: Final = frozenset({"function", "method", "class"})
MAX_SIGNATURE: Final = 399
"""A longer signature was cut off."""


def facts(source: Source) -> Iterator[Fact]:
    """Facts of a file's definitions in order of lines."""
    for item in source.definitions:
        named = source.graph.symbol(source.path, item.qualified) is not None and item.kind != "module"
        if named and len(item.name) >= MIN_NAME and not re.search(r"[\s,]", item.qualified):
            yield from _of(source, item)


def _of(source: Source, item: Definition) -> Iterator[Fact]:
    span = (item.first_line, item.last_line)
    thing, scope = source.noun(item), source.scope_of(item.name)
    if "." not in item.qualified and not scope and not bears(source.path, item.name) and not source.is_test:
        yield source.fact("location", item.name, [source.path], Shape.ONE, span, thing=thing)
    if tells(item) and not source.is_test:
        signature = re.sub(r"^@.*?(?=(?:async )?(?:def|class) )", "", item.signature)
        yield source.fact("signature", item.qualified, [signature], Shape.ONE, span, scope=scope, thing=thing)
    names = parameters(item.signature, item.name, language_of(source.path) or "")
    if item.kind in ("function", "method") and names and names != ["props"] and not source.is_test:
        yield source.fact("parameters", item.qualified, names, Shape.ORDERED, span, scope=scope, thing=thing)


def bears(path: str, name: str) -> bool:
    """Whether a file's name says already what it defines: `ProductSwitch.tsx`, `product_switch.py`."""
    stem = PurePosixPath(path).name.split(".")[0]
    return re.sub(r"\W|_", "", stem).lower() == re.sub(r"\W|_", "", name).lower()


def tells(item: Definition) -> bool:
    """Whether a signature says more than kind and name: parameters, or what a class extends."""
    head, _, rest = item.signature.partition(item.name)
    said = rest.strip(" ()=>{:")
    whole = len(item.signature) < MAX_SIGNATURE and not re.search(r"(?:^|\s)(?:#|//)\s", item.signature)
    return item.kind in CALLABLE and head != item.signature and bool(said) and said != "props" and whole
