"""Method `multi_hop`: questions that need two documents, over edges that there are: imports and calls that the syntax
tree shows, and pull requests with the files that they touch (`pull_edges.py`).

Only real edges are asked about, not all pairs of names (the entity graph of EntiGraph, arXiv 2409.07431, grows with
their square), and only within one side of the split. The answer stands in the second file, which the dialogue names
as its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Document, Kind
from tasks.llm.calls import Call
from tasks.synthesis import prompts
from tasks.synthesis.drafts import Draft, spread
from tasks.synthesis.evidence import NOWHERE, locate, source_text
from tasks.synthesis.facts.imports import import_span
from tasks.synthesis.facts.source import MIN_NAME
from tasks.synthesis.index import structure
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.pull_edges import Touch, shown_touch, touches
from tasks.text.imports import Import
from tasks.text.structure import Definition

METHOD: Final = "multi_hop"
PROMPT_VERSION: Final = "multi_hop/2026.11.24.1"

MAX_EDGES: Final = 12
"""Edges of one file that are asked about, spread over the file."""

CONTEXT_LINES: Final = 40
"""Of the importing file a model sees the import and the lines around each use of the name, of the other its
definition, up to this many.
"""

TASK: Final = """\
`{caller}` of the repository `{repo}` imports `{name}`, which `{path}` defines. Write up to 2 question-answer pairs \
that need both: the question names `{caller}` and what it does there, but neither `{path}` nor what stands in it; the \
answer stands in `{path}`. Give as evidence one line of each document, copied word for word."""


PULL_TASK: Final = """\
Pull request #{number} of the repository `{repo}` touches `{path}`. Write up to 2 question-answer pairs that need \
both: the question names the pull request and what it does, but neither `{path}` nor what stands in it; the answer \
stands in `{path}`. Give as evidence one line of each document, copied word for word."""


class Hop(prompts.Reply):
    """One question over two documents."""

    question: str
    answer: str
    evidence_first: str
    evidence_second: str


class Hops(prompts.Reply):
    """The reply."""

    pairs: list[Hop]


@dataclass(frozen=True)
class Edge:
    """An import that leads to a definition of the repository."""

    item: Import
    span: tuple[int, int]
    target: Document
    definition: Definition


def applies(subject: Subject) -> bool:
    """Files and pull requests."""
    return not subject.document.is_page


def edges(subject: Subject) -> list[Edge]:
    """Imports that lead to a file of the same side which defines the imported name once, in order of lines."""
    document = subject.document
    lines = document.text.split("\n")
    found: list[Edge] = []
    for item in structure(document.path, document.text).imports:
        span = import_span(item, lines)
        target = subject.index.imported(document, subject.split, item) if span and item.names else None
        if span is None or target is None or target.id == document.id:
            continue
        tree = structure(target.path, target.text)
        for name in dict.fromkeys(item.names):
            definition = tree.named(name)
            if definition is not None and len(name) >= MIN_NAME:
                found.append(Edge(item, span, target, definition))
    return [found[place] for place in spread(len(found), MAX_EDGES)]


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call for each edge, with what matters of both files."""
    document = subject.document
    if document.kind is Kind.PULL:
        for touch in touches(subject):
            path = touch.target.path
            shown = prompts.block(document, shown_touch(document, touch), 1, document.text.count("\n") + 1)
            task = PULL_TASK.format(number=document.path, repo=document.repo, path=path)
            yield prompts.call(document, METHOD, f"{METHOD}/{path}", Hops, [shown, _touched(touch)], task, params)
        return
    for edge in edges(subject):
        first, second = _around_uses(document, edge), _definition(edge.target, edge.definition)
        task = TASK.format(caller=document.path, repo=document.repo, name=edge.definition.name, path=edge.target.path)
        part = f"{METHOD}/{edge.target.path}/{edge.definition.name}"
        yield prompts.call(document, METHOD, part, Hops, [first, second], task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The pairs of a reply; both quotes must be right, the second decides the span."""
    assert isinstance(answer, Hops)
    target = next((found for part, found in _targets(subject) if call.id.endswith(f"/{part}")), None)
    for pair in answer.pairs if target else ():
        here = locate(source_text(subject.document), pair.evidence_first)
        span = locate(target.text, pair.evidence_second) if target and here != NOWHERE else NOWHERE
        yield Draft(pair.question.strip(), pair.answer.strip(), span, (pair.evidence_second,), source=target)


def _targets(subject: Subject) -> Iterator[tuple[str, Document]]:
    """(end of a call's id, second document)."""
    if subject.document.kind is Kind.PULL:
        yield from ((touch.target.path, touch.target) for touch in touches(subject))
    else:
        yield from ((f"{edge.target.path}/{edge.definition.name}", edge.target) for edge in edges(subject))


def _around_uses(document: Document, edge: Edge) -> str:
    lines = document.text.split("\n")
    uses = [number for number, line in enumerate(lines, 1) if edge.definition.name in line]
    shown = {number for use in uses for number in range(use - 3, use + 4)} | set(range(edge.span[0], edge.span[1] + 1))
    kept = [number for number in sorted(shown) if 1 <= number <= len(lines)][:CONTEXT_LINES]
    return prompts.block(document, "\n".join(lines[number - 1] for number in kept), kept[0], kept[-1])


def _definition(target: Document, definition: Definition) -> str:
    lines = target.text.split("\n")
    first = definition.outer_line
    last = min(definition.last_line, first + CONTEXT_LINES - 1)
    return prompts.block(target, "\n".join(lines[first - 1 : last]), first, last)


def _touched(touch: Touch) -> str:
    """Of a touched file the definition that the pull request names, else the beginning."""
    if touch.named is not None:
        return _definition(touch.target, touch.named)
    lines = touch.target.text.split("\n")[:CONTEXT_LINES]
    return prompts.block(touch.target, "\n".join(lines), 1, len(lines))
