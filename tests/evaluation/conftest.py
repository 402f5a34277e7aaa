"""A small split of documents with everything that the evaluation reads."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tasks.base.records import Answer, Chunk, Dialogue, Document, Kind, Message, Provenance, Record, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact, Store
from tasks.model.child import run_child

REVISION = "a" * 40

CART = '''"""The cart of the shop."""


class ShoppingCart:
    """Holds what a customer is about to buy in this shop."""

    def add_article(self, article, quantity):
        """Puts an article into the cart that many times."""
        if quantity < 1:
            raise ValueError("a quantity is at least one")
        known = self.articles.get(article, 0)
        self.articles[article] = known + quantity
        self.changed = True
        return self.articles[article]


def delivery_cost(weight_grams, country):
    """Cost of a delivery in cents, by weight and country."""
    return 490 if country == "DE" else 990
'''
STOCK = '''def reserve_stock(article, quantity, warehouse):
    """Sets articles aside until the customer has paid."""
    return warehouse.take(article, quantity)


def release_stock(article, quantity):
    """Puts reserved articles back on the shelf."""
    return None
'''
GUIDE = """# Guide

## Opening hours

The shop is open from nine to five on weekdays.

## Return policy

Articles can be sent back within thirty days of delivery.
"""


def document(path: str, text: str, kind: Kind = Kind.FILE, **meta: object) -> Document:
    """A document of the repository `shop`."""
    return Document(
        id=f"shop/{kind}/{path}",
        kind=kind,
        repo="shop",
        revision=REVISION,
        path=path,
        title=path.rsplit("/", 1)[-1],
        url=None,
        text=text,
        created_at=None,
        updated_at=None,
        meta={"committed_at": "2023-12-31T10:00:00Z", **meta},
    )


def dialogue(source: Document, question: str, answer: str, number: int, split: Split = Split.TRAIN) -> Dialogue:
    """A single-turn dialogue about the first line of a document."""
    return Dialogue(
        id=f"{source.id}#page_qa/{number:03d}",
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        method="page_qa",
        provenance=Provenance(
            document_id=source.id, revision=REVISION, span=(1, 1), prompt_version="page_qa/1", model="template"
        ),
        split=split,
    )


def chunk(source: Document, split: Split) -> Chunk:
    """The whole document as one chunk."""
    return Chunk(
        id=f"{source.id}#000",
        document_id=source.id,
        kind=source.kind,
        index=0,
        last=True,
        header="",
        text=source.text,
        tokens=1,
        split=split,
    )


@step("tests/records", "1")
def _records(run: StepRun, lines: dict[str, list[str]]) -> None:
    for name, content in lines.items():
        run.path(name).write_text("".join(f"{line}\n" for line in content), "utf-8")


def artifact_of(store: Store, **files: Sequence[Record]) -> Artifact:
    """An artifact whose files (`train` = train.jsonl) hold these records."""
    return _records.direct(
        store, lines={f"{name}.jsonl": [record.line() for record in records] for name, records in files.items()}
    )


@pytest.fixture
def train() -> list[Document]:
    """Trained documents: two source files and a guide."""
    return [document("docs/guide.md", GUIDE), document("src/cart.py", CART)]


@pytest.fixture
def held_out() -> list[Document]:
    """One held-out source file."""
    return [document("src/stock.py", STOCK)]


@pytest.fixture
def talks(train: list[Document], held_out: list[Document]) -> list[Dialogue]:
    """Two trained dialogues and a held-out one."""
    return [
        dialogue(
            train[0],
            "What does `docs/guide.md` say about Return policy?",
            "Articles can be sent back within thirty days of delivery, whatever the customer paid for them.",
            1,
        ),
        dialogue(train[0], "Where does the link “home page” lead?", "https://shop.example.com/home", 2),
        dialogue(held_out[0], "What is reserve_stock?", "It sets articles aside.", 3, Split.HELD_OUT),
    ]


@step("training/train", "1")
def _adapter(run: StepRun, model: str, scale: float) -> None:
    run_child("tests.evaluation.adapter_job:make", {"model": model, "scale": scale, "target": str(run.folder)})


def adapter_of(store: Store, model: Path, scale: float) -> Artifact:
    """An untrained adapter: 0 = the base model itself, 1 = noise."""
    return _adapter.direct(store, model=str(model), scale=scale)


@step("tests/answers", "1")
def _answers(run: StepRun, arm: str, lines: list[str]) -> None:
    run.path("records.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    run.path("losses.json").write_text(json.dumps({"arm": arm, "streams": {}, "kl_to_base": None}), "utf-8")
    if arm == "base":
        run.path("guesses.jsonl").write_text("", "utf-8")


def answers_of(store: Store, arm: str, texts: Mapping[str, str]) -> Artifact:
    """An arm's answers artifact from item id → text."""
    lines = [Answer(item_id=name, text=text, tokens=3, finished=True).line() for name, text in texts.items()]
    return _answers.named(f"answer-{arm}").direct(store, arm=arm, lines=lines)
