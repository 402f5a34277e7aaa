"""Pages: what sections explain, what pages define, list, tabulate and decide, what changed from version to version."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tasks.base.records import Document
from tasks.synthesis import pages
from tasks.synthesis.facts.corpus import Corpus, Family, is_page
from tasks.synthesis.pages import Piece, Section
from tasks.text.facts import Fact, Shape

MIN_CHARACTERS: Final = 40
MAX_CHARACTERS: Final = 1_500
"""A longer section is taught by the whole page."""

MAX_ITEMS: Final = 20
MIN_WORDS: Final = 4
"""Of less an item says a type or a link."""
MAX_SUBJECT_WORDS: Final = 8

_SUBJECT: Final = re.compile(
    r"^(?P<subject>(?:The |An? )?[`A-Z][^,.!?:;()]{1,70}?) (?:is|are)"
    r" (?=an? |the |used |responsible |how |where |what )"
)
_DEFINED_ITEM: Final = re.compile(
    r"^(?:\*\*(?P<bold>[^*]{2,60})\*\*|`(?P<code>[^`]{2,60})`)\s*(?::|[-\N{EN DASH}\N{EM DASH}])\s+(?P<text>.{15,})$",
    re.DOTALL,
)
_PRONOUNS: Final = frozenset(
    [
        "this",
        "that",
        "it",
        "there",
        "these",
        "those",
        "here",
        "they",
        "we",
        "you",
        "he",
        "she",
        "i",
        "what",
        "which",
        "who",
        "one",
    ]
)
_VERSION: Final = re.compile(
    r"^\[?(?:version\s+)?v?(?P<version>\d+(?:\.\d+)+[\w.-]{0,20})\]?(?P<rest>\b.{0,60})$", re.IGNORECASE
)
_CHANGES: Final = re.compile(r"(?i)(^|/)(changelog|changes|history|news|releases?|release[-_ ]notes)\b[^/]*$")
_CONTEXT: Final = frozenset(("context", "problem", "background", "context and problem statement"))
_DECISION: Final = frozenset(("decision", "decision outcome", "solution", "the decision"))
_CONSEQUENCE: Final = frozenset(("consequences", "consequence", "implications"))
MAX_COLUMNS: Final = 100
"""A line with more is no row of a table that somebody wrote."""
_FORM: Final = re.compile(r"(?i)(^|/)(pull_request_template|issue_template)[./]")
"""What people fill in when they ask for something; it says nothing itself."""
_DATE: Final = re.compile(r"\(([^()]*\d{4}[^()]*)\)|(\d{4}-\d{2}-\d{2})")


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Facts of a page, in order of its sections; none for anything else."""
    if not is_page(document) or _FORM.search(document.path):
        return
    parts = pages.sections(document.text)
    if _CHANGES.search(document.path) or _CHANGES.search(document.title):
        yield from _versions(document, corpus, parts)
        return
    yield from _decision(document, corpus, parts)
    about = {"topic": next((part.title for part in parts if part.title), "")}
    for part in parts:
        yield from _section(document, corpus, part, about)


def _section(document: Document, corpus: Corpus, part: Section, about: dict[str, str]) -> Iterator[Fact]:
    page = pages.label(document)
    scope = "" if corpus.is_unique_title(document.repo, part.title) else page
    speaking = bool(part.title) and len(part.title.split()) <= 12 and not part.title.endswith("?")
    asked = bool(part.title) and part.title.endswith("?")
    whole = (part.first, part.last)
    prose = pages.prose(part)
    if MIN_CHARACTERS <= len(part.body) <= MAX_CHARACTERS and (prose or pages.list_items(part)):
        if speaking:
            yield corpus.fact(
                document, "section", part.title, [part.body], whole, shape=Shape.PROSE, scope=scope, words=about
            )
        elif asked:
            yield corpus.fact(
                document, "answered-question", part.title, [part.body], whole, shape=Shape.PROSE, words=about
            )
    if speaking and not scope:
        yield corpus.fact(document, "section-place", part.title, [page], (part.first, part.first))
    for paragraph in prose:
        for sentence in pages.sentences(paragraph):
            name = _SUBJECT.match(sentence.text)
            vague = re.search(r"\b(above|below|following|here)\b", sentence.text)
            if name and not vague and _is_name(name["subject"]) and MIN_CHARACTERS <= len(sentence.text) <= 600:
                subject = re.sub(r"^(The|An?) ", lambda match: match[0].lower(), name["subject"])
                yield corpus.fact(
                    document,
                    "definition",
                    subject,
                    [sentence.text],
                    (sentence.first, sentence.last),
                    shape=Shape.PROSE,
                    words={"verb": "are" if sentence.text[len(name[0]) - 4 : len(name[0])].strip() == "are" else "is"},
                )
    items = pages.list_items(part)
    for item in items:
        named = _DEFINED_ITEM.match(item.text)
        if named and len(re.findall(r"[a-z]{2,}", re.sub(r"\]\([^()]*\)", "]", named["text"]))) >= MIN_WORDS:
            yield corpus.fact(
                document,
                "term",
                (named["bold"] or named["code"]).strip(" :"),
                [named["text"].strip()],
                (item.first, item.last),
                shape=Shape.PROSE,
                scope=part.title or page,
                words={"marked": f"“{named['bold'].strip(' :')}”" if named["bold"] else f"`{named['code']}`"},
            )
    if speaking and 2 <= len(items) <= MAX_ITEMS and sum(len(item.text) for item in items) <= MAX_CHARACTERS:
        yield corpus.fact(
            document,
            "list",
            part.title,
            [item.text for item in items],
            (items[0].first, items[-1].last),
            shape=Shape.ALL,
            scope=scope,
        )
    blocks = pages.code_blocks(part)
    if speaking and len(blocks) == 1 and len(blocks[0].text) <= 600 and "```" not in blocks[0].text:
        yield corpus.fact(
            document,
            "snippet",
            part.title,
            [blocks[0].text],
            (blocks[0].first, blocks[0].last),
            scope=scope,
            words={"syntax": blocks[0].label, "lead": prose[0].text if prose and len(prose[0].text) <= 400 else ""},
        )
    for table in tables(part):
        yield from _cells(document, corpus, part, table)


@dataclass(frozen=True)
class Table:
    """A table of a page."""

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """(line, cells)."""


def tables(part: Section) -> list[Table]:
    """Tables with a header and a line of dashes below it, outside code."""
    lines = part.body.split("\n")
    code = {line for block in pages.code_blocks(part) for line in range(block.first, block.last + 1)}
    found: list[Table] = []
    at = 0
    while at + 1 < len(lines):
        dashes = lines[at + 1].strip()
        is_head = "|" in lines[at] and "-" in dashes and not set(dashes) - set("|:- \t") and "|" in dashes
        if not is_head or part.body_first + at in code:
            at += 1
            continue
        header, rows, place = _split(lines[at]), [], at + 2
        while place < len(lines) and "|" in lines[place]:
            cells = _split(lines[place])
            if len(cells) == len(header):
                rows.append((part.body_first + place, cells))
            place += 1
        found.append(Table(header, tuple(rows)))
        at = place
    return found


def _split(line: str) -> tuple[str, ...]:
    if line.count("|") > MAX_COLUMNS:
        return ()
    bare = line.strip().removeprefix("|")
    bare = bare[:-1] if bare.endswith("|") and not bare.endswith("\\|") else bare
    return tuple(pages.plain(cell.replace("\\|", "|").strip()) for cell in re.split(r"(?<!\\)\|", bare))


def _cells(document: Document, corpus: Corpus, part: Section, table: Table) -> Iterator[Fact]:
    firsts = [cells[0] for _, cells in table.rows]
    for line, cells in table.rows:
        if not cells[0] or firsts.count(cells[0]) > 1 or not table.header[0]:
            continue
        for name, cell in zip(table.header[1:], cells[1:], strict=True):
            if name and cell and cell not in ("-", "\N{EN DASH}", "\N{EM DASH}", "n/a", "N/A"):
                yield corpus.fact(
                    document,
                    "table-cell",
                    cells[0].strip("`"),
                    [cell.strip("`") if cell.count("`") == 2 else cell],
                    (line, line),
                    words={"column": name, "row": table.header[0], "section": part.title},
                )


def _decision(document: Document, corpus: Corpus, parts: list[Section]) -> Iterator[Fact]:
    """Of a record of a decision: what was decided, in which context, with which consequences."""
    by_title = {part.title.lower(): part for part in parts if part.body}
    decision = next((by_title[title] for title in by_title if title in _DECISION), None)
    context = next((by_title[title] for title in by_title if title in _CONTEXT), None)
    consequence = next((by_title[title] for title in by_title if title in _CONSEQUENCE), None)
    subject = re.sub(r"^(ADR[- ]?)?\d+[.:)\s-]*", "", parts[0].title).strip() if parts else ""
    if decision is None or not subject or not (context or consequence):
        return
    for kind, part in (("decision", decision), ("decision-context", context), ("decision-consequence", consequence)):
        if part is not None and len(part.body) <= 2 * MAX_CHARACTERS:
            yield corpus.fact(document, kind, subject, [part.body], (part.first, part.last), shape=Shape.PROSE)


def _versions(document: Document, corpus: Corpus, parts: list[Section]) -> Iterator[Fact]:
    """Of a changelog: what a version changed, which version did something, when it came."""
    version, date, level = "", "", 0
    groups: dict[str, list[tuple[str, list[Piece]]]] = {}
    dates: dict[str, str] = {}
    for part in parts:
        found = _VERSION.match(part.title)
        if found:
            version, level = found["version"], part.level
            dated = _DATE.search(part.title)
            date = (dated[1] or dated[2]) if dated else ""
            if date:
                yield corpus.fact(document, "release-date", version, [date], (part.first, part.first))
        elif part.level <= level:
            version = ""
        if not version:
            continue
        group = "" if found else part.title
        items = [item for item in pages.list_items(part) if len(item.text) >= 12]
        if items or part.body.strip():
            groups.setdefault(version, []).append((group, items))
            dates[version] = date
    said = Counter(
        _letters(_bare(item.text)) for found_in in groups.values() for _, items in found_in for item in items
    )
    for version, found_in in groups.items():
        told = [(group, items) for group, items in found_in if items]
        for group, items in told:
            words = {"group": group.lower(), "date": dates[version], "alone": "yes" if len(found_in) == 1 else ""}
            if len(items) <= MAX_ITEMS:
                yield _changed(document, corpus, version, items, words | {"lines": _listed(items)})
            for item in items:
                entry = _bare(item.text).rstrip(".")
                if len(entry.split()) >= 4 and len(entry) <= 200 and "``" not in entry and said[_letters(entry)] == 1:
                    span = (item.first, item.last)
                    yield corpus.fact(document, "changelog-version", entry, [version], span, words=words)
        every = [item for _, items in told for item in items]
        if len(told) == len(found_in) > 1 and all(group for group, _ in told) and len(every) <= MAX_ITEMS:
            lines = "\n\n".join(f"{group}:\n\n{_listed(items)}" for group, items in told)
            yield _changed(
                document,
                corpus,
                version,
                every,
                {"date": dates[version], "alone": "yes", "whole": "yes", "lines": lines},
            )


def _changed(document: Document, corpus: Corpus, version: str, items: list[Piece], words: dict[str, str]) -> Fact:
    span = (items[0].first, items[-1].last)
    entries = [_bare(item.text) for item in items]
    return corpus.fact(document, "changelog", version, entries, span, shape=Shape.ALL, words=words)


def _listed(items: list[Piece]) -> str:
    return "\n".join(f"- {_bare(item.text)}" for item in items)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _bare(text: str) -> str:
    return re.sub(r"\((?:[A-Za-z ]{0,12}#\d{1,9},?){1,20}\)\.?$", "", pages.plain(text)).strip()


def _is_name(subject: str) -> bool:
    words = subject.split()
    return len(words) <= MAX_SUBJECT_WORDS and words[0].lower() not in _PRONOUNS and words[-1].lower() not in _PRONOUNS


FAMILY: Final = Family("documentation", facts)
