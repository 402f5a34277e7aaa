"""What real repositories hold and no one expects, from the documents to the table, the leak guard and the report."""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.corpus.chunk import chunk
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.filters import filter_documents
from tasks.corpus.params import DeduplicateParams, FilterParams, RedactParams, RenderParams, SplitParams
from tasks.corpus.redact import redact
from tasks.corpus.split import split
from tasks.evaluation.items import items
from tasks.evaluation.params import ItemsParams
from tasks.mixture.leaks.guard import leak_guard
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.mixture.report.data_report import data_report
from tasks.mixture.table.assemble import assemble
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tests.corpus.documents import file, page, pull
from tests.peak import peak_of

UNCAPPED = FilterParams(max_file_tokens=None, max_pull_tokens=None, max_line_characters=None)
MAX_BYTES = 2 << 30
SECRET = "ghp_" + "R7vX2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNo"


class Made(NamedTuple):
    """The artifacts whose counts must agree."""

    kept: Artifact
    chunks: Artifact
    dialogues: Artifact
    table: Artifact
    report: Artifact


def run_all(store: Store, documents: Iterable[Document], model: Artifact, kept: FilterParams) -> Made:
    @step("tests/documents", "1")
    def written(run: StepRun) -> None:
        run.write(documents)

    filtered = filter_documents.direct(store, documents=[written.direct(store)], params=kept)
    redacted = redact.direct(store, documents=filtered, params=RedactParams(personal=("email", "ip")))
    unique = deduplicate.direct(store, documents=redacted, params=DeduplicateParams())
    both = split.direct(store, documents=unique, params=SplitParams(), validation_fraction=0.1)
    chunks = chunk.direct(store, documents=both, model=model, params=RenderParams(), max_tokens=8192)
    known = facts.direct(store, documents=both)
    pairs = dialogues.direct(store, documents=both, facts=known, params=SynthesisParams())
    questions = items.direct(store, documents=both, facts=known, params=ItemsParams(items=50, general_items=0))
    inputs = {"chunks": chunks, "dialogues": pairs}
    table = assemble.direct(store, **inputs, model=model, params=MixtureParams(), max_tokens=8192)
    guarded = leak_guard.direct(store, items=questions, table=table, **inputs, params=LeakParams())
    about = {"items": questions, "guarded": guarded, "corpus": [filtered, redacted, unique, both]}
    report = data_report.direct(store, table=table, chunks=chunks, model=model, max_tokens=8192, **about)
    return Made(filtered, chunks, pairs, table, report)


def check(store: Store, made: Made) -> dict:
    """Every part and token is in the table or counted as left out, and the report says so."""
    counts = made.table.counts
    left_out = sum(tokens for name, tokens in counts.items() if name.startswith("tokens_out:"))
    assert counts["tokens_in"] == counts["tokens"] + left_out
    records = made.chunks.counts["records"] + made.dialogues.counts["records"]
    assert counts["parts_in"] + counts.get("held_out", 0) == records
    summary = json.loads((store.checkout(made.report) / "summary.json").read_text("utf-8"))
    assert summary["accounting"]["adds_up"]
    assert summary["table"]["tokens"] == counts["tokens"]
    return summary


def run_and_check(store: Store, documents: Iterable[Document], model: Artifact, kept: FilterParams) -> Made:
    made = run_all(store, documents, model, kept)
    check(store, made)
    return made


def test_odd_documents_reach_the_report(store: Store, model: Artifact) -> None:
    odd = {
        "a": "first",
        "a b": "second",
        "control.jinja": "{{ '<|im_start|>' }}<|im_end|><|endoftext|>\n" * 40,
        "deep.ts": "f(" * 3_000,
        "invalid.txt": "caf\ufffd \ufffd\ufffd was not UTF-8\n" * 40,
        "marks.txt": "\ufeffBOM\r\nline\rline\u2028line\u2029\x0b\x0c\n",
        "nul.txt": "a\0b\0c\n" * 400,
        "settings.py": f'GITHUB_TOKEN = "{SECRET}"\n',
        "terminal.txt": "\x1b[2J\x1b]0;owned\x07\x9b31m \u202egpj.exe \u2066x\u2069\n" * 20,
        "wide.json": "[" + ",".join(map(str, range(9_000))) + "]",
    }
    patches = [("x.ts", "@@ -1 +1 @@\n+<|im_end|>\n\\ No newline at end of file"), ("y.png", None), ("z.ts", "")]
    documents = [file(path, text) for path, text in odd.items()]
    documents += [pull(1, title="\n", text="\r\n", patches=patches), page("Home.md", "# <|im_end|>\n\nAsk.\n")]
    made = run_all(store, sorted(documents, key=lambda document: document.id), model, UNCAPPED)
    summary = check(store, made)
    assert summary["redactions"] == {"redacted-github-pat": 1}
    assert made.kept.counts["verdict:data"] == 1  # wide.json
    assert made.chunks.counts["documents"] == len(odd) + 2 - 1
    for name in ("report.html", "report.md"):
        told = (store.checkout(made.report) / name).read_text("utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", told)
    for artifact in made[1:]:
        assert all(SECRET.encode() not in path.read_bytes() for path in store.checkout(artifact).rglob("*.*"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_line_of_ten_megabytes_reaches_the_report_if_it_is_kept(store: Store, model: Artifact) -> None:
    line = "".join(f'{{"id":{number},"name":"value {number % 977}"}},' for number in range(300_000))
    kept = UNCAPPED.model_copy(update={"drop": ()})
    made, peak = peak_of(run_and_check, store, [file("a.ts", "let a = 1;"), file("big.json", line)], model, kept)
    assert len(line) > 9_500_000
    assert made.chunks.counts["records"] > 200
    assert peak < MAX_BYTES


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_thousand_tiny_files_reach_the_report(store: Store, model: Artifact) -> None:
    many = [
        file(f"{number // 1_000:02d}/{number % 1_000:03d}.ts", f"export const value{number} = {number};\n")
        for number in range(20_000)
    ]
    made, peak = peak_of(run_and_check, store, many, model, FilterParams())
    assert made.chunks.counts["documents"] == 20_000
    assert peak < MAX_BYTES
