"""How large the training table is, or will be when it cannot be made yet: for a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.mixture.params import HeldOut, MixtureParams, Replay
from tasks.mixture.table.draw import tokens_taken
from tasks.mixture.table.rows import ROWS, Row

REPLAY_TOKENS: Final = 300
"""Of a general dialogue; a rough guess."""


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
    if replay is not None:
        available["replay-stream"] = replay.records * REPLAY_TOKENS
    taken = tokens_taken(available, train_tokens, params.shares, params.max_repeats)
    tokens = sum(taken.values())
    rows = -(-tokens // max_tokens)
    longest = min(tokens, max_tokens)
    sources = available if train_tokens is None and not params.shares else taken
    return TableFigures(
        tokens=tokens, rows=rows, longest_row=longest, sources=dict(sorted(sources.items())), exact=False
    )
