"""How a fact is said: wordings with slots, articles and number, joined lists.

Slots of every wording, besides the fact's own `words`:

    {repo} {path} {page} {title} {number}    of the fact's document; {page} is a label, {number} a pull request's
    {subject} {named}                         the subject; {named} is `subject`, with “in `scope`” where it has one
    {value} {values} {bullets} {text}         the first value; all in backticks joined by commas and “and”;
                                              one a line; joined by spaces
    {count:#file|files} {count:is|are}        how many values, with its noun; the verb alone

`{thing!a}` puts the article before (“an interface”), `{thing!c}` makes the first letter large, `{thing!p}` the plural;
`{subject!q}` puts backticks around and the article before them.
A wording with a slot that is missing or empty is not used for the fact.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tasks.text.facts import Fact

Bank = tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """How a kind of fact is asked for and answered."""

    questions: Bank
    """At least eight."""
    answers: Bank
    """Several, value first, path second, of different lengths."""
    explains: bool = True
    """Whether the answer explains something; false for places, imports and other lookups."""


class _Said(string.Formatter):
    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion == "a":
            return with_article(str(value))
        if conversion == "c":
            return str(value)[:1].upper() + str(value)[1:]
        if conversion == "q":
            return with_article(f"`{value}`")
        if conversion == "p":
            return plural(str(value))
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:
        if "|" in format_spec:
            one, many = format_spec.removeprefix("#").split("|")
            noun = one if str(value) == "1" else many
            return f"{value} {noun}" if format_spec.startswith("#") else noun
        return super().format_field(value, format_spec)


_SAID = _Said()


def said(wording: str, words: Mapping[str, str]) -> str:
    """A wording with its slots filled."""
    return _SAID.vformat(wording, (), words)


@lru_cache(maxsize=4096)
def slots(wording: str) -> tuple[str, ...]:
    """Names of a wording's slots."""
    return tuple(name for _, name, _, _ in _SAID.parse(wording) if name)


def usable(bank: Iterable[str], words: Mapping[str, str]) -> list[str]:
    """The wordings of a bank whose slots all have something to say."""
    return [wording for wording in bank if all(words.get(name) for name in slots(wording))]


def slots_of(fact: Fact) -> dict[str, str]:
    """The slots that a fact fills by itself."""
    named = f"`{fact.subject}`"
    return {
        "subject": fact.subject,
        "scope": fact.scope,
        "named": f"{named} in `{fact.scope}`" if fact.scope else named,
        "value": fact.values[0] if fact.values else "",
        "values": joined([f"`{value}`" for value in fact.values]),
        "bullets": "\n".join(f"- {value}" for value in fact.values),
        "text": " ".join(fact.values),
        "count": str(len(fact.values)),
        **fact.words,
    }


def joined(parts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def with_article(noun: str) -> str:
    """`a function`, `an interface`, `an HTTP route`, `a user`."""
    bare = noun.lstrip("`“\"'")
    vowel = re.match(r"[aeioAEIO]|[uU](?!ni|s[eu]|ti)|[hH](?:onou?r|our)|[FHLMNRSX](?=[A-Z0-9])", bare)
    return f"{'an' if vowel else 'a'} {noun}"


def plural(noun: str) -> str:
    """`functions`, `classes`, `properties`."""
    if re.search(r"(?:s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def merged(banks: Iterable[Mapping[str, Wording]]) -> dict[str, Wording]:
    """The wordings of all families.

    Raises:
        ValueError: two families word the same kind.
    """
    found: dict[str, Wording] = {}
    for kind, wording in _pairs(banks):
        if kind in found:
            raise ValueError(f"two families word the kind {kind!r}")
        found[kind] = wording
    return found


def _pairs(banks: Iterable[Mapping[str, Wording]]) -> Iterator[tuple[str, Wording]]:
    for bank in banks:
        yield from bank.items()
