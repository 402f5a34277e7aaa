import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tests.corpus.documents import stored_documents


@step("tests/model", "1")
def _model(run: StepRun, path: str) -> None:
    shutil.copytree(path, run.folder, dirs_exist_ok=True)


@pytest.fixture
def folder_artifact(store: Store) -> Callable[[Path], Artifact]:
    """A folder's files as the artifact of a step."""
    return lambda folder: _model.direct(store, path=str(folder))


@pytest.fixture
def stored(store: Store) -> Callable[[Iterable[Document]], Artifact]:
    """Documents as the artifact of a step."""
    return lambda documents: stored_documents.direct(
        store, records=[document.model_dump(mode="json") for document in documents]
    )
