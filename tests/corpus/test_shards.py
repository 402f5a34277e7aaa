import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect import flow
from prefect.client.orchestration import get_client

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.shards import RunnerParams, Shard, mapped, shards_of
from tasks.base.store import Store
from tasks.corpus.chunk import chunk
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.params import DeduplicateParams, RedactParams, RenderParams, SplitParams
from tasks.corpus.redact import redact
from tasks.corpus.split import split
from tests.corpus.documents import file, pull, stored_documents
from tests.corpus.test_deduplicate import prose

Stored = Callable[[Iterable[Document]], Artifact]


def paths_of(shard: Shard) -> list[str]:
    return [document.path for document in shard.read(Document)]


@given(size=st.integers(1, 3_000), lengths=st.lists(st.integers(0, 900), max_size=8))
def test_shards_cover_every_record_once_whatever_their_size(
    tmp_path_factory: pytest.TempPathFactory, size: int, lengths: list[int]
) -> None:
    store = Store(str(tmp_path_factory.mktemp("shards")))
    artifact = Artifact(step="tests/x", version="1", uri="", sha256="a", counts={})
    folder = store.local("cas", "a")
    documents = [file(f"{number}.txt", "é" * length) for number, length in enumerate(lengths)]
    (folder / "records.jsonl").write_text("".join(f"{document.line()}\n" for document in documents), "utf-8")
    shards = list(shards_of(store, artifact, size=size))
    assert [path for shard in shards for path in paths_of(shard)] == [document.path for document in documents]
    assert list(mapped(paths_of, shards, RunnerParams())) == [paths_of(shard) for shard in shards]


def documents_of_many_kinds() -> list[Document]:
    files = [
        file(f"src/{number:03d}.md", "\n\n".join(" ".join(prose(number + part, 60)) for part in range(9)))
        for number in range(120)
    ]
    pulls = [
        pull(number, text=" ".join(prose(number)), patches=[(f"src/{number:03d}.md", "@@ -1 +1 @@\n+a\n+b")])
        for number in range(40)
    ]
    return [*files, *pulls, file("copy.md", files[3].text), file("mail.md", "write to jane.doe@guardian.co.uk please")]


def flow_names() -> set[str]:
    with get_client(sync_client=True) as client:
        return {known.name for known in client.read_flows()}


def run_all(store: Store, documents: Artifact, model: Artifact, runner: RunnerParams) -> list[Artifact]:
    redacted = redact(store, documents=documents, params=RedactParams(personal=("email",)), runner=runner)
    unique = deduplicate(store, documents=redacted, params=DeduplicateParams(), runner=runner)
    both = split(store, documents=unique, params=SplitParams(), validation_fraction=0.1, runner=runner)
    return [
        redacted,
        unique,
        both,
        chunk(store, documents=both, model=model, params=RenderParams(), max_tokens=256, runner=runner),
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_dask_cluster_of_two_workers_gives_the_same_bytes(
    store: Store,
    stored: Stored,
    tokenizer_artifact: Artifact,
    prefect_harness: None,
) -> None:
    documents = stored(documents_of_many_kinds())

    @flow
    def both() -> list[list[Artifact]]:
        here = run_all(store, documents, tokenizer_artifact, RunnerParams())
        for manifest in store.local("steps", "corpus").rglob("manifest.json"):
            manifest.unlink()
        return [here, run_all(store, documents, tokenizer_artifact, RunnerParams(runner="dask", shard_bytes=100_000))]

    here, there = both()
    assert json.dumps([artifact.model_dump() for artifact in here]) == json.dumps(
        [artifact.model_dump() for artifact in there]
    )
    assert there[-1].counts["documents"] == there[1].counts["records"] > 150
    assert "shards" in flow_names()


@pytest.mark.slow
def test_shards_are_read_from_an_object_store(s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = Store(f"{s3_bucket}/shards")
    records = [document.model_dump(mode="json") for document in documents_of_many_kinds()]
    documents = stored_documents.direct(store, records=records)
    shards = list(shards_of(store, documents, size=50_000))
    assert len(shards) > 5
    assert [path for shard in shards for path in paths_of(shard)] == [
        record["path"] for record in sorted(records, key=lambda record: record["id"])
    ]
    redacted = redact.direct(store, documents=documents, params=RedactParams(personal=("email",)))
    assert redacted.counts == {"documents_redacted": 1, "records": 162, "verdict:redacted-email": 1}
