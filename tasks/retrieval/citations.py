"""Which of the passages that a model was shown its answer rests on, and how they are named.

A small model does not cite by itself, and what a model cites may not exist. So nothing that it writes becomes a source
but the number of a passage that it was shown; without one, the passage is cited that has most of the answer's words,
if it has `SUPPORTED` of them. Words of the question, which every passage found has, count for nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from tasks.base.records import NUMBERED, Kind
from tasks.retrieval.index import words
from tasks.retrieval.passages import Passage

SUPPORTED: Final = 0.5
"""Share of an answer's words, weighed by how few of the passages have them, that a cited passage has."""

HEADING: Final = "Sources:"
NOTHING: Final = "Sources: none. No passage that was looked up says this."

_NUMBER: Final = re.compile(r"\[(\d{1,2})\]")


class Source(BaseModel):
    """A passage that a model was shown, as people and programs are told of it."""

    model_config = ConfigDict(frozen=True)

    cited: bool
    """Whether the answer rests on it."""
    place: str
    """`path:first-last @ commit`."""
    url: str | None
    """Where to read it; null where the forge is not known."""
    document_id: str
    first_line: int
    last_line: int
    symbols: tuple[str, ...]


def cited(question: str, answer: str, shown: Sequence[Passage]) -> list[int]:
    """Places in `shown` of the passages that the answer rests on; none where no passage has enough of its words."""
    named = dict.fromkeys(int(number) - 1 for number in _NUMBER.findall(answer))
    chosen = [place for place in named if 0 <= place < len(shown)]
    if chosen or not shown:
        return chosen
    asked = set(words(question))
    wanted = {word for word in words(_NUMBER.sub(" ", answer)) if word not in asked}
    held = [wanted & set(words(passage.text)) for passage in shown]
    weight = {word: 1.0 / max(1, sum(word in one for one in held)) for word in wanted}
    scores = [math.fsum(weight[word] for word in one) for one in held]  # exact, as a set has no order
    best = max(range(len(shown)), key=lambda number: (scores[number], -number))
    return [best] if wanted and scores[best] >= SUPPORTED * math.fsum(weight.values()) else []


def place(passage: Passage) -> str:
    """`path:first-last @ commit`; of a pull request, issue or discussion its number."""
    name = f"#{passage.path}" if passage.kind in NUMBERED else passage.path
    lines = f":{passage.span[0]}-{passage.span[1]}" if passage.span[0] and passage.kind not in NUMBERED else ""
    return f"{name}{lines} @ {passage.revision[:8]}" if passage.revision else f"{name}{lines}"


def link(passage: Passage) -> str | None:
    """The passage's address on its forge: GitHub's, whose file addresses take lines."""
    if passage.url is None:
        return None
    lines = f"#L{passage.span[0]}-L{passage.span[1]}" if passage.kind == Kind.FILE else ""
    return quote(passage.url, safe="%/:?=&") + lines


def sources(question: str, answer: str, shown: Sequence[Passage]) -> list[Source]:
    """Every passage that was shown, those that the answer rests on marked, in the order shown."""
    rests_on = cited(question, answer, shown)
    return [
        Source(
            cited=number in rests_on,
            place=place(passage),
            url=link(passage),
            document_id=passage.document_id,
            first_line=passage.span[0],
            last_line=passage.span[1],
            symbols=passage.symbols,
        )
        for number, passage in enumerate(shown)
    ]


def listed(found: Sequence[Source]) -> str:
    """The cited sources as Markdown, to stand behind the answer."""
    chosen = [one for one in found if one.cited]
    if not chosen:
        return f"\n\n{NOTHING}"
    lines = [f"- [`{_plain(one.place)}`]({one.url})" if one.url else f"- `{_plain(one.place)}`" for one in chosen]
    return "\n\n" + "\n".join([HEADING, *lines])


def without_sources(answer: str) -> str:
    """An earlier answer as the model wrote it, without the list that was put behind it."""
    text, found, listed_there = answer.rpartition(f"\n\n{HEADING}")
    rest = listed_there.strip()
    is_list = listed_there.startswith("\n- ") and all(line.startswith("- ") for line in rest.split("\n"))
    return text if found and (is_list or f"{HEADING} {rest}" == NOTHING) else answer


def _plain(name: str) -> str:
    """A name that cannot end the code span around it."""
    return " ".join(name.replace("`", "'").split())
