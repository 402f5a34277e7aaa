import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tasks.base.artifacts import Artifact
from tasks.base.records import Chunk, Dialogue, Item, Kind, Message, Provenance, Record, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store

Put = Callable[[Iterable[Record]], Artifact]


@step("tests/records", "1")
def _records(run: StepRun, lines: list[str]) -> None:
    run.path("records.jsonl").write_text("".join(line + "\n" for line in lines), "utf-8")


@step("tests/copy", "1")
def _folder(run: StepRun, path: str) -> None:
    shutil.copytree(path, run.folder, dirs_exist_ok=True)


@pytest.fixture
def put(store: Store) -> Put:
    """Records as an artifact, sorted by id."""
    return lambda records: _records.direct(
        store, lines=[record.line() for record in sorted(records, key=lambda record: record.id)]
    )


@pytest.fixture
def folder(store: Store) -> Callable[[Path], Artifact]:
    """A folder as an artifact."""
    return lambda path: _folder.direct(store, path=str(path))


@pytest.fixture
def model(folder: Callable[[Path], Artifact], tokenizer_folder: Path) -> Artifact:
    return folder(tokenizer_folder)


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.fixture
def byte_model(folder: Callable[[Path], Artifact], tmp_path: Path) -> Artifact:
    """A tokenizer of single bytes, which loads at once, for tests that do not look at tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    source = tmp_path / "bytes"
    source.mkdir()
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "tokenizer_config.json").write_text('{"eos_token": "<|im_end|>"}', "utf-8")
    (source / "chat_template.jinja").write_text(CHATML, "utf-8")
    return folder(source)


def chunk(
    document: str, text: str, index: int = 0, last: bool = True, kind: Kind = Kind.FILE, split: Split = Split.TRAIN
) -> Chunk:
    return Chunk(
        id=f"{document}#{index:05d}",
        document_id=document,
        kind=kind,
        index=index,
        last=last,
        header="",
        text=text,
        tokens=0,
        split=split,
    )


def provenance(document: str) -> Provenance:
    return Provenance(document_id=document, revision="r", span=(1, 1), prompt_version="1", model="template")


def dialogue(
    document: str, question: str, answer: str, number: int = 0, method: str = "fact", split: Split = Split.TRAIN
) -> Dialogue:
    return Dialogue(
        id=f"{document}?{method}-{number:05d}",
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        method=method,
        provenance=provenance(document),
        split=split,
    )


def item(document: str, question: str, *answers: str, suite: str = "recall", number: int = 0) -> Item:
    return Item(
        id=f"{document}!{suite}-{number:05d}",
        suite=suite,
        question=question,
        answers=answers,
        document_id=document,
        span=(1, 1),
        answerable=bool(answers),
        pair_id=None,
        provenance=provenance(document),
    )
