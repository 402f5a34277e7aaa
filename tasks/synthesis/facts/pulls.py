"""Pull requests: what changed from what to what, what came and went, who introduced what, why, and what reviewers said.

Only what the patches, commits and people's own sentences say; of a bot's pull request only that it changed a file. The
description's template is told apart by its lines: they stand in several descriptions of the repository.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tasks.base.records import Document, Kind
from tasks.synthesis.facts.corpus import Corpus, Family
from tasks.synthesis.wordings.grammar import joined
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.patches import Patch, added_names, changed_values, patches, removed_names, renamed
from tasks.text.paths import is_test

MAX_LISTED: Final = 12
TEMPLATE_PULLS: Final = 3
"""A line that stands in this many descriptions is the template's."""

MAX_SENTENCES: Final = 6
MAX_FOLDERS: Final = 3
"""Folders that are named of what a pull request changes."""

MIN_TITLE_WORDS: Final = 4
"""A shorter title says too little to be looked for."""

_NOISE: Final = re.compile(
    r"(?i)^(bump |merge |revert \"merge|fixup!|squash!|wip\b|lint\w*$|format\w*$|typo|tweaks?$|fix(es)?$|update(s)?$|"
    r"prettier|review (comments|feedback)|pr (comments|feedback)|address(es|ing)? (pr |review )?(comments|feedback))"
)
_TRAILER: Final = re.compile(
    r"(?i)^\s*(co-authored-by|signed-off-by|closes|fixes|resolves|refs?|see)\b.{0,20}[:#]|^\s*-{3,}\s*$"
)
_MARKS: Final = re.compile(r"^\s*(#|[-*+] \[[ xX]\]|!\[|<|\||>|```|https?://\S+$|\*\*[^*]+\*\*:?$)")
_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"(])")


@dataclass(frozen=True)
class Gathered:
    """What other documents need to know of a pull request."""

    number: str
    title: str
    paths: tuple[str, ...]
    """Of all files that it changes."""
    added: tuple[str, ...]
    """Of the files whose patch is there."""
    lines: frozenset[str]
    """Lines of its description."""
    merged: str
    """Date of its merge; empty if it was not."""


def gather(document: Document) -> Gathered | None:
    """Title, paths, added names and description lines of a pull request."""
    if document.kind is not Kind.PULL:
        return None
    found = patches(document.meta.get("files") or [])
    return Gathered(
        document.path,
        document.title.strip(),
        tuple(changed_paths(document)),
        tuple(added_names(found)),
        frozenset(line.strip() for line in document.text.split("\n") if len(line.strip()) > 8),
        str(document.meta.get("merged_at") or "")[:10],
    )


@dataclass(frozen=True)
class History:
    """All pull requests of a side together."""

    templates: frozenset[tuple[str, str]]
    """(repository, line) of descriptions' templates."""
    told: dict[str, Gathered]


def history(corpus: Corpus) -> History:
    """What the pull requests of a side have in common."""
    lines: Counter[tuple[str, str]] = Counter()
    told: dict[str, Gathered] = {}
    for identifier, pull in corpus.gathered(FAMILY.name):
        repo = identifier.rsplit("/pull/", 1)[0]
        told[identifier] = pull
        lines.update((repo, line) for line in pull.lines)
    templates = frozenset(line for line, times in lines.items() if times >= TEMPLATE_PULLS)
    return History(templates, told)


def facts(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Facts of a pull request; of a file which pull requests changed it."""
    if document.kind is Kind.FILE:
        yield from _file_history(document, corpus)
    if document.kind is not Kind.PULL or not document.title.strip() or document.meta.get("bot"):
        return
    meta, found = document.meta, patches(document.meta.get("files") or [])
    about = {"merged": str(meta.get("merged_at") or "")[:10], "author": str(meta.get("author") or "")}
    sentences = reasons(document, corpus.once(history).templates)
    yield from _summary(document, corpus, found, about | {"gist": sentences[0] if sentences else ""})
    yield from _changes(document, corpus, found)
    yield from _introduced(document, corpus)
    if sentences:
        span = (1, document.text.count("\n") + 1)
        yield corpus.fact(document, "reason", f"#{document.path}", sentences, span, shape=Shape.PROSE, words=about)
    yield from _commits(document, corpus, about)
    yield from _reviews(document, corpus)
    if about["merged"]:
        yield corpus.fact(document, "merge-date", f"#{document.path}", [about["merged"]], (1, 1), words=about)


def _summary(document: Document, corpus: Corpus, found: list[Patch], about: dict[str, str]) -> Iterator[Fact]:
    changed = changed_paths(document)
    folders = Counter(path.rpartition("/")[0] or "the root folder" for path in changed)
    areas = joined([_folder(name) for name, _ in folders.most_common(MAX_FOLDERS)])
    few = len(folders) <= MAX_FOLDERS
    added, removed, whole = added_names(found), removed_names(found), has_all_patches(document)
    words = about | {
        "areas": areas if few else "",
        "most": "" if few else areas,
        "files": str(len(changed)) if 1 < len(changed) <= 60 else "",
        "added": ", ".join(f"`{name}`" for name in added) if whole and len(added) <= 6 else "",
        "removed": ", ".join(f"`{name}`" for name in removed) if whole and len(removed) <= 6 else "",
    }
    yield corpus.fact(document, "pull", f"#{document.path}", [document.title.strip().rstrip(".")], (1, 1), words=words)
    if len(document.title.split()) >= MIN_TITLE_WORDS and not _NOISE.match(document.title):
        about_areas = {"areas": words["areas"]}
        yield corpus.fact(
            document, "pull-number", document.title.strip(), [f"#{document.path}"], (1, 1), words=about_areas
        )


def _folder(name: str) -> str:
    return f"`{name}`" if name != "the root folder" else name


def _changes(document: Document, corpus: Corpus, found: list[Patch]) -> Iterator[Fact]:
    words = {"pull": f"#{document.path}"}
    for patch in found:
        for name, old, new in changed_values(patch):
            yield corpus.fact(
                document,
                "change",
                name,
                [old, new],
                (1, 1),
                shape=Shape.ORDERED,
                scope=patch.path,
                words=words | {"old": old, "new": new, "line": patch.line_of(name)},
            )
        for old, new in renamed(patch) if not patch.is_test else ():
            yield corpus.fact(document, "rename", old, [new], (1, 1), scope=patch.path, words=words | {"new": new})
    for kind, names in (
        ("symbols-added", added_names(found)),
        ("symbols-removed", removed_names(found)),
    ):
        if 0 < len(names) <= MAX_LISTED and has_all_patches(document):
            yield corpus.fact(document, kind, f"#{document.path}", names, (1, 1), shape=Shape.ALL)


def changed_paths(document: Document) -> list[str]:
    """Paths of the files that a pull request changes, in stored order, those without a patch included."""
    return [str(entry["path"]) for entry in document.meta.get("files") or []]


def has_all_patches(document: Document) -> bool:
    """Whether every patch of code is there; those of long diffs are left out of the corpus."""
    return all(
        isinstance(entry.get("patch"), str) or not language_of(str(entry["path"])) or is_test(str(entry["path"]))
        for entry in document.meta.get("files") or []
        if entry.get("status") != "renamed"
    )


def _introduced(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Names that this pull request alone adds and that the snapshot still defines, once."""
    own, adders = corpus.once(history).told[document.id], corpus.everywhere(_adding)
    if not own.merged:
        return
    for name in own.added:
        where = corpus.defining(document.repo, name)
        if adders[document.repo, name] == [document.id] and len(where) == 1 and corpus.is_unique(document.repo, name):
            file = corpus.document(where[0])
            if file is not None and file.path in own.paths:
                yield corpus.fact(
                    document,
                    "introduction",
                    name,
                    [f"#{document.path}"],
                    (1, 1),
                    words={"file": file.path},
                    rests_on=[file.id],
                )


def reasons(document: Document, templates: frozenset[tuple[str, str]]) -> list[str]:
    """The description's real sentences, in order, without those of the template."""
    known = {line for repo, line in templates if repo == document.repo}
    return sentences(document.text, document.title, known)


def sentences(text: str, title: str, known: Collection[str] = ()) -> list[str]:
    """What people wrote in whole sentences, in order: no headings, check lists, images, trailers or code.

    Args:
        text: Markdown.
        title: which is not repeated.
        known: lines to leave out.
    """
    found: list[str] = []
    inside = False
    paragraph: list[str] = []
    for line in [*re.sub(r"<!--.*?(?:-->|\Z)", "", text, flags=re.DOTALL).split("\n"), ""]:
        if line.lstrip().startswith("```"):
            inside = not inside
        bare = line.strip()
        is_prose = bare and not inside and not _MARKS.match(line) and not _TRAILER.match(line)
        if is_prose and bare not in known:
            paragraph.append(re.sub(r"^[-*+] ", "", bare))
            continue
        found += _END.split(" ".join(paragraph)) if paragraph else []
        paragraph = []
    first = title.strip(" .").lower()
    real = [one.strip() for one in found if _is_sentence(one.strip()) and one.strip(" .").lower() != first]
    return list(dict.fromkeys(real))[:MAX_SENTENCES]


def _is_sentence(text: str) -> bool:
    words = text.split()
    return (
        6 <= len(words) <= 80
        and text[0].isupper()
        and text[-1] in ".!?"
        and "`" * 3 not in text
        and text.count("](") < 3
    )


def commit_subjects(document: Document) -> list[str]:
    """First lines of the commits' messages that say something, in order."""
    found: list[str] = []
    for commit in document.meta.get("commits") or []:
        subject = str(commit.get("message") or "").split("\n")[0].strip()
        if len(subject.split()) >= 3 and not _NOISE.match(subject):
            found.append(re.sub(r"\(#\d+\)$", "", subject).rstrip())
    return list(dict.fromkeys(found))


def _commits(document: Document, corpus: Corpus, about: dict[str, str]) -> Iterator[Fact]:
    subjects = commit_subjects(document)
    if 2 <= len(subjects) <= MAX_LISTED:
        yield corpus.fact(document, "commits", f"#{document.path}", subjects, (1, 1), shape=Shape.ORDERED, words=about)


def _reviews(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """Remarks of reviewers with what came of them: an answer, or that it was merged."""
    comments: list[dict[str, Any]] = document.meta.get("review_comments") or []
    outcome = "It was merged." if document.meta.get("merged_at") else ""
    replies: dict[Any, dict[str, Any]] = {}
    for comment in comments:
        if comment.get("in_reply_to"):
            replies.setdefault(comment["in_reply_to"], comment)
    for comment in comments:
        remark, reviewer = _said(comment), str(comment.get("author") or "")
        if comment.get("in_reply_to") or not remark or not reviewer or reviewer == document.meta.get("author"):
            continue
        reply = replies.get(comment.get("id"))
        answer = _said(reply) if reply else ""
        words = {
            "reviewer": reviewer,
            "file": str(comment.get("path") or ""),
            "answered": f"{reply.get('author')} answered: {answer}" if reply and answer else "",
            "outcome": outcome,
        }
        yield corpus.fact(document, "review", f"#{document.path}", [remark], (1, 1), shape=Shape.PROSE, words=words)
    for review in document.meta.get("reviews") or []:
        remark, reviewer = _said(review), str(review.get("author") or "")
        if remark and reviewer and reviewer != document.meta.get("author"):
            words = {"reviewer": reviewer, "outcome": outcome}
            yield corpus.fact(document, "review", f"#{document.path}", [remark], (1, 1), shape=Shape.PROSE, words=words)


def _said(comment: dict[str, Any] | None) -> str:
    """What a comment says in prose; empty if that is nothing."""
    body = str((comment or {}).get("body") or "")
    lines = [line.strip() for line in re.split(r"```", body)[0].split("\n") if line.strip() and not _MARKS.match(line)]
    text = " ".join(lines)
    return text if 5 <= len(text.split()) <= 120 else ""


def _dated(pull: Gathered) -> str:
    return f"#{pull.number} “{pull.title}”, merged on {pull.merged}"


def _file_history(document: Document, corpus: Corpus) -> Iterator[Fact]:
    """The merged pull requests that change a file, among those that are known: all from `first` on."""
    touching, first = corpus.everywhere(_touching), corpus.everywhere(_first)
    pulls = touching.get((document.repo, document.path), [])
    if not 1 <= len(pulls) <= 8 or not corpus.structure(document).definitions:
        return
    past = corpus.once(history)
    if all(one in past.told for one in pulls):
        told = [_dated(past.told[one]) for one in pulls]
        words = {"first": f"#{first[document.repo]}"}
        yield corpus.fact(
            document, "file-history", document.path, told, (1, 1), shape=Shape.ALL, words=words, rests_on=pulls
        )


def _touching(sides: Sequence[Corpus]) -> dict[tuple[str, str], list[str]]:
    """(repository, path) → ids of the merged pull requests that change the file, in order of their numbers."""
    found: dict[tuple[str, str], list[str]] = {}
    for repo, identifier, pull in _every(sides):
        for path in pull.paths if pull.merged else ():
            found.setdefault((repo, path), []).append(identifier)
    return found


def _adding(sides: Sequence[Corpus]) -> dict[tuple[str, str], list[str]]:
    """(repository, name) → ids of the pull requests that add its definition, in order of their numbers."""
    found: dict[tuple[str, str], list[str]] = {}
    for repo, identifier, pull in _every(sides):
        for name in pull.added:
            found.setdefault((repo, name), []).append(identifier)
    return found


def _first(sides: Sequence[Corpus]) -> dict[str, int]:
    """The lowest number of a known pull request, by repository."""
    found: dict[str, int] = {}
    for repo, _, pull in _every(sides):
        found.setdefault(repo, int(pull.number))
    return found


def _every(sides: Sequence[Corpus]) -> list[tuple[str, str, Gathered]]:
    """(repository, id, pull request) of all sides, in order of numbers."""
    every = [(one.rsplit("/pull/", 1)[0], one, pull) for side in sides for one, pull in side.gathered(FAMILY.name)]
    return sorted(every, key=lambda entry: (entry[0], int(entry[2].number)))


FAMILY: Final = Family("pulls", facts, gather)
