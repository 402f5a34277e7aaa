"""What a model is shown: a document or a window of it, a folder, a pull request, a pull request with its files.

A material is content-addressed: nothing of it depends on the commit or on what other documents say, so that an
unchanged document makes the same material next month. Only documents of the training side are shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import PurePosixPath
from typing import Final, Literal

from tasks.base.records import NUMBERED, Document, Kind, Record, Split
from tasks.synthesis import pages
from tasks.synthesis.drafts import repo_name
from tasks.synthesis.evidence import windows
from tasks.synthesis.index import Index
from tasks.synthesis.methods import Subject
from tasks.synthesis.pull_edges import touches
from tasks.synthesis.pull_why import shown_pull
from tasks.synthesis.study_params import CallParams, Manner
from tasks.text.paths import is_test

LEAST_CHARACTERS: Final = 200
"""Of what is shown; from less a model can learn nothing that a template does not say."""
LEAST_FILES: Final = 2
"""Of a folder."""
FILE_CHARACTERS: Final = 400
"""Of each file of a folder, at least: the folder shows no more files than fit."""
FLOW_FILES: Final = 3
"""Touched files that are shown with a pull request."""
LINE_CHARACTERS: Final = 400
"""Longer lines are cut: they are data or minified code."""

Form = Literal["document", "folder", "pull", "flow"]

MANNERS: Final[dict[Form, frozenset[Manner]]] = {
    "document": frozenset(Manner),
    "folder": frozenset({Manner.SUMMARY, Manner.HOW, Manner.COMPARISON, Manner.CONVERSATION}),
    "pull": frozenset({Manner.SUMMARY, Manner.WHY, Manner.CONVERSATION, Manner.MISUNDERSTANDING}),
    "flow": frozenset({Manner.HOW, Manner.WHY, Manner.WHAT_IF}),
}
"""What is worth asking about each form."""


class Part(Record):
    """Lines of a material that come from one document."""

    document_id: str
    first: int
    """First line of the material."""
    last: int
    begins: int
    """The document's line that stands there first; 0 = what is shown is no line of its text (a title, a patch)."""


class Material(Record):
    """Something that a model is shown, and what it is asked about it."""

    id: str
    """`<document or folder>#<form>/<first line>`."""
    form: Form
    repo: str
    about: str
    """What it is, in words: "the file `src/a.py` of `rocket`"."""
    name: str
    """What questions are to call it."""
    manners: tuple[Manner, ...]
    questions: int
    """In each manner."""
    parts: tuple[Part, ...]
    """In order, without gaps."""
    text: str

    @property
    def lines(self) -> list[str]:
        """What is shown, line by line; the first is line 1."""
        return self.text.split("\n")

    @property
    def digest(self) -> str:
        """Equal for what makes the same prompts, wherever the document lies in its history."""
        said = "\0".join([self.about, self.name, str(self.questions), self.text])
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def place(self, line: int) -> tuple[Part, int] | None:
        """The part that a line belongs to, and the document's own number of it, 0 where it has none."""
        part = next((one for one in self.parts if one.first <= line <= one.last), None)
        return None if part is None else (part, part.begins + line - part.first if part.begins else 0)


def materials(documents: Sequence[Document], index: Index, params: CallParams) -> Iterator[Material]:
    """Everything that is shown of the training side, in the order of the ids.

    Args:
        documents: of the training side alone.
        index: where the rest of the split lies; only its training side is followed.
        params: what is asked, how much is shown.
    """
    found = [*_documents(documents, params), *_folders(documents, params)]
    for document in documents:
        if document.kind is Kind.PULL:
            found += _pull(document, index, params)
    yield from sorted((one for one in found if one.manners), key=lambda one: one.id)


def left_out(document: Document) -> tuple[str, str] | None:
    """Reason and detail why a document is not shown by itself: the quotas leave little of what is asked about tests."""
    if document.kind is Kind.FILE and is_test(document.path):
        return "test", ""
    if len(document.text.strip()) < LEAST_CHARACTERS:
        return "too-short", f"fewer than {LEAST_CHARACTERS} characters"
    return None


def what_of(document: Document) -> str:
    """What a document without a number is called."""
    return "page" if document.is_page else "file"


def _documents(documents: Iterable[Document], params: CallParams) -> Iterator[Material]:
    for document in documents:
        if document.kind is Kind.PULL or left_out(document):
            continue
        shown = windows(document.text, params.shown_characters)
        for first, _, text in shown:
            lines = [line[:LINE_CHARACTERS] for line in text.split("\n")]
            part = Part(document_id=document.id, first=1, last=len(lines), begins=first)
            called = NUMBERED.get(document.kind)
            name = f"{called} #{document.path}" if called else pages.label(document)
            about = f"{name if called else f'the {what_of(document)} {name}'} of `{repo_name(document)}`"
            if len(shown) > 1:
                about = f"a part of {about}"
            yield _material(document.id, "document", first, document.repo, about, name, [(part, lines)], params)


def _folders(documents: Iterable[Document], params: CallParams) -> Iterator[Material]:
    files = [one for one in documents if one.kind is Kind.FILE and one.text.strip() and not is_test(one.path)]
    ordered = sorted(files, key=lambda one: (one.repo, str(PurePosixPath(one.path).parent), one.path))
    for (repo, folder), held in groupby(ordered, key=lambda one: (one.repo, str(PurePosixPath(one.path).parent))):
        inside = list(held)[: max(LEAST_FILES, params.shown_characters // FILE_CHARACTERS)]
        if len(inside) < LEAST_FILES or folder == ".":
            continue
        share = params.shown_characters // len(inside)
        about = f"the folder `{folder}` of `{repo_name(inside[0])}`"
        shown = [_headed(document, f"== {document.path}", share) for document in inside]
        yield _material(
            f"{repo}/folder/{folder}", "folder", 1, repo, about, f"`{folder}`",
            [piece for pieces in shown for piece in pieces], params,
        )  # fmt: skip


def _pull(document: Document, index: Index, params: CallParams) -> Iterator[Material]:
    """The pull request alone, and with the files that it touches."""
    said = _said(document, params.shown_characters)
    name = f"pull request #{document.path}"
    about = f"{name} of `{repo_name(document)}`"
    if sum(len(line) for _, lines in said for line in lines) >= LEAST_CHARACTERS:
        yield _material(document.id, "pull", 1, document.repo, about, name, said, params)
    touched = touches(Subject(document, Split.TRAIN, False, index))[:FLOW_FILES]
    if not touched:
        return
    half = params.shown_characters // 2
    shown = _said(document, half)
    for touch in touched:
        start = touch.named.outer_line if touch.named else 1
        head = f"== {touch.target.path} as it is now"
        shown += _headed(touch.target, head, half // len(touched), start)
    about = f"{about} together with the files that it changed"
    yield _material(document.id, "flow", 1, document.repo, about, name, shown, params)


def _said(document: Document, limit: int) -> list[tuple[Part, list[str]]]:
    """Title, description, threads and patches of a pull request, cut at the limit; its commits where nobody described
    it.
    """
    text = document.text.strip("\n").split("\n") if document.text.strip() else []
    blank = len(document.text) - len(document.text.lstrip("\n"))
    messages = [str(one.get("message") or "") for one in document.meta.get("commits") or []]
    rest = shown_pull(document.model_copy(update={"title": "", "text": ""}), limit).strip()
    told = "\n\n".join([*(f"Commit: {one}" for one in messages if one and not text), rest]).strip()
    left = limit - len(document.title)
    shown = [(0, [document.title, ""])]
    for line, lines in ((blank + 1, [*text, ""] if text else []), (0, told.split("\n") if told else [])):
        kept = _cut(lines, left) if left > 0 else []
        left -= sum(map(len, kept))
        shown += [(line, kept)] if kept else []
    return _numbered(document.id, shown)


def _headed(document: Document, head: str, limit: int, start: int = 1) -> list[tuple[Part, list[str]]]:
    """A heading, and the document from a line on, cut at the limit."""
    lines = document.text.removesuffix("\n").split("\n")[start - 1 :]
    return _numbered(document.id, [(0, [head]), (start, _cut(lines, limit))])


def _cut(lines: Sequence[str], limit: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        limit -= len(line[:LINE_CHARACTERS]) + 1
        if kept and limit < 0:
            break
        kept.append(line[:LINE_CHARACTERS])
    return kept


def _numbered(identifier: str, shown: Iterable[tuple[int, list[str]]]) -> list[tuple[Part, list[str]]]:
    return [(Part(document_id=identifier, first=1, last=len(lines), begins=begins), lines) for begins, lines in shown]


def _material(
    about_id: str,
    form: Form,
    first: int,
    repo: str,
    about: str,
    name: str,
    shown: Sequence[tuple[Part, list[str]]],
    params: CallParams,
) -> Material:
    parts, lines = [], list[str]()
    for part, held in shown:
        first_line = len(lines) + 1
        parts.append(part.model_copy(update={"first": first_line, "last": first_line + len(held) - 1}))
        lines += held
    return Material(
        id=f"{about_id}#{form}/{first:06d}",
        form=form,
        repo=repo,
        about=about,
        name=name,
        manners=tuple(manner for manner in Manner if manner in params.manners and manner in MANNERS[form]),
        questions=params.questions,
        parts=tuple(parts),
        text="\n".join(lines),
    )
