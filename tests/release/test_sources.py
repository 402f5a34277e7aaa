"""Answers with sources: the protocol with an engine that says what it is told, and the index that a release holds."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Document
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.chat_api import ChatRequest
from tasks.release.gate import gate
from tasks.release.lineage import chosen_release
from tasks.release.params import GateParams, ReleaseParams
from tasks.release.publish import ensure_published, publish
from tasks.release.sources import has_index, index, index_of, what_changed
from tasks.retrieval.index import Index
from tasks.retrieval.params import RetrievalParams
from tasks.retrieval.passages import Passage, passages
from tests.release.conftest import FACTS, Adapter
from tests.release.test_serving_attacks import KEY, served

REVISION = "7" * 40


def page_of(path: str, text: str) -> Document:
    return Document(
        id=f"hello/file/{path}", kind="file", repo="hello", revision=REVISION, path=path, title=path,
        url=f"https://forge.example/hello/blob/{REVISION}/{path}", text=text, created_at=None, updated_at=None,
    )  # fmt: skip


PAGES = [page_of("setup.py", "Setup installs the parcels."), page_of("moon.py", "The moon is far.")]


class Whole:
    """An answer that is there at once."""

    def __init__(self, text: str) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        for piece in (*text.split(" "), None):
            self.queue.put_nowait(piece if piece is None else f"{piece} ")

    def tokens(self) -> int:
        return 3

    def cancel(self) -> None:
        pass


class Echo:
    """An engine with an index, a token a character, that answers with the end of its prompt's first passage."""

    names: Sequence[str] = ("tuned-retrieval", "base-retrieval", "tuned", "base")
    context_tokens = 1000

    def __init__(self) -> None:
        self.turns: list[tuple[str, str]] = []
        self.index = Index.of(passages(PAGES, 100))
        self.says = "The parcels, it installs."

    def look_up(self, model: str, question: str) -> list[Passage]:
        assert model.endswith("-retrieval")
        return self.index.search(question, 3)

    def prompt(self, turns: Sequence[tuple[str, str]]) -> list[int]:
        self.turns = list(turns)
        return list(range(sum(len(text) for _, text in turns)))

    def start(self, asked: ChatRequest, prompt: list[int], new_tokens: int, seconds: float) -> Whole:
        return Whole(self.says)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def client(echo: Echo) -> Iterator[OpenAI]:
    with served(echo) as port:
        yield OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=KEY, max_retries=0)


def say(text: str) -> Any:
    return {"role": "user", "content": text}


LINK = f"- [`setup.py:1-1 @ 77777777`](https://forge.example/hello/blob/{REVISION}/setup.py#L1-L1)"


def test_answer_carries_its_sources_in_text_and_field(echo: Echo, client: OpenAI) -> None:
    made = client.chat.completions.create(
        model="tuned-retrieval", messages=[say("What does setup install?")], max_tokens=9
    )
    assert made.choices[0].message.content == f"The parcels, it installs. \n\nSources:\n{LINK}"
    (source,) = made.model_extra["sources"]  # type: ignore[index]
    assert source == {
        "cited": True,
        "place": "setup.py:1-1 @ 77777777",
        "url": f"https://forge.example/hello/blob/{REVISION}/setup.py#L1-L1",
        "document_id": "hello/file/setup.py",
        "first_line": 1,
        "last_line": 1,
        "symbols": [],
    }
    assert echo.turns == [
        (
            "user",
            "Use the following excerpts to answer.\n\n[1] setup.py, lines 1 to 1:\nSetup installs the parcels.\n\n"
            "Question: What does setup install?",
        )
    ]


def test_stream_ends_with_sources_and_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tuned-retrieval",
        messages=[say("What does setup install?")],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == f"The parcels, it installs. \n\nSources:\n{LINK}"
    (told,) = [chunk.model_extra["sources"] for chunk in chunks if "sources" in (chunk.model_extra or {})]
    assert [one["cited"] for one in told] == [True]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_closed_book_model_has_no_sources_and_an_earlier_list_is_not_shown_to_any(echo: Echo, client: OpenAI) -> None:
    earlier = {"role": "assistant", "content": f"Parcels.\n\nSources:\n{LINK}"}
    made = client.chat.completions.create(model="tuned", messages=[say("What?"), earlier, say("Really?")])  # type: ignore[list-item]
    assert made.choices[0].message.content == "The parcels, it installs. "
    assert "sources" not in (made.model_extra or {})
    assert echo.turns == [("user", "What?"), ("assistant", "Parcels."), ("user", "Really?")]


def test_unsupported_answer_says_so_and_passages_make_room_for_the_answer(echo: Echo, client: OpenAI) -> None:
    echo.says = "Seventeen penguins."
    made = client.chat.completions.create(model="tuned-retrieval", messages=[say("What does setup install?")])
    assert made.choices[0].message.content.endswith("Sources: none. No passage that was looked up says this.")  # type: ignore[union-attr]
    assert [one["cited"] for one in made.model_extra["sources"]] == [False]  # type: ignore[index]
    made = client.chat.completions.create(
        model="tuned-retrieval", messages=[say("What does setup install?")], max_tokens=960
    )
    assert made.model_extra["sources"] == []  # type: ignore[index]
    assert echo.turns == [("user", "What does setup install?")]


def test_llm_is_told_the_sources(echo: Echo, tmp_path: Path) -> None:
    with served(echo) as port:
        model = {"model_id": "ours", "model_name": "tuned-retrieval", "api_base": f"http://127.0.0.1:{port}/v1"}
        model["api_key_name"] = "ours"
        (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]), "utf-8")
        command = [sys.executable, "-m", "llm", "-m", "ours", "--key", KEY, "What does setup install?"]
        said = subprocess.run(
            command,
            env=os.environ | {"LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""},
            check=True,
            capture_output=True,
            text=True,
        )
    assert said.stdout == f"The parcels, it installs. \n\nSources:\n{LINK}\n"


@step("corpus/split", "tests")
def documents(run: StepRun) -> None:
    run.write(PAGES[:1], "train.jsonl")
    run.write(PAGES[1:], "held_out.jsonl")


@pytest.mark.parametrize(
    ("params", "inside"),
    [
        (ReleaseParams(), True),
        (ReleaseParams(repo_id="o/r"), True),
        (ReleaseParams(repo_id="o/r", private=False), False),
        (ReleaseParams(repo_id="o/r", private=False, sources="always"), True),
    ],
)
def test_release_holds_its_sources_unless_it_is_public(
    store: Store,
    adapter: Adapter,
    base_files: Artifact,
    report: Artifact,
    table: Artifact,
    params: ReleaseParams,
    inside: bool,
) -> None:
    made = index.direct(store, documents.direct(store), RetrievalParams(retrieved_passages=2))
    assert made.counts["passages"] == 2
    decision = gate.direct(store, report, GateParams())
    release = publish.direct(store, adapter(1), base_files, report, decision, table, params, FACTS, sources=made)
    folder = store.checkout(release)
    assert (folder / "sources" / "retrieval.json").exists() is inside
    assert ("`sources`" in (folder / "README.md").read_text("utf-8")) is inside
    found, how = index_of(store, release)  # the store has it either way
    assert how.retrieved_passages == 2
    assert [one.path for one in Index.open(found).search("Where is the moon?", 3)] == ["moon.py"]


def test_release_without_an_index_is_told(
    store: Store, adapter: Adapter, base_files: Artifact, report: Artifact, table: Artifact
) -> None:
    decision = gate.direct(store, report, GateParams())
    release = publish.direct(store, adapter(1), base_files, report, decision, table, ReleaseParams(), FACTS)
    assert not has_index(store, release)
    name = read_json(store, release, "manifest.json")["revision"]
    with pytest.raises(InputError, match=f"sources: {name} has no index"):
        index_of(store, release)


@step("corpus/split", "tests-later")
def later_documents(run: StepRun) -> None:
    pull = PAGES[0].model_copy(
        update={
            "id": "hello/pull/0000012",
            "kind": "pull",
            "path": "12",
            "title": "More",
            "updated_at": "2024-01-02T00:00:00Z",
        }
    )
    undated = pull.model_copy(update={"id": "hello/pull/0000013", "path": "13", "updated_at": None})
    run.write(
        [page_of("new.py", "New."), page_of("setup.py", "Setup installs the parcels twice."), pull, undated],
        "train.jsonl",
    )
    run.write([], "held_out.jsonl")


def test_what_changed_is_told_by_dates_and_by_the_last_release_up_to_the_day(
    store: Store, adapter: Adapter, base_files: Artifact, report: Artifact, table: Artifact
) -> None:
    decision = gate.direct(store, report, GateParams())
    params = ReleaseParams()
    for seed, split, date in ((1, documents, "2023-12-31"), (2, later_documents, "2024-01-31")):
        made = index.direct(store, split.direct(store), RetrievalParams())
        source = FACTS.sources[0].model_copy(update={"committed_at": f"{date}T00:00:00Z"})
        facts = FACTS.model_copy(update={"sources": (source,)})
        release = publish.direct(store, adapter(seed), base_files, report, decision, table, params, facts, sources=made)
        ensure_published(store, release, params, facts)
    name, latest = chosen_release(store, None)
    told = what_changed(store, name, latest, datetime.date(2024, 1, 1))
    assert told.compared_with is not None
    assert told.compared_with.startswith("snapshot/2023-12-31-")
    assert (told.added, told.removed, told.changed) == (("hello: new.py",), ("hello: moon.py",), ("hello: setup.py",))
    assert ([one.number for one in told.pulls], told.undated_pulls) == (["12"], 1)
    assert told.counts == {"pulls": 1, "added": 1, "removed": 1, "changed": 1}
    before = what_changed(store, name, latest, datetime.date(2023, 1, 1))
    assert (before.compared_with, before.counts["added"]) == (None, 0)


def test_index_with_a_pickled_array_is_not_loaded(store: Store) -> None:
    import numpy as np

    made = index.direct(store, documents.direct(store), RetrievalParams())
    with store.scratch("hostile") as folder:
        for path in store.checkout(made).iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        np.save(folder / "data.csc.index.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(ValueError, match="Python objects"):
            Index.open(folder)
    assert json.loads((store.checkout(made) / "retrieval.json").read_text()) == {
        "retrieved_passages": 3,
        "passage_tokens": 300,
    }
