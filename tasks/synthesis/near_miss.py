"""Method `near_miss`: plausible questions that the documents do not answer, with an honest refusal.

Fine-tuning on new facts erases abstention (3,189 refusals of 21,036 questions fell to at most 5, arXiv 2502.14502,
table 4); a few percent of
unanswerable questions next to answerable ones are meant to keep it. A name is made up from parts of real ones and
checked against every name of
the repository, trained and held out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from tasks.base.records import Document, Kind, Verdict
from tasks.llm.calls import Call
from tasks.synthesis import code_wordings as wordings
from tasks.synthesis import pages, prompts
from tasks.synthesis.code_facts import CALLABLE
from tasks.synthesis.drafts import Draft, pick, repo_name
from tasks.synthesis.evidence import windows
from tasks.synthesis.index import structure
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "near_miss"
PROMPT_VERSION: Final = "near_miss/2026.11.24.1"

TASK: Final = """\
Write exactly {number} questions about `{path}` of the repository `{repo}` that sound as natural as questions which \
it answers, but which it does NOT answer: a detail that it leaves out, a function, option or number that it does not \
have. Name for each in a few words what is missing."""

REFUSALS: Final = (
    "I don't know: {page} of `{repo}` does not say ({missing}).",
    "I can't answer that. As far as I know, {page} of `{repo}` says nothing about it ({missing}).",
    "That is not something {page} of `{repo}` tells ({missing}), so I don't know.",
)

FAKES_PER_NAME: Final = 12

MAX_KNOWN_FILES: Final = 100
"""Of a longer list of files nobody can say that it is whole."""

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class NearMiss(prompts.Reply):
    """One unanswerable question."""

    question: str
    missing: str


class NearMisses(prompts.Reply):
    """The reply."""

    questions: list[NearMiss]


def applies(subject: Subject) -> bool:
    """Every document."""
    return True


def share(subject: Subject, params: SynthesisParams) -> int:
    """How many near misses a document gets, so that over a corpus they are the wanted share of all dialogues.

    The fraction that is left of a whole one is decided by a hash of the document's id.
    """
    if subject.made:
        number = subject.made * params.near_miss_fraction / (1 - params.near_miss_fraction)
    else:
        pairs = max(1.0, len(subject.document.text) * params.pairs_per_1000_characters / 1000)
        number = pairs * params.wordings * params.near_miss_fraction
    chance = int.from_bytes(hashlib.sha256(f"near-miss {subject.document.id}".encode()).digest()[:4], "big") / 2**32
    return int(number) + (chance < number % 1)


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """Made-up definitions of a code file, headings that a page has not, a pull request number beyond the last, files
    that a pull request does not touch.
    """
    document, number = subject.document, share(subject, params)
    if number == 0:
        return
    if document.kind is Kind.PULL:
        yield from _pulls(subject, number)
    elif subject.is_page:
        yield from _sections(subject, number)
    else:
        yield from _definitions(subject, number)


def _definitions(subject: Subject, number: int) -> Iterator[Draft]:
    document, index = subject.document, subject.index
    tree = structure(document.path, document.text)
    kinds = {item.name: item.kind for item in tree.definitions}
    imported = [name for item in tree.imports for name in item.names]
    made: set[str] = set()
    for name, fake in _fakes(list(kinds), list(dict.fromkeys([*kinds, *imported, *index.names(document.repo)]))):
        if len(made) == number:
            return
        if fake in made or fake in document.text or index.is_defined(document.repo, fake):
            continue
        made.add(fake)
        words = {"fake": fake, "name": name, "path": document.path, "repo": repo_name(document)}
        bank = wordings.NO_DEFINITION if kinds[name] in CALLABLE else wordings.NO_NAME
        question = pick(bank, f"{document.id} {fake}", 1)[0].format(**words)
        answer = pick(wordings.NO_DEFINITION_ANSWER, f"{document.id} {fake}", 1)[0].format(**words)
        yield Draft(question, answer, (1, document.text.count("\n") + 1), (name,), answerable=False)


def _fakes(names: list[str], pool: list[str]) -> Iterator[tuple[str, str]]:
    """(real name, made-up name): first one of every name, then a second of every name, up to `FAKES_PER_NAME`.

    Args:
        names: names of the file, in order.
        pool: these names, then others that the file knows, whose last words may be borrowed.
    """
    for turn in range(1, FAKES_PER_NAME + 1):
        for place, name in enumerate(names):
            fake = mixed(name, (pool * 2)[place + turn : place + len(pool)])
            if fake is not None:
                yield name, fake


def mixed(name: str, others: list[str]) -> str | None:
    """A name between two real ones: the first one's last word replaced by another's, in the first one's style; a name
    of one word gets the other's last word behind it.

    `getThresholds` and `formatCurrency` give `getCurrency`, `Tank` and `readLevel` give `TankLevel`. None if no other
    name has a last word that the first has not.
    """
    words = _WORDS.findall(name)
    for other in others:
        last = (_WORDS.findall(other) or [""])[-1]
        if not last or not words or last.isdigit() or last.lower() in (word.lower() for word in words):
            continue
        if len(words) == 1:
            return f"{name}{'_' if name.isupper() else ''}{last.upper() if name.isupper() else last.capitalize()}"
        if name.endswith(words[-1]):
            styled: str = last.capitalize()
            if words[-1].islower():
                styled = last.lower()
            elif words[-1].isupper():
                styled = last.upper()
            return name[: -len(words[-1])] + styled
    return None


def _sections(subject: Subject, number: int) -> Iterator[Draft]:
    """Questions for a subject made of two of the page's own headings, if no page has it and the page's text neither."""
    document = subject.document
    titles = [section.title for section in pages.sections(document.text) if section.title]
    made = 0
    for first, second in zip(titles, titles[1:] + titles[:1], strict=True):
        fake = f"{first} without {second[:1].lower()}{second[1:]}"
        if first == second or fake.lower() in document.text.lower() or made == number:
            continue
        words = {"page": pages.label(document), "repo": repo_name(document), "fake": fake}
        question = pick(wordings.NO_SECTION, f"{document.id} {fake}", 1)[0].format(**words)
        answer = pick(wordings.NO_SECTION_ANSWER, f"{document.id} {fake}", 1)[0].format(**words)
        yield Draft(question, answer, (1, document.text.count("\n") + 1), (), answerable=False)
        made += 1


def _pulls(subject: Subject, number: int) -> Iterator[Draft]:
    document, last = subject.document, subject.index.last_pull(subject.document.repo)
    if last is None or not document.path.isdigit():
        return
    words = {"fake": str(last + 1000 + int(document.path) % 1000), "repo": repo_name(document), "number": document.path}
    question = pick(wordings.NO_PULL, document.id, 1)[0].format(**words)
    answer = pick(wordings.NO_PULL_ANSWER, document.id, 1)[0].format(**words)
    yield Draft(question, answer, (1, 1), (), answerable=False)
    entries = document.meta.get("files") or []
    touched = {entry.get(name) for entry in entries for name in ("path", "previous_path")} - {None}
    if not touched or len(entries) > MAX_KNOWN_FILES:
        return
    others = [
        path for path in subject.index.paths(document, subject.split, number - 1 + len(touched)) if path not in touched
    ]
    for path in others[: number - 1]:
        named = words | {"file": path, "touched": pick(sorted(touched), path, 1)[0]}
        question = pick(wordings.NO_PULL_FILE, f"{document.id} {path}", 1)[0].format(**named)
        answer = pick(wordings.NO_PULL_FILE_ANSWER, f"{document.id} {path}", 1)[0].format(**named)
        yield Draft(question, answer, (1, 1), (), answerable=False)


def calls(subject: Subject, params: SynthesisParams) -> Iterator[Call]:
    """One call about the beginning of the document; a judge must find that it does not answer."""
    document, number = subject.document, share(subject, params)
    shown = windows(document.text, params.window_characters)
    if number and len(shown) == 1:  # of a longer document a model would see too little to know what is missing
        task = TASK.format(number=number, path=document.path, repo=document.repo)
        blocks = [prompts.block(document, shown[0][2], shown[0][0], shown[0][1])]
        yield prompts.call(document, METHOD, METHOD, NearMisses, blocks, task, params)


def drafts(subject: Subject, call: Call, answer: BaseModel) -> Iterator[Draft]:
    """The questions with refusals in our own words."""
    assert isinstance(answer, NearMisses)
    document: Document = subject.document
    for item in answer.questions:
        words = {
            "page": pages.label(document),
            "repo": repo_name(document),
            "missing": item.missing.strip().rstrip("."),
        }
        refusal = pick(REFUSALS, item.question, 1)[0].format(**words)
        yield Draft(item.question.strip(), refusal, (1, document.text.count("\n") + 1), (), answerable=False)
