"""How large the training table is, or will be when it cannot be made yet: for a plan."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.records import Message, Split
from tasks.base.runs import read_records
from tasks.base.shards import shards_of
from tasks.base.store import Store
from tasks.mixture.params import FAMILIES, HeldOut, MixtureParams, Replay
from tasks.mixture.table.draw import tokens_taken
from tasks.mixture.table.rows import ROWS, Row
from tasks.text.chat import render_dialogue
from tasks.text.tokenizer import stored_tokenizer

CHARACTERS_PER_TOKEN: Final = 3.0
"""Of dialogues about code, guessed low: it is better to have a few samples too many."""


class TableFigures(BaseModel):
    """Size of a training table."""

    model_config = ConfigDict(frozen=True)

    tokens: int
    """Of one epoch."""
    rows: int
    longest_row: int
    sources: dict[str, int]
    """Tokens by source, or by what the shares name."""
    exact: bool
    """Counted in the finished table; else expected from what is known, with full rows."""


def figures(store: Store, table: Artifact) -> TableFigures:
    """Of a finished table."""
    sources = {
        name.removeprefix("tokens:"): tokens for name, tokens in table.counts.items() if name.startswith("tokens:")
    }
    longest = max(row.tokens for row in read_records(store, table, Row, ROWS))
    return TableFigures(
        tokens=table.counts["tokens"], rows=table.counts["records"], longest_row=longest, sources=sources, exact=True
    )


def expected(
    raw: Mapping[str, int],
    dialogues: Mapping[str, int],
    params: MixtureParams,
    max_tokens: int,
    train_tokens: int | None,
    replay: Replay | None,
) -> TableFigures:
    """Of a table to be.

    Args:
        raw: tokens of the corpus as `corpus/chunk` counts them: `tokens:<kind>:<side>`.
        dialogues: tokens of the dialogues that may be trained on, by method.
        params: what is taken of both.
        max_tokens: of a row.
        train_tokens: of the table; None = everything.
        replay: the general dialogues beside both; None = none.
    """
    available: dict[str, int] = {f"dialogue-{method}": tokens for method, tokens in dialogues.items()}
    for name, tokens in raw.items():
        _, kind, side = name.split(":")
        if side == "train" or params.train_held_out is not HeldOut.NOTHING:
            available[f"raw-{kind}"] = available.get(f"raw-{kind}", 0) + tokens
    taken = tokens_taken(available, train_tokens, params, replay.share if replay else 0.0)
    tokens = sum(taken.values())
    rows = -(-tokens // max_tokens)
    longest = min(tokens, max_tokens)
    if train_tokens is None and not params.shares:
        passes: dict[str, int] = {str(name): times for name, times in (params.passes or {}).items()}
        whole = {name: tokens * passes.get(name.partition("-")[0], 1) for name, tokens in available.items()}
        taken |= whole  # what is taken whole is listed source by source
        taken = {name: tokens for name, tokens in taken.items() if name not in FAMILIES}
    return TableFigures(tokens=tokens, rows=rows, longest_row=longest, sources=dict(sorted(taken.items())), exact=False)


def replay_wanted(
    store: Store,
    chunks: Artifact,
    dialogues: Artifact,
    model: Artifact,
    params: MixtureParams,
    train_tokens: int | None,
    share: float,
) -> int:
    """About how many tokens the replay needs to have its share of the table to come.

    Rounded up to a coarse step, so that next month's table, a little larger, finds the same samples.

    Args:
        store: of the artifacts.
        chunks: of `corpus/chunk`, whose counts say how long the raw text is.
        dialogues: whose length is guessed from their characters and from what the template adds.
        model: folder with the tokenizer and chat template.
        params: what is taken of both.
        train_tokens: of the whole table; None = everything.
        share: of the replay.
    """
    sides = {Split.TRAIN} | ({Split.HELD_OUT} if params.train_held_out is HeldOut.ALL else set())
    characters, count = 0, 0
    for dialogue in chain.from_iterable(shard.raw() for shard in shards_of(store, dialogues)):
        if dialogue["split"] in sides:
            characters += sum(len(message["content"]) for message in dialogue["messages"])
            count += 1
    frame = (Message(role="user", content="?"), Message(role="assistant", content="!"))
    overhead = len(render_dialogue(stored_tokenizer(store.checkout(model)), frame)[0])
    available = {"dialogue-all": int(characters / CHARACTERS_PER_TOKEN) + count * overhead}
    for name, tokens in chunks.counts.items():
        if name.startswith("tokens:") and (name.endswith(":train") or params.train_held_out is not HeldOut.NOTHING):
            _, kind, _ = name.split(":")
            available[f"raw-{kind}"] = available.get(f"raw-{kind}", 0) + tokens
    return rounded_up(tokens_taken(available, train_tokens, params, share)["replay"])


def rounded_up(tokens: int) -> int:
    """The next of 1, 1.25, 1.5 and 1.75 times a power of two, at least 128."""
    power = 1 << max(7, tokens.bit_length() - 1)
    return next(power * quarter // 4 for quarter in (4, 5, 6, 7, 8) if power * quarter // 4 >= tokens)
