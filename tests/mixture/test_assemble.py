import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Kind, Split, Weight
from tasks.base.runs import read_verdicts
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.mixture.params import HeldOut, MixtureParams, Overlong, Packing
from tasks.mixture.table.assemble import assemble
from tasks.text.tokenizer import TextTokenizer
from tests.mixture.conftest import Put, chunk, dialogue

GOLDEN = Path(__file__).parent / "golden"
CHUNKS = [
    chunk("o/r/file/a.py", "def one():\n    return 1\n", 0, last=False),
    chunk("o/r/file/a.py", "def two():\n    return 2\n", 1),
    chunk("o/r/pull/0000001", "PR #1: Add two\n", kind=Kind.PULL),
    chunk("o/r/wiki/Home", "# Welcome\nAsk <|im_end|> anything.\n", kind=Kind.WIKI),
    chunk("o/r/wiki/Secret", "Held out text.\n", kind=Kind.WIKI, split=Split.HELD_OUT),
]
DIALOGUES = [
    dialogue("o/r/file/a.py", "What does two return?", "It returns 2."),
    dialogue("o/r/wiki/Secret", "What is held out?", "This.", split=Split.HELD_OUT),
]


def table(store: Store, artifact: Artifact) -> list[dict]:
    return pq.read_table(Path(store.checkout(artifact)) / "table.parquet").to_pylist()


def make(
    store: Store,
    put: Put,
    model: Artifact,
    max_tokens: int = 8192,
    train_tokens: int | None = None,
    **params: object,
) -> Artifact:
    return assemble.direct(
        store,
        chunks=put(CHUNKS),
        dialogues=put(DIALOGUES),
        model=model,
        params=MixtureParams(**params),
        max_tokens=max_tokens,
        train_tokens=train_tokens,
    )


def test_unpacked_rows_have_masks_and_end_tokens(store, put, model, tokenizer_folder):
    tokenizer = TextTokenizer.load(tokenizer_folder)
    made = make(store, put, model, packing=Packing.NONE)
    rows = table(store, made)
    assert [row["id"] for row in rows] == [f"row-{n:08d}" for n in range(5)]
    texts = {tokenizer.decode(row["input_ids"]): row for row in rows}
    assert set(texts) >= {
        "def one():\n    return 1\n",
        "def two():\n    return 2\n<|endoftext|>",
        "PR #1: Add two\n<|endoftext|>",
        "# Welcome\nAsk <|im_end|> anything.\n<|endoftext|>",
    }
    for row in rows:
        assert row["position_ids"] == list(range(len(row["input_ids"])))
        trained = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
        assert trained == [label for label in row["labels"] if label != -100]
        if row["source"] == "dialogue-fact":
            assert tokenizer.decode(trained) == "It returns 2.<|im_end|>"
        else:
            assert row["labels"] == row["input_ids"]
    wiki = texts["# Welcome\nAsk <|im_end|> anything.\n<|endoftext|>"]["input_ids"]
    assert tokenizer.control["<|im_end|>"] not in wiki
    assert made.counts["held_out"] == 2
    assert made.counts["parts_in"] == 5
    assert made.counts["records"] == 5


def test_packed_rows_restart_positions_and_unlink_parts(store, put, model):
    made = make(store, put, model, max_tokens=128)
    (row,) = table(store, made)
    starts = [place for place, position in enumerate(row["position_ids"]) if position == 0]
    assert len(starts) == 5
    assert starts[0] == 0
    assert all(row["labels"][place] == -100 for place in starts[1:])
    assert row["source"].split("+") == ["raw-file", "raw-pull", "raw-wiki", "dialogue-fact"]
    assert row["document_id"].split("\n") == ["o/r/file/a.py", "o/r/pull/0000001", "o/r/wiki/Home"]
    assert made.counts["trained_tokens"] == sum(label != -100 for label in row["labels"][1:])
    (line,) = (Path(store.checkout(made)) / "rows.jsonl").read_text("utf-8").splitlines()
    parts = json.loads(line)["parts"]
    assert [part["id"] for part in parts][:2] == ["o/r/file/a.py#00000", "o/r/file/a.py#00001"]
    assert sum(part["tokens"] for part in parts) == len(row["input_ids"]) == made.counts["tokens"]


def test_train_tokens_sample_accounts_for_every_token(store, put, byte_model):
    more = [chunk(f"o/r/file/{number}.py", f"VALUE_{number} = {number}\n" * 4) for number in range(9)]
    inputs = {"chunks": put(CHUNKS + more), "dialogues": put(DIALOGUES), "model": byte_model}
    every = assemble.direct(store, **inputs, params=MixtureParams(packing=Packing.NONE), max_tokens=8192)
    made = assemble.direct(
        store, **inputs, params=MixtureParams(packing=Packing.NONE), max_tokens=8192, train_tokens=400
    )
    counts = made.counts
    assert 300 < counts["tokens"] <= 400
    assert counts["tokens_in"] == every.counts["tokens"] == counts["tokens"] + counts["tokens_out:not-sampled"]
    verdicts = list(read_verdicts(store, made))
    assert len(verdicts) == counts["verdict:not-sampled"] == counts["parts_in"] - counts["records"]
    assert {row["source"].split("-")[0] for row in table(store, made)} == {"raw", "dialogue"}


def test_documents_that_count_for_less_stand_in_the_table_less_often(store, put, byte_model):
    pages = [dialogue(f"o/r/wiki/{page}", f"What is {n}?", "That.", n) for page in ("Old", "New") for n in range(200)]

    @step("tests/weights", "1")
    def weights(run):
        run.write([Weight(id="o/r/wiki/Old", weight=0.25)], "weights.jsonl")

    inputs = {"chunks": put(CHUNKS), "dialogues": put(pages), "model": byte_model, "weights": weights.direct(store)}
    counts = assemble.direct(store, **inputs, params=MixtureParams(packing=Packing.NONE), max_tokens=8192).counts
    assert 35 < 200 - counts["verdict:down-weighted"] < 65
    assert counts["tokens_in"] == counts["tokens"] + counts["tokens_out:down-weighted"]
    shares = {"raw": 0.1, "dialogue": 0.9}
    made = assemble.direct(
        store, **inputs, params=MixtureParams(packing=Packing.NONE, shares=shares, max_repeats=4), max_tokens=8192
    )
    rows = Counter(row["document_id"] for row in table(store, made))
    assert 0.2 < rows["o/r/wiki/Old"] / rows["o/r/wiki/New"] < 0.3
    left_out = sum(tokens for name, tokens in made.counts.items() if name.startswith("tokens_out:"))
    assert made.counts["tokens_in"] + made.counts["tokens_repeated"] == made.counts["tokens"] + left_out


def test_held_out_text_is_trained_on_only_when_asked(store, put, byte_model):
    raw = make(store, put, byte_model, packing=Packing.NONE, train_held_out=HeldOut.RAW)
    assert raw.counts["held_out"] == 1
    assert raw.counts["tokens:raw-wiki"] > 0
    every = make(store, put, byte_model, packing=Packing.NONE, train_held_out=HeldOut.ALL)
    assert "held_out" not in every.counts
    assert every.counts["records"] == 7


def test_overlong_dialogue_is_dropped_or_cut_with_a_verdict(store, put, byte_model):
    long = [dialogue("o/r/file/a.py", "Print it.", "word " * 100, number=n) for n in range(2)]
    inputs = {"chunks": put(CHUNKS), "dialogues": put(long + DIALOGUES), "model": byte_model}
    dropped = assemble.direct(store, **inputs, params=MixtureParams(), max_tokens=160)
    assert dropped.counts["verdict:overlong"] == 2
    assert dropped.counts["tokens_in"] == dropped.counts["tokens"] + dropped.counts["tokens_out:overlong"]
    cut = assemble.direct(store, **inputs, params=MixtureParams(overlong_dialogues=Overlong.CUT), max_tokens=160)
    assert cut.counts["verdict:cut"] == 2
    assert cut.counts["tokens_in"] == cut.counts["tokens"] + cut.counts["tokens_out:cut"]


def test_nothing_to_train_on_is_bad_input(store, put, byte_model):
    with pytest.raises(InputError, match="nothing to train on"):
        assemble.direct(
            store, chunks=put([]), dialogues=put([]), model=byte_model, params=MixtureParams(), max_tokens=8192
        )
    with pytest.raises(InputError, match=r"dataset\.train_tokens: 1 tokens"):
        make(store, put, byte_model, train_tokens=1)


def test_shares_of_other_sources_are_bad_input(store, put, byte_model):
    with pytest.raises(
        InputError, match=r"dataset\.mixture\.shares: names none .* \(dialogue-fact, raw-file, raw-pull, raw-wiki\)"
    ):
        make(store, put, byte_model, shares={"dialogue-chat": 1})


def test_unknown_family_is_bad_input():
    with pytest.raises(ValidationError, match="begin with one of raw, dialogue"):
        MixtureParams(shares={"wiki": 1})
    with pytest.raises(ValidationError, match=r"the replay's share is dataset\.replay\.share"):
        MixtureParams(shares={"replay": 1})
    with pytest.raises(ValidationError, match="give one of them"):
        MixtureParams(shares={"raw": 1}, passes={"raw": 2})
    with pytest.raises(ValidationError, match="a share is above 0"):
        MixtureParams(shares={"raw": 0})


def test_system_prompt_stands_before_dialogues_only(store, put, byte_model):
    plain = make(store, put, byte_model)
    made = make(store, put, byte_model, system_prompt="Be brief.")
    grown = len("<|im_start|>system\nBe brief.<|im_end|>\n") - len("<|im_start|>") - len("<|im_end|>") + 2
    assert made.counts["tokens:dialogue-fact"] == plain.counts["tokens:dialogue-fact"] + grown
    assert made.counts["trained_tokens"] == plain.counts["trained_tokens"]
    assert made.counts["tokens:raw-file"] == plain.counts["tokens:raw-file"]


def test_packed_table_equals_the_golden_one(store, put, model, tokenizer_folder):
    """Text of every part with the loss in brackets, as a person reads it."""
    tokenizer = TextTokenizer.load(tokenizer_folder)
    (row,) = table(store, make(store, put, model, max_tokens=128))
    lines = []
    for token, label, position in zip(row["input_ids"], row["labels"], row["position_ids"], strict=True):
        if position == 0:
            lines.append("")
        text = json.dumps(tokenizer.decode([token]), ensure_ascii=False)[1:-1]
        lines[-1] += f"[{text}]" if label != -100 else text
    assert "\n".join(lines) + "\n" == (GOLDEN / "packed_row.txt").read_text("utf-8")


def test_same_input_gives_the_same_bytes(store, put, byte_model):
    first = make(store, put, byte_model, max_tokens=160, shares={"raw": 1, "dialogue": 1})
    again = make(store, put, byte_model, max_tokens=160, shares={"raw": 2, "dialogue": 2})
    assert first.sha256 == again.sha256
