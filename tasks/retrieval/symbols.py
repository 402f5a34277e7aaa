"""Where a name of the code is defined and used, by the passages of an index."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.retrieval.citations import link, place
from tasks.retrieval.passages import Passage
from tasks.text.languages import language_of

MAX_DEFINITIONS: Final = 8
MAX_USES: Final = 20


class Found(BaseModel):
    """A passage, or a line of one."""

    model_config = ConfigDict(frozen=True)

    place: str
    """`path:first-last @ commit`."""
    url: str | None
    symbols: tuple[str, ...]
    text: str


class Symbol(BaseModel):
    """What the sources say about a name."""

    model_config = ConfigDict(frozen=True)

    name: str
    definitions: tuple[Found, ...]
    """Passages that define it, whole where they fit; at most `MAX_DEFINITIONS`."""
    uses: tuple[Found, ...]
    """Lines of other passages that have the word, code before pages; at most `MAX_USES`."""
    more: int
    """How many of both were left out."""


def explain(name: str, passages: Iterable[Passage]) -> Symbol:
    """Definitions and uses of a name, plain or qualified (`Cart.total`), in the order of the passages."""
    word = re.compile(rf"(?<![\w$]){re.escape(name.rpartition('.')[2])}(?![\w$])")
    defined: list[Found] = []
    used: list[tuple[bool, Found]] = []
    for passage in passages:
        is_code = language_of(passage.path) is not None
        if is_code and any(one == name or one.endswith(f".{name}") for one in passage.symbols):
            defined.append(found(passage))
            continue
        lines = passage.body.split("\n")
        number = next((number for number, line in enumerate(lines) if word.search(line)), None)
        if number is not None:
            at = passage.span[0] + number if passage.span[0] else 0
            line = passage.model_copy(update={"span": (at, at)})
            used.append((not is_code, found(line, lines[number].strip())))
    used.sort(key=lambda one: one[0])
    left_out = max(0, len(defined) - MAX_DEFINITIONS) + max(0, len(used) - MAX_USES)
    return Symbol(
        name=name,
        definitions=tuple(defined[:MAX_DEFINITIONS]),
        uses=tuple(one for _, one in used[:MAX_USES]),
        more=left_out,
    )


def found(passage: Passage, text: str | None = None) -> Found:
    """A passage as it is told; its whole body unless a text is given."""
    return Found(
        place=place(passage),
        url=link(passage),
        symbols=passage.symbols,
        text=passage.body if text is None else text,
    )
