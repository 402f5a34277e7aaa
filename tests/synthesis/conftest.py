"""Documents and splits that the tests of the synthesis room share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.llm import online
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tests.emulators.openai_api import Billed, OpenAIEmulator

MODEL = "gpt-5-mini"
WRITING = ("page_qa", "page_instruction", "atomic_facts")


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


@pytest.fixture(scope="session")
def _running_server() -> Iterator[OpenAIEmulator]:
    with OpenAIEmulator() as running:
        yield running


@pytest.fixture
def server(_running_server: OpenAIEmulator, monkeypatch: pytest.MonkeyPatch) -> OpenAIEmulator:
    """The emulated OpenAI API as if just started, no key in the environment, short waits between attempts."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(online, "FIRST_WAIT", 0.01)
    _running_server.reset()
    return _running_server


def page(number: int) -> Document:
    """One of a family of small pages that differ in every sentence."""
    return document(
        f"docs/page{number}.md",
        f"# Page {number}\n\nRocket {number} is a launcher with {number + 2} engines and one tank.\n\n## Install\n\n"
        f"Run the command `make rocket{number}` to build.\n\n## Fuel\n\nIt burns kerosene at {number + 50} degrees.\n",
    )


def asking(server: OpenAIEmulator, **more: object) -> SynthesisParams:
    """Parameters that ask the emulator by the methods that write about pages."""
    base = {"provider": "openai", "base_url": server.base_url, "model": MODEL, "budget_usd": 1.0, "methods": WRITING}
    return SynthesisParams.model_validate(base | more)


INPUT_USD, OUTPUT_USD = Decimal("0.25"), Decimal("2")
"""Dollars per million tokens of MODEL in genai-prices 0.2.3, stated here again to check the table's use."""


def billed_usd(server: OpenAIEmulator) -> Decimal:
    def usd(answer: Billed) -> Decimal:
        cost = answer.input_tokens * INPUT_USD + answer.output_tokens * OUTPUT_USD
        return cost / 1_000_000 * (Decimal("0.5") if answer.batch else 1)

    return sum(map(usd, server.billed), Decimal(0))


def reasons(made: Artifact) -> dict[str, int]:
    return {name.removeprefix("verdict:"): n for name, n in made.counts.items() if name.startswith("verdict:")}


def dialogues_of(
    store: Store, documents: Artifact, params: SynthesisParams, corrections: Artifact | None = None
) -> Artifact:
    """The dialogues of a split, with its facts found first."""
    known = facts.direct(store, documents=documents)
    return dialogues.direct(store, documents=documents, facts=known, params=params, corrections=corrections)
