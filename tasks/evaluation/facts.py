"""Facts that only the evaluation asks about: code to go on with, headings, files of pull requests, what changed.

Everything else is asked about the facts of the step `synthesis/facts`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from rapidfuzz import fuzz

from tasks.base.records import Document, Kind, Split
from tasks.evaluation.questions import CODE_LINES
from tasks.text.facts import Fact, Shape
from tasks.text.languages import is_markdown, language_of
from tasks.text.markdown import sections
from tasks.text.paths import is_test
from tasks.text.structure import Definition, definitions

MIN_NAME_CHARACTERS: Final = 4
"""Shorter names (`i`, `run`) are nobody's question."""

MAX_ANSWER_CHARACTERS: Final = 300
"""A longer reference would not fit a short answer."""

CHANGES: Final = frozenset({"change", "rename"})
"""Kinds of facts that tell what was true before and what is true since."""

ALIKE: Final = 60.0
"""Likeness (rapidfuzz, 0 to 100) from which two names are names of one thing: of seven renames of manage-frontend read
by eye six had 72 and more, and one with 36 was two things in one place of a diff."""

MAX_CHANGED_CHARACTERS: Final = 80
"""Longer values are nobody's question."""

CALLABLE: Final = frozenset({"function", "method"})
COMMON: Final = frozenset(
    {"constructor", "default", "handler", "index", "init", "main", "props", "render", "setup", "test", "toString"}
)


def own_facts(documents: Iterable[Document], split: Split) -> list[Fact]:
    """Facts of the documents of one side, in document order."""
    return [fact for document in documents for fact in _of(document, split)]


def made(
    document: Document,
    split: Split,
    kind: str,
    subject: str,
    values: Sequence[str],
    span: tuple[int, int],
    **words: str,
) -> Fact:
    """A fact of one document; further values are aliases of the first."""
    digest = hashlib.sha256(f"{kind} {subject} {span}".encode()).hexdigest()[:10]
    language = "pull" if document.kind is Kind.PULL else language_of(document.path) or "markdown"
    return Fact(
        id=f"{document.id}#{kind}/{digest}",
        kind=kind,
        language=language,
        subject=subject,
        values=tuple(values),
        shape=Shape.ANY if kind == "pull-file" else Shape.ONE,
        words=words,
        document_id=document.id,
        span=span,
        split=split,
    )


def moved_files(pulls: Iterable[Document], paths: frozenset[str]) -> Iterator[tuple[Document, Fact, Fact]]:
    """(pull request, what the file was called before, what it is called since), for files that are where it put them.

    Args:
        pulls: pull requests of the training side.
        paths: of the snapshot; both the old path's absence and the new one's presence are looked up there.
    """
    renamed = [
        (pull, str(file["previous_path"]), str(file["path"]))
        for pull in pulls
        for file in pull.meta.get("files", ())
        if file.get("previous_path") and pull.meta.get("merged_at")
    ]
    often = Counter(name for _, old, new in renamed for name in (old, new))
    for pull, old, new in renamed:
        if new in paths and old not in paths and often[old] == often[new] == 1:
            span = (1, pull.text.count("\n") + 1)
            yield (
                pull,
                made(pull, Split.TRAIN, "moved-from", new, (old,), span, number=pull.path),
                made(pull, Split.TRAIN, "moved-to", old, (new,), span, number=pull.path),
            )


def changed_values(
    facts: Iterable[Fact], documents: Mapping[str, Document]
) -> Iterator[tuple[Document, *tuple[Fact, ...]]]:
    """(pull request, what a value or a name was before, what it is since), for trained pull requests.

    Tests are left out, and what changed in spaces and quotes alone; a name that is still in use, or that the new one
    hardly resembles, was replaced rather than renamed. The second is left out where a later change has undone it: the
    snapshot's file must have the changed line or the new name.

    Args:
        facts: of which those of the kinds `change` and `rename` are used.
        documents: of both sides, by id.
    """
    texts = {(one.repo, one.path): one.text for one in documents.values() if one.kind is Kind.FILE}
    for fact in facts:
        pull = documents.get(fact.document_id)
        if pull is None or fact.split is not Split.TRAIN or fact.kind not in CHANGES or is_test(fact.scope):
            continue
        now = texts.get((pull.repo, fact.scope), "")
        words = {"number": pull.path, "file": fact.scope}
        if fact.kind == "rename":
            old, new = fact.subject, fact.words["new"]
            if fuzz.ratio(old, new) < ALIKE or any(_has_name(text, old) for text in texts.values()):
                continue
            holds = _has_name(now, new)
            before = made(pull, Split.TRAIN, "renamed-from", new, (old,), fact.span, **words)
            since = made(pull, Split.TRAIN, "renamed-to", old, (new,), fact.span, **words)
        else:
            old, new = fact.words["old"], fact.words["new"]
            holds = fact.words["line"].strip() in {line.strip() for line in now.split("\n")}
            before = made(pull, Split.TRAIN, "changed-from", fact.subject, (old,), fact.span, new=new, **words)
            since = made(pull, Split.TRAIN, "changed-to", fact.subject, (new,), fact.span, old=old, **words)
        differs = re.sub(r"[\s'\"`]", "", old) != re.sub(r"[\s'\"`]", "", new)  # not in spelling alone
        if differs and max(len(old), len(new)) <= MAX_CHANGED_CHARACTERS and "\n" not in old + new:
            yield (pull, before, since) if holds else (pull, before)


def _has_name(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _of(document: Document, split: Split) -> Iterator[Fact]:
    if document.kind is Kind.PULL:
        paths = [str(file["path"]) for file in document.meta.get("files", [])]
        if 0 < len(paths) <= 5 and document.title and not document.meta.get("bot"):
            span = (1, document.text.count("\n") + 1)
            yield made(document, split, "pull-file", document.title, paths, span, number=document.path)
    elif (document.is_page and not document.is_conversation) or is_markdown(document.path):
        yield from _headings(document, split)
    elif language_of(document.path):
        yield from _code(document, split)


def _headings(document: Document, split: Split) -> Iterator[Fact]:
    for section in sections(document.text):
        title = re.sub(r"[`*_]", "", section.titles[-1]) if section.titles else ""
        below = len(section.titles) > 1 or section.text.startswith("##")  # not what the page itself is called
        if below and MIN_NAME_CHARACTERS <= len(title) <= 80:
            aliases = tuple(dict.fromkeys((document.path, document.title)))
            yield made(document, split, "heading", title, aliases, (section.first_line, section.first_line))


def _code(document: Document, split: Split) -> Iterator[Fact]:
    lines = document.text.split("\n")
    for one in definitions(document.path, document.text):
        if len(one.name) >= MIN_NAME_CHARACTERS and not one.name.startswith("__") and one.name not in COMMON:
            yield from _continuation(document, split, one, lines)
    opening = lines[: 2 * CODE_LINES]
    if len(lines) > 2 * CODE_LINES and len("".join(opening)) > 80:
        words = {"lines": str(len(opening))}
        yield made(document, split, "opening", document.path, ("\n".join(opening),), (1, len(opening)), **words)


def _continuation(document: Document, split: Split, one: Definition, lines: list[str]) -> Iterator[Fact]:
    """The lines after a definition's first two, if it is long enough to have them."""
    if one.kind not in CALLABLE or one.last_line - one.first_line < CODE_LINES + 2:
        return
    first = one.first_line - 1
    start, following = lines[first : first + 2], lines[first + 2 : first + 2 + CODE_LINES]
    if len("".join(following).strip()) > 40:
        words = {"start": "\n".join(start), "lines": str(CODE_LINES)}
        yield made(
            document, split, "code", one.qualified, ("\n".join(following),), (one.first_line, one.last_line), **words
        )
