"""Mixture: seconds, tokens a second and peak memory of `assemble` and `leak_guard` against the size of the corpus.

    python tests/benchmarks/mixture_memory.py TOKENIZER_FOLDER [MILLIONS_OF_TOKENS …]      (2 8 32 by default)

Each size runs in a process of its own with a store of its own; the corpus is drawn from a Zipf vocabulary in chunks of
about 900 tokens, three quarters of the tokens raw, one quarter dialogues of about 70. Memory is the process's peak
resident set less what it had before the first step.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from tasks.base.records import Chunk, Dialogue, Item, Kind, Message, Provenance, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.mixture.leaks.guard import leak_guard
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.mixture.table.assemble import assemble

WORD_TOKENS = 3.0
"""Tokens of a drawn word, roughly."""


class Source:
    """Texts of random words."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)
        letters = np.asarray(list("abcdefghijklmnopqrstuvwxyz"))
        self.vocabulary = ["".join(self.draw.choice(letters, size=n)) for n in self.draw.integers(2, 9, size=20_000)]
        self.weights = 1 / np.arange(1, 20_001)
        self.weights /= self.weights.sum()

    def text(self, tokens: int) -> str:
        numbers = self.draw.choice(20_000, size=int(tokens / WORD_TOKENS), p=self.weights)
        return " ".join(self.vocabulary[number] for number in numbers)


def provenance(document: str) -> Provenance:
    return Provenance(document_id=document, revision="", span=(1, 1), prompt_version="", model="")


def chunks(source: Source, tokens: int) -> Iterator[Chunk]:
    for number in range(int(tokens * 0.75 / 900)):
        yield Chunk(
            id=f"o/r/file/{number:08d}.py#00000",
            document_id=f"o/r/file/{number:08d}.py",
            kind=Kind.FILE,
            index=0,
            last=True,
            header="",
            text=source.text(900),
            tokens=0,
            split=Split.TRAIN,
        )


def dialogues(source: Source, tokens: int) -> Iterator[Dialogue]:
    for number in range(int(tokens * 0.25 / 70)):
        document = f"o/r/file/{number // 10:08d}.py"
        question, answer = (Message(role=role, content=source.text(20)) for role in ("user", "assistant"))
        yield Dialogue(
            id=f"{document}#fact/{number:08d}",
            messages=(question, answer),
            method="fact",
            provenance=provenance(document),
            split=Split.TRAIN,
        )


def items(source: Source) -> Iterator[Item]:
    for number in range(500):
        document = f"o/r/file/{number:08d}.py"
        yield Item(
            id=f"{document}#recall",
            suite="recall",
            question=source.text(50),
            answers=(source.text(20),),
            document_id=document,
            span=(1, 1),
            answerable=True,
            pair_id=None,
            provenance=provenance(document),
        )


@step("benchmark/records", "1")
def records(run: StepRun, kind: str, tokens: int) -> None:
    source = Source()
    run.write({"chunks": chunks, "dialogues": dialogues}[kind](source, tokens) if tokens else items(source))


@step("benchmark/folder", "1")
def folder(run: StepRun, path: str) -> None:
    shutil.copytree(path, run.folder, dirs_exist_ok=True)


def measure(tokenizer: str, tokens: int) -> dict[str, float]:
    """Runs both steps in a fresh store."""
    with tempfile.TemporaryDirectory() as home:
        store = Store(home)
        inputs = {kind: records.direct(store, kind=kind, tokens=tokens) for kind in ("chunks", "dialogues")}
        asked, model = records.direct(store, kind="items", tokens=0), folder.direct(store, path=tokenizer)
        before, started = peak(), time.perf_counter()
        table = assemble.direct(store, **inputs, model=model, params=MixtureParams(), max_tokens=8192)
        assembled, memory = time.perf_counter(), peak()
        leak_guard.direct(store, items=asked, table=table, **inputs, params=LeakParams())
        return {
            "tokens": table.counts["tokens"],
            "parts": table.counts["parts_in"],
            "assemble": assembled - started,
            "guard": time.perf_counter() - assembled,
            "assemble_mib": memory - before,
            "both_mib": peak() - before,
        }


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Prints the table."""
    if sys.argv[1] == "--child":
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
        return
    columns = ("tokens", "parts", "assemble s", "tokens/s", "MiB more", "leak guard s", "tokens/s", "MiB more")
    table = Table(*columns, title="Mixture against the size of the corpus")
    for millions in sys.argv[2:] or ("2", "8", "32"):
        command = [sys.executable, __file__, "--child", sys.argv[1], str(int(float(millions) * 1e6))]
        found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        table.add_row(
            f"{found['tokens']:,}",
            f"{found['parts']:,}",
            f"{found['assemble']:.1f}",
            f"{found['tokens'] / found['assemble']:,.0f}",
            f"{found['assemble_mib']:,.0f}",
            f"{found['guard']:.1f}",
            f"{found['tokens'] / found['guard']:,.0f}",
            f"{found['both_mib']:,.0f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
