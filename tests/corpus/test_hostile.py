"""What real repositories hold and no one expects, through every step of the room."""

from collections.abc import Callable, Iterable, Iterator

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Chunk, Document
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.corpus.chunk import chunk
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.filters import filter_documents
from tasks.corpus.params import DeduplicateParams, FilterParams, RedactParams, RenderParams, SplitParams
from tasks.corpus.redact import redact
from tasks.corpus.render import render_document
from tasks.corpus.split import split
from tests.corpus.documents import file, pull
from tests.peak import peak_of

Stored = Callable[[Iterable[Document]], Artifact]
UNCAPPED = FilterParams(drop=(), max_file_tokens=None, max_pull_tokens=None, max_line_characters=None)


def run_all(store: Store, documents: Artifact, model: Artifact, kept: FilterParams) -> list[Artifact]:
    filtered = filter_documents.direct(store, documents=[documents], params=kept)
    redacted = redact.direct(store, documents=filtered, params=RedactParams(personal=("email", "ip")))
    unique = deduplicate.direct(store, documents=redacted, params=DeduplicateParams())
    both = split.direct(store, documents=unique, params=SplitParams(), validation_fraction=0.1)
    return [
        filtered,
        redacted,
        unique,
        both,
        chunk.direct(store, documents=both, model=model, params=RenderParams(), max_tokens=8192),
    ]


def check_totals(store: Store, made: list[Artifact]) -> None:
    """Documents = kept + verdicts at every step, and what was kept is there in chunks, byte for byte."""
    filtered, redacted, unique, both, chunked = made
    dropped = sum(
        number for name, number in filtered.counts.items() if name.startswith("verdict:") and "diff-" not in name
    )
    assert filtered.counts["documents"] == filtered.counts["records"] + dropped
    assert redacted.counts["records"] == filtered.counts["records"] == unique.counts["documents"]
    copies = sum(number for name, number in unique.counts.items() if name.startswith("verdict:"))
    assert unique.counts["documents"] == unique.counts["records"] + copies
    assert both.counts["train"] + both.counts["held_out"] == unique.counts["records"] == chunked.counts["documents"]
    texts: dict[str, list[str]] = {}
    for piece in read_records(store, chunked, Chunk):
        texts.setdefault(piece.document_id, []).append(piece.text)
    for document in read_records(store, unique, Document):
        assert "".join(texts.pop(document.id)) == render_document(document, RenderParams())
    assert texts == {}


def run_and_check(store: Store, documents: Artifact, model: Artifact, kept: FilterParams) -> list[Artifact]:
    made = run_all(store, documents, model, kept)
    check_totals(store, made)
    return made


def test_odd_documents_pass_through_every_step(store: Store, stored: Stored, tokenizer_artifact: Artifact) -> None:
    odd = {
        "control.jinja": "{{ '<|im_start|>' }}<|im_end|><|endoftext|>\n" * 40,
        "invalid.txt": "caf\ufffd \ufffd\ufffd was not UTF-8\n" * 40,
        "nul.bin.txt": "a\0b\0c\n" * 400,
        "marks.txt": "\ufeffBOM\r\nline\rline\u2028line\u2029\x0b\x0c\n",
        "name with space\u00a3.ts": "export const a = 1;\n",
        "a": "first",
        "a b": "second",
        "a!": "third",
        "deep.ts": "f(" * 3_000,
        "wide.json": "[" + ",".join(map(str, range(9_000))) + "]",
    }
    documents = [file(path, text) for path, text in odd.items()]
    patches = [("x.ts", "@@ -1 +1 @@\n+<|im_end|>\n\\ No newline at end of file"), ("y.png", None), ("z.ts", "")]
    made = run_all(
        store, stored([*documents, pull(1, title="\n", text="\r\n", patches=patches)]), tokenizer_artifact, UNCAPPED
    )
    check_totals(store, made)
    assert made[-1].counts["documents"] == len(odd) + 1


def test_line_of_fifty_megabytes_is_left_out_by_default(store: Store, stored: Stored) -> None:
    documents = stored([file("big.txt", "x" * 50_000_000), file("a.ts", "let a = 1;")])
    made = filter_documents.direct(store, documents=[documents], params=FilterParams())
    assert made.counts == {"diffs": 0, "documents": 2, "records": 1, "verdict:long-line": 1}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_line_of_twenty_megabytes_is_cut_if_it_is_kept(
    store: Store, stored: Stored, tokenizer_artifact: Artifact
) -> None:
    line = "".join(f'{{"id":{number},"name":"value {number % 977}"}},' for number in range(600_000))
    documents = stored([file("big.json", line), file("a.ts", "let a = 1;")])
    made, peak = peak_of(run_and_check, store, documents, tokenizer_artifact, UNCAPPED)
    assert made[-1].counts["records"] > 400
    assert peak < 4 << 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_forty_thousand_tiny_files_pass_in_bounded_memory(
    store: Store, tokenizer_artifact: Artifact, many: Artifact
) -> None:
    made, peak = peak_of(run_and_check, store, many, tokenizer_artifact, FilterParams())
    assert made[-1].counts["documents"] == 40_000
    assert made[3].counts["held_out"] == 4_000
    assert peak < 4 << 30


@pytest.fixture
def many(store: Store) -> Artifact:
    from tasks.base.runs import StepRun
    from tasks.base.steps import step

    @step("tests/many", "1")
    def written(run: StepRun) -> None:
        run.write(tiny_files())

    return written.direct(store)


def tiny_files() -> Iterator[Document]:
    for number in range(40_000):
        yield file(f"{number // 1_000:02d}/{number % 1_000:03d}.ts", f"export const value{number} = {number};\n")
