"""harvest/issues, harvest/discussions: each selected one becomes a document with what was said in it.

In: the selection that `resolve` made. Out: `records.jsonl` of documents, kind `issue` or `discussion`, sorted by id,
each as it stood at the source's date. A document's text is the first post; `meta` has number, state, closed_at, author,
labels, comments (id, author, created_at, body, of discussions in_reply_to), and of an issue not_planned, of a
discussion category, answer (id of the comment) and answered_at. `corpus/filter` puts the conversation together.
People are hidden unless `people: keep`; programs keep their names, by which they are left out later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tasks.base.errors import SourceError
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.decoding import whole
from tasks.harvest.forge.at_date import ended_at
from tasks.harvest.params import ForgeName, PullReference, ResolvedThreads
from tasks.harvest.threads import Threads
from tasks.text.people import Hidden, without_mail

VERSION: Final = "2026.11.30"

Item = dict[str, Any]

DELETED: Final = "ghost"
"""What GitHub calls everybody whose account is gone."""
_OUTSIDE_META: Final = frozenset({"title", "url", "body", "created_at", "updated_at"})


def document(source: ResolvedThreads, reference: PullReference, thread: Item) -> tuple[Document, int]:
    """The document of a thread, and how many half surrogate pairs were replaced in it.

    Args:
        source: what was resolved.
        reference: which one it is.
        thread: as it stood at the source's date, with `closed_at`.
    """
    (said,), halves = whole([thread])
    if source.people == "hide":
        said = without_people(said, source.forge)
    made = Document(
        id=f"{source.repo}/{source.kind}/{reference.number:07d}",
        kind=source.kind,
        repo=source.repo,
        revision="",
        path=str(reference.number),
        title=said["title"],
        url=said["url"],
        text=said["body"],
        created_at=said["created_at"],
        updated_at=said["updated_at"],
        meta={name: value for name, value in said.items() if name not in _OUTSIDE_META},
    )
    return made, halves


def without_people(thread: Item, forge: ForgeName) -> Item:
    """A thread in which people are `Person 1`, `Person 2`, in the order in which they spoke."""
    comments = thread["comments"]
    first = sorted(comments, key=lambda entry: (entry["created_at"], entry["id"]))
    spoke = [thread["author"], *(entry["author"] for entry in first)]
    people = Hidden((name for name in spoke if name != DELETED), any_name=forge != "github")
    told = [
        entry | {"author": people.name(entry["author"]), "body": people.markdown(without_mail(entry["body"]))}
        for entry in comments
    ]
    return thread | {
        "title": people.markdown(thread["title"]),
        "body": people.markdown(thread["body"]),
        "author": people.name(thread["author"]),
        "comments": told,
    }


@step("harvest/issues", VERSION)
def issues(run: StepRun, source: ResolvedThreads) -> None:
    """Writes the documents of the selected issues or discussions."""
    if len(source.selection) != source.count:
        raise SourceError(f"{run.step}: the selection is made by resolve; run the flow again")
    threads = Threads(run, source)
    threads.read()

    def found() -> Iterator[Document]:
        for reference in sorted(source.selection, key=lambda reference: reference.number):
            thread = threads.of(reference) | {"closed_at": ended_at(threads.found(reference), source.until)}
            made, halves = document(source, reference, thread)
            if halves:
                run.count("half_characters", halves)
            yield made

    run.write(found())
    run.ledger("harvest", threads_fetched=threads.fetched, requests=threads.requests)
