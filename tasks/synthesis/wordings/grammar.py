"""How a fact is said: wordings with slots, articles and number, joined lists.

Slots of every wording, besides the fact's own `words`:

    {repo} {path} {page} {title} {number}    of the fact's document; {page} is a label, {number} a pull request's
    {subject} {named}                         the subject; {named} is `subject`, with “in `scope`” where it has one
    {value} {values} {bullets} {text}         the first value; all in backticks joined by commas and “and”;
                                              one a line; joined by spaces
    {count:#file|files} {count:is|are}        how many values, with its noun; the verb alone

`{thing!a}` puts the article before (“an interface”), `{thing!c}` makes the first letter large, `{thing!p}` the plural;
`{subject!q}` puts backticks around and the article before them; `{whole!h}` says nothing and is there as a condition.
A wording with a slot that is missing or empty is not used for the fact.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from tasks.text.facts import Fact

Bank = tuple[str, ...]


@dataclass(frozen=True)
class Wording:
    """How a kind of fact is asked for and answered."""

    questions: Bank
    """At least fourteen: interrogative, imperative, indirect, terse, from the other end, out of a situation."""
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
        if conversion == "h":
            return ""
        if conversion == "p":
            return plural(str(value))
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:
        if "|" in format_spec:
            one, many = format_spec.removeprefix("#").split("|")
            noun = one if str(value) == "1" else many
            return f"{number(int(value))} {noun}" if format_spec.startswith("#") else noun
        return super().format_field(value, format_spec)


_SAID = _Said()
_COUNTS_FIRST: Final = re.compile(r"(?:\{\w+!h\})?\{count:#")
_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def number(count: int) -> str:
    """One to twelve as words."""
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def said(wording: str, words: Mapping[str, str]) -> str:
    """A wording with its slots filled; a number at the beginning is written large: “Four points”."""
    text = _SAID.vformat(wording, (), words)
    return text[:1].upper() + text[1:] if _COUNTS_FIRST.match(wording) else text


def completed(answer: str, fact: Fact) -> str:
    """An answer that lists something, and what the list leaves out: that tests are users, too, or what is inherited."""
    added = "Tests use it, too." if fact.words.get("tests") else fact.words.get("inherited", "")
    gap = "\n\n" if answer.rsplit("\n", 1)[-1].startswith("- ") else " "
    return f"{answer}{gap}{added}" if added else answer


@lru_cache(maxsize=4096)
def slots(wording: str) -> tuple[str, ...]:
    """Names of a wording's slots."""
    return tuple(name for _, name, _, _ in _SAID.parse(wording) if name)


def usable(bank: Iterable[str], words: Mapping[str, str]) -> list[str]:
    """The wordings of a bank whose slots all have something to say."""
    return [wording for wording in bank if all(words.get(name) for name in slots(wording))]


SCOPED: Final = frozenset({"asked", "named", "page", "path", "scope", "workflow"})
"""Slots that say of which of several things of a name the question is."""


def asking(wording: Wording, words: Mapping[str, str]) -> list[str]:
    """The questions that can be asked with some words; where others are called alike, those that say which is meant."""
    questions = usable(wording.questions, words)
    return ([one for one in questions if not SCOPED.isdisjoint(slots(one))] if words.get("scope") else []) or questions


def slots_of(fact: Fact) -> dict[str, str]:
    """The slots that a fact fills by itself."""
    named = f"`{fact.subject}`"
    if fact.subject.endswith(".__init__"):
        named = f"the constructor of `{fact.subject.removesuffix('.__init__')}`"
    words = fact.words | ({"thing": ""} if fact.subject.endswith(".__init__") else {})  # “the method the constructor”
    return {
        "subject": fact.subject,
        "scope": fact.scope,
        "named": f"{named} in `{fact.scope}`" if fact.scope else named,
        "value": fact.values[0] if fact.values else "",
        "values": joined([f"`{value}`" for value in fact.values]),
        "bullets": "\n".join(f"- {value}" for value in fact.values),
        "text": " ".join(fact.values),
        "count": str(len(fact.values)),
        **words,
    }


_VERBS: Final = """
add allow apply assert attach build cache calculate call cancel catch change check clean clear close coerce collect
combine compare compute configure convert copy count create decode define delete describe detect determine dispatch
drop emit enable encode ensure enter escape evaluate execute exit expand extract fetch fill filter find flush format
generate get give group guess handle help hold import include indicate infer initialise initialize insert inspect
instantiate iterate join keep like list load log look lookup make map mark match measure merge mount move normalise
normalize notify obtain open parse pass perform pick post prepare print process produce provide put raise read receive
redirect register reject release remove rename render replace represent request reset resolve respond restore return
rewrite run save scan search select send serialise serialize serve set setup show skip sort split start stop store
stream strip submit support switch take test throw translate transform trim trigger turn unquote update upload use
validate verify wait warn wrap write yield
"""
_BASE_FORMS: Final = frozenset(_VERBS.split())


def indicative(sentence: str) -> str:
    """A sentence that orders as one that tells: “Return the host and close it.” → “It returns the host and closes it.”
    Others stay as they are.
    """
    first, space, rest = sentence.partition(" ")
    if first.lower() not in _BASE_FORMS or re.match(r"(of|for|used|that|which|with|is|are|was|to be)\b", rest):
        return sentence
    rest = re.sub(
        r"\b(and|then) ([a-z]+)(?= (?:an?|the|it|them|its|their|all|any|each)\b)",
        lambda match: f"{match[1]} {plural(match[2]) if match[2] in _BASE_FORMS else match[2]}",
        rest,
    )
    return f"It {plural(first.lower())}{space}{rest}"


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
