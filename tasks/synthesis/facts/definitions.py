"""Where things are defined, how they are declared, and which parameters they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tasks.synthesis.facts.source import MIN_NAME, Source
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.references import unbroken
from tasks.text.signatures import parameters
from tasks.text.structure import Definition

CALLABLE: Final = frozenset({"function", "method"})
_NAMES: Final = """
_ a action args b callback cb context ctx e err error event key kwargs next props req request res response self state
value x y
"""
_USUAL: Final = frozenset(_NAMES.split())
"""Names of parameters that say nothing of a function."""

MAX_SIGNATURE: Final = 399
"""A longer signature was cut off."""


def facts(source: Source) -> Iterator[Fact]:
    """Facts of a file's definitions in order of lines."""
    for item in source.definitions:
        named = source.graph.symbol(source.path, item.qualified) is not None and item.kind != "module"
        if named and len(item.name) >= MIN_NAME and not re.search(r"[\s,]", item.qualified):
            yield from _of(source, item)


def _of(source: Source, item: Definition) -> Iterator[Fact]:
    if source.is_test or (item.name.startswith("__") and item.name != "__init__"):
        return
    span = (item.first_line, item.last_line)
    thing, scope = source.noun(item), source.scope_of(item.qualified)
    if "." not in item.qualified and not scope and not bears(source.path, item.name) and is_sought(source, item):
        yield source.fact("location", item.name, [source.path], Shape.ONE, span, thing=thing)
    words = {} if item.name == "__init__" else {"thing": thing}
    names = parameters(item.signature, item.name, language_of(source.path) or "")
    plain = len(names) < 2 and not is_sought(source, item)  # one parameter of something that one file alone uses
    if tells(item, names) and not plain and thing != "component" and not is_style(source.path, item.name):
        signature = unbroken(re.sub(r"^@.*?(?=(?:async )?(?:def|class) )", "", item.signature))
        signature = signature.removesuffix("=>").rstrip()
        yield source.fact("signature", item.qualified, [signature], Shape.ONE, span, scope=scope, **words)
    if item.kind in CALLABLE and len(names) > 1 and not set(names) <= _USUAL:
        yield source.fact("parameters", item.qualified, names, Shape.ORDERED, span, scope=scope, **words)


def is_sought(source: Source, item: Definition) -> bool:
    """Whether anybody would look for a definition: another file uses it, and it is no style."""
    used = any(edge.path != source.path for edge in source.graph.used(source.path, item.qualified))
    return used and not is_style(source.path, item.name)


def is_style(path: str, name: str) -> bool:
    """Whether name or path say that something is a style sheet, which nobody asks about."""
    return (
        re.search(r"(?i)(css|styles?|styling)$|(?-i:^css[A-Z])", name) is not None
        or re.search(r"[./]styles?[./]", path) is not None
    )


def bears(path: str, name: str) -> bool:
    """Whether a file's name says already what it defines: `ProductSwitch.tsx`, `product_switch.py`."""
    stem = PurePosixPath(path).name.split(".")[0]
    return re.sub(r"\W|_", "", stem).lower() == re.sub(r"\W|_", "", name).lower()


def tells(item: Definition, names: list[str]) -> bool:
    """Whether a signature says more than a list of names: types, defaults or a result beside at least one parameter."""
    _, _, rest = item.signature.partition(item.name)
    whole = len(item.signature) < MAX_SIGNATURE and not re.search(r"(?:^|\s)(?:#|//)\s", item.signature)
    given = names not in ([], ["props"]) or re.match(r"[^(]*\(\s*[{\[]", rest) is not None
    return item.kind in CALLABLE and whole and given and re.search(r"[:=]|->|\w \w", rest) is not None
