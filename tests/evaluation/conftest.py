"""A small split of documents with everything that the evaluation reads."""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tasks.base.artifacts import Artifact
from tasks.base.records import Answer, Chunk, Dialogue, Document, Item, Kind, Message, Provenance, Record, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.evaluation.citations import SHOWN, Shown
from tasks.evaluation.items import make_items
from tasks.evaluation.params import GeneralSuite, ItemsParams, ReportParams
from tasks.evaluation.report import report
from tasks.synthesis.facts.corpus import corpora
from tasks.synthesis.facts.step import FAMILIES
from tasks.text.facts import Fact

REVISION = "a" * 40
HOSTILE = (
    "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\x9b31m\u202eevil\x00\x07"
    "[link](https://evil.example) `code` | cell"
)
FAST = ReportParams()

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


def facts_of(train: Sequence[Document], held_out: Sequence[Document] = ()) -> list[Fact]:
    """What `synthesis/facts` finds in a split."""
    with tempfile.TemporaryDirectory() as folder:
        for name, documents in (("train", train), ("held_out", held_out)):
            ordered = sorted(documents, key=lambda one: one.id)
            Path(folder, f"{name}.jsonl").write_text("".join(f"{one.line()}\n" for one in ordered), "utf-8")
        found = {
            fact.id: fact
            for corpus in corpora(Path(folder), FAMILIES)
            for document in corpus.documents()
            for family in FAMILIES
            for fact in family.facts(document, corpus)
        }
    return [found[name] for name in sorted(found)]


def asked_of(train: Sequence[Document], held_out: Sequence[Document], params: ItemsParams) -> list[Item]:
    """The questions about a split."""
    return make_items(train, held_out, facts_of(train, held_out), params)


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


def write_adapter(folder: Path, model: Path, scale: float, rank: int = 4) -> None:
    """A PEFT adapter of every linear layer of a Llama that was never trained, with a training log, without any torch.

    `scale` 0 leaves the model as it is, a large one ruins it with noise.
    """
    config = json.loads((model / "config.json").read_text("utf-8"))
    width, inner = config["hidden_size"], config["intermediate_size"]
    keys = width * config["num_key_value_heads"] // config["num_attention_heads"]
    shapes = {"self_attn.q_proj": (width, width), "self_attn.k_proj": (width, keys), "self_attn.v_proj": (width, keys)}
    shapes |= {"self_attn.o_proj": (width, width), "mlp.gate_proj": (width, inner), "mlp.up_proj": (width, inner)}
    shapes |= {"mlp.down_proj": (inner, width)}
    generator = np.random.default_rng(0)
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for module, (inputs, outputs) in shapes.items():
            prefix = f"base_model.model.model.layers.{layer}.{module}"
            first = generator.uniform(-1, 1, (rank, inputs)) / np.sqrt(inputs)
            second = scale * generator.normal(0, 1, (outputs, rank))
            tensors[f"{prefix}.lora_A.weight"] = first.astype(np.float32)
            tensors[f"{prefix}.lora_B.weight"] = second.astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "anywhere"}
    modules = sorted(module.rpartition(".")[2] for module in shapes)
    settings |= {"r": rank, "lora_alpha": rank, "target_modules": modules}
    (folder / "adapter_config.json").write_text(json.dumps(settings), "utf-8")
    (folder / "loss.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "loss": 2.5}\n', "utf-8")


def plain(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Records as the JSON values that a stored artifact has."""
    return [record.model_dump(mode="json") for record in records]


@step("training/train", "1")
def _adapter(run: StepRun, model: str, scale: float, rank: int) -> None:
    write_adapter(run.folder, Path(model), scale, rank)


def adapter_of(store: Store, model: Path, scale: float, rank: int = 4) -> Artifact:
    """An untrained adapter: 0 = the base model itself, 1 = noise."""
    return _adapter.direct(store, model=str(model), scale=scale, rank=rank)


@step("tests/answers", "1")
def _answers(run: StepRun, arm: str, lines: list[str], shown: list[str]) -> None:
    run.path("records.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    run.path("losses.json").write_text(json.dumps({"arm": arm, "streams": {}, "kl_to_base": None}), "utf-8")
    if shown:
        run.path(SHOWN).write_text("".join(f"{line}\n" for line in shown), "utf-8")


def answers_of(store: Store, arm: str, texts: Mapping[str, str], shown: Sequence[Shown] = ()) -> Artifact:
    """An arm's answers artifact from item id → text."""
    lines = [Answer(item_id=name, text=text, tokens=3, finished=True).line() for name, text in texts.items()]
    return _answers.named(f"answer-{arm}").direct(store, arm=arm, lines=lines, shown=[one.line() for one in shown])


@pytest.fixture
def questions(talks: list[Dialogue]) -> list[Item]:
    """Forty documents with four facts each, a held-out one, and a few general questions."""
    words = [
        f"{one}{two}"
        for one in ("am", "be", "co", "du", "el")
        for two in ("ra", "sti", "lon", "vex", "nam", "pur", "tig", "zol")
    ]
    documents = [
        document(
            f"src/{word}.py",
            f'def load_{word}(first_{word}, second_{word}):\n    """Reads the {word} table from disk and checks."""\n'
            f"    return first_{word}\n",
        )
        for word in words
    ]
    general = (GeneralSuite.KNOWN_FACTS, GeneralSuite.HELLASWAG)
    params = ItemsParams(items=120, general_items=40, general_suites=general)
    return asked_of(documents[1:], documents[:1], params)


def report_of(store: Store, questions: list[Item], *answers: Artifact, previous: Artifact | None = None) -> Artifact:
    items = artifact_of(store, records=questions)
    return report.direct(
        store, items=items, answers=list(answers), adapter=None, table=None, params=FAST, previous=previous
    )


def right_answers(questions: list[Item]) -> dict[str, str]:
    return {item.id: item.answers[0] for item in questions}
