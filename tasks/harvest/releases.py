"""harvest/releases: what a forge tells of each release becomes one document.

In: the releases that `resolve` listed. Out: `records.jsonl` of documents, kind `release`, sorted by id; path is the
tag, the text Markdown under the release's name. A release without notes is a verdict `empty`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.errors import SourceError
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.harvest.params import ReleaseNote, ResolvedReleases
from tasks.text.people import Hidden

VERSION: Final = "2026.11.30"


def document(source: ResolvedReleases, note: ReleaseNote) -> Document:
    """The document of a release."""
    text = note.text.replace("\r\n", "\n").strip()
    if source.people == "hide":
        text = Hidden((), any_name=source.forge != "github").markdown(text)
    return Document(
        id=f"{source.repo}/release/{note.tag}",
        kind=Kind.RELEASE,
        repo=source.repo,
        revision="",
        path=note.tag,
        title=note.title,
        url=note.url,
        text=f"# {note.title}\n\n{text}\n",
        created_at=note.published_at,
        updated_at=note.published_at,
    )


@step("harvest/releases", VERSION)
def releases(run: StepRun, source: ResolvedReleases) -> None:
    """Writes the documents of the selected releases."""
    if len(source.notes) != source.count:
        raise SourceError("harvest/releases: the list of releases is made by resolve; run the flow again")

    def found() -> Iterator[Document]:
        for note in sorted(source.notes, key=lambda note: note.tag):
            if note.text.strip():
                yield document(source, note)
            else:
                run.verdict(f"{source.repo}/release/{note.tag}", "empty")

    run.write(found())
