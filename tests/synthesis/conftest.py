"""Documents and splits that the tests of the synthesis room share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact, Store


def document(path: str, text: str, kind: Kind = Kind.FILE, repo: str = "octo/rocket", **meta: object) -> Document:
    """A document as the harvest makes it; `meta` defaults to a snapshot of December 2023."""
    return Document(
        id=f"{repo}/{kind}/{path}",
        kind=kind,
        repo=repo,
        revision="a" * 40,
        path=path,
        title=path,
        url=None,
        text=text,
        created_at=None,
        updated_at=None,
        meta=meta or {"committed_at": "2023-12-31T12:00:00Z"},
    )


@step("corpus/split", "test")
def split_of(run: StepRun, train: list[str], held_out: list[str]) -> None:
    """An artifact as the corpus room's split makes it, from the documents' JSON lines."""
    for name, lines in (("train.jsonl", train), ("held_out.jsonl", held_out)):
        run.write(sorted(map(Document.model_validate_json, lines), key=lambda record: record.id), name)


MakeSplit = Callable[..., Artifact]


@pytest.fixture
def make_split(store: Store) -> MakeSplit:
    """Writes a split artifact of the given documents into the store."""

    def make(train: Sequence[Document], held_out: Sequence[Document] = ()) -> Artifact:
        return split_of.direct(store, [record.line() for record in train], [record.line() for record in held_out])

    return make
