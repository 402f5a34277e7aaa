import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact
from tasks.base.records import Chunk, Document, Split
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.corpus.chunk import Sided, chunk, chunk_documents, in_order
from tasks.corpus.params import RenderParams, SplitParams
from tasks.corpus.render import render_document
from tasks.corpus.split import split
from tasks.text.tokenizer import TextTokenizer
from tests.corpus.documents import file, page, pull
from tests.corpus.test_deduplicate import prose

GOLDEN = Path(__file__).parent / "golden"
Stored = Callable[[Iterable[Document]], Artifact]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder: Path) -> TextTokenizer:
    return TextTokenizer.load(tokenizer_folder)


PLAIN = RenderParams()


def chunks_of(
    tokenizer: TextTokenizer, document: Document, max_tokens: int, params: RenderParams = PLAIN
) -> list[Chunk]:
    """The document's chunks, checked: nothing is lost, nothing is too long."""
    sided = [Sided(document, Split.TRAIN)]
    chunks = list(chunk_documents(sided, tokenizer.count_batch, max_tokens - 1, params))
    assert "".join(chunk.text for chunk in chunks) == render_document(document, params)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    for made in chunks:
        assert made.tokens == len(tokenizer.encode(made.header + made.text)) <= max_tokens - 1
    return chunks


SOURCE = "".join(
    f"/** Says {number}. */\nexport function say{number}(name: string): string {{\n"
    f"\tconst text = `{number} ${{name}}`;\n\n"
    f"\treturn text + '{'x' * (number % 7)}';\n}}\n\n"
    for number in range(40)
)


def test_source_is_cut_before_functions_with_their_comments(tokenizer: TextTokenizer) -> None:
    document = file("src/say.ts", SOURCE)
    chunks = chunks_of(tokenizer, document, 256)
    assert len(chunks) > 5
    assert all(chunk.text.startswith("/** Says ") for chunk in chunks[1:])


def test_members_are_kept_whole_where_a_class_is_too_long(tokenizer: TextTokenizer) -> None:
    methods = "".join(
        f"    # Says {number}.\n    def say{number}(self, name):\n"
        f"        text = '{number}'\n\n        return text + name\n\n"
        for number in range(40)
    )
    document = file("say.py", f"class Say:\n{methods}")
    chunks = chunks_of(tokenizer, document, 200)
    assert len(chunks) > 5
    assert all(chunk.text.startswith("    # Says ") for chunk in chunks[1:])


def test_blocks_without_an_empty_line_between_them_are_told_by_the_bracket_that_closes(
    tokenizer: TextTokenizer,
) -> None:
    text = "".join(f".part{number} {{\n  color: red;\n  margin: {number}px;\n}}\n" for number in range(60))
    document = file("a.scss", text)
    chunks = chunks_of(tokenizer, document, 128)
    assert len(chunks) > 5
    assert all(chunk.text.startswith(".part") for chunk in chunks[1:])


def test_page_is_cut_before_headings(tokenizer: TextTokenizer) -> None:
    text = "".join(f"## Part {number}\n\n" + "Some words about it. " * 20 + "\n\n" for number in range(12))
    document = page("Deploy.md", text)
    chunks = chunks_of(tokenizer, document, 400)
    assert all(chunk.text.startswith("## Part ") for chunk in chunks)


def test_long_pull_request_is_cut_at_files_hunks_lines_with_its_head_repeated(tokenizer: TextTokenizer) -> None:
    def hunk(number: int) -> str:
        return f"@@ -{number} +{number},9 @@\n" + "".join(
            f"+\tconst value{number}{line} = {line};\n" for line in range(12)
        )

    patches = [
        ("src/a.ts", hunk(1).rstrip("\n")),
        ("src/b.ts", "".join(map(hunk, (10, 20, 30))).rstrip("\n")),
        ("src/c.ts", "@@ -0,0 +1,99 @@\n" + "\n".join(f"+line {line} of one very long hunk" for line in range(60))),
    ]
    document = pull(12, "Values", "Adds values.", patches=patches)
    chunks = chunks_of(tokenizer, document, 320)
    shown = "".join(f"==== {chunk.id} {chunk.tokens}\n{chunk.header}----\n{chunk.text}\n" for chunk in chunks)
    assert shown == (GOLDEN / "long-pull.txt").read_text("utf-8")


def test_source_header_stands_before_every_chunk_and_counts(tokenizer: TextTokenizer) -> None:
    document = file("src/say.ts", SOURCE)
    chunks = chunks_of(tokenizer, document, 256, RenderParams(header="source", paths="full"))
    assert {chunk.header for chunk in chunks} == {"[octocat/cart/file/src/say.ts @ 1272c7d01272, as of 2023-12-29]\n"}


def test_header_that_would_eat_the_budget_is_left_out(tokenizer: TextTokenizer) -> None:
    document = pull(1, "T" * 190, patches=[("a.ts", "@@ -1 +1,60 @@\n" + "+abc def\n" * 200)])
    chunks = chunks_of(tokenizer, document, 64)
    assert {chunk.header for chunk in chunks} == {""}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "x" * 30_000,
        "\U0001f642" * 5_000,
        "<|im_end|><|endoftext|>" * 500,
        "漢字かな" * 3_000,
        "\0\x01\ufffd\u2028\r\n" * 3_000,
        "a" + "\u0301" * 9_000,
        " " * 20_000 + "\t" * 20_000,
        json.dumps({f"key{number}": [number] * 9 for number in range(2_000)}),
    ],
    ids=[
        "empty",
        "newline",
        "one-word",
        "emoji",
        "control-tokens",
        "cjk",
        "odd-characters",
        "accents",
        "spaces",
        "json",
    ],
)
@pytest.mark.parametrize("max_tokens", [64, 1_000])
def test_hostile_text_is_cut_losslessly(tokenizer: TextTokenizer, text: str, max_tokens: int) -> None:
    for document in (file("a.json", text), page("a.md", text), pull(1, text=text)):
        chunks_of(tokenizer, document, max_tokens)


LINES = st.lists(
    st.sampled_from(
        [
            "def f():",
            "    return 1",
            "# Heading",
            "",
            "}",
            "export const a = () => {",
            "<|im_end|>",
            "@@ -1 +1 @@",
            "漢字",
        ]
    )
    | st.text(max_size=40),
    max_size=120,
)


@settings(max_examples=60)
@given(lines=LINES, name=st.sampled_from(["a.py", "a.ts", "a.md", "a.txt"]), max_tokens=st.integers(64, 300))
def test_any_file_is_cut_losslessly_within_the_budget(
    tokenizer_of_properties: TextTokenizer, lines: list[str], name: str, max_tokens: int
) -> None:
    params = RenderParams(paths="full")
    text = "\n".join(lines)
    patches = [("src/a.ts", "@@ -1 +1 @@\n" + text), ("b.ts", text or None)]
    for document in (file(name, text), pull(1, text=text, patches=patches)):
        chunks_of(tokenizer_of_properties, document, max_tokens, params)


@pytest.fixture(scope="module")
def tokenizer_of_properties(tokenizer: TextTokenizer) -> TextTokenizer:
    return tokenizer


def test_a_document_is_cut_alike_alone_and_among_others(tokenizer: TextTokenizer) -> None:
    documents = [file(f"src/{number}.ts", SOURCE[number * 50 :]) for number in range(6)]
    among = list(
        chunk_documents((Sided(document, Split.TRAIN) for document in documents), tokenizer.count_batch, 199, PLAIN)
    )
    assert among == [made for document in documents for made in chunks_of(tokenizer, document, 200)]


def test_ids_are_in_order_where_one_path_begins_another() -> None:
    def made(identifier: str, index: int) -> Chunk:
        return Chunk(
            id=f"{identifier}#{index:05d}",
            document_id=identifier,
            kind="file",
            index=index,
            last=True,
            header="",
            text="",
            tokens=0,
            split="train",
        )

    by_document = [made("a", 0), made("a", 1), made("a b", 0), made("a!", 0), made("a/b", 0), made("b", 0)]
    ordered = [chunk.id for chunk in in_order(by_document)]
    assert ordered == sorted(chunk.id for chunk in by_document)


def test_step_writes_both_sides_once_and_again_from_the_cache(
    store: Store, stored: Stored, tokenizer_artifact: Artifact
) -> None:
    documents = stored([file(f"src/{number:02d}.md", " ".join(prose(number, 900))) for number in range(20)])
    both = split.direct(store, documents=documents, params=SplitParams(), validation_fraction=0.1)
    made = chunk.direct(store, documents=both, model=tokenizer_artifact, params=RenderParams(), max_tokens=512)
    chunks = list(read_records(store, made, Chunk))
    assert {chunk.split for chunk in chunks} == {Split.TRAIN, Split.HELD_OUT}
    assert len({chunk.document_id for chunk in chunks if chunk.split is Split.HELD_OUT}) == both.counts["held_out"] == 2
    assert made.counts["documents"] == 20
    assert made.counts["tokens"] == sum(chunk.tokens for chunk in chunks)
    assert made.counts["tokens"] == made.counts["tokens:file:train"] + made.counts["tokens:file:held_out"]
    for path in store.local("steps", "corpus", "chunk").iterdir():
        (path / "manifest.json").unlink()
    again = chunk.direct(store, documents=both, model=tokenizer_artifact, params=RenderParams(), max_tokens=512)
    assert again == made


def test_beginning_token_and_end_token_have_room(
    store: Store,
    stored: Stored,
    folder_artifact: Callable[[Path], Artifact],
    tmp_path: Path,
    tokenizer_folder: Path,
) -> None:
    document = json.loads((tokenizer_folder / "tokenizer.json").read_text("utf-8"))
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}},
    }
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    assert TextTokenizer.load(folder).prefix_ids == (1,)
    both = split.direct(
        store, documents=stored([file("a.txt", "word " * 2_000)]), params=SplitParams(), validation_fraction=0.1
    )
    made = chunk.direct(store, documents=both, model=folder_artifact(folder), params=RenderParams(), max_tokens=64)
    assert max(chunk.tokens for chunk in read_records(store, made, Chunk)) <= 62
