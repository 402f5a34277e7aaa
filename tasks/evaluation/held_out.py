"""Rows of held-out documents, whose loss is measured during training: `rows.jsonl` with `id`, `stream`
(`answers_held_out`, `raw_held_out`), `input_ids`, `labels`. The same sample as an arm's losses, so the figures can be
compared.
"""

from __future__ import annotations

import json

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Chunk, Dialogue, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.evaluation.losses import FIRST, loss_rows
from tasks.evaluation.params import LossParams
from tasks.text.loss_rows import GENERAL
from tasks.text.tokenizer import TextTokenizer

VERSION = "2026.11.24"


@step("evaluation/held-out", VERSION)
def held_out_rows(run: StepRun, chunks: Artifact, dialogues: Artifact, model: Artifact, params: LossParams) -> None:
    """Writes the rows; counts rows and tokens by stream.

    Raises:
        InputError: nothing is held out, or nothing is to be measured.
    """
    tokenizer = TextTokenizer.load(run.checkout(model))
    rows = [
        row
        for row in loss_rows(
            tokenizer,
            (chunk for chunk in run.read(chunks, Chunk) if chunk.split is Split.HELD_OUT),
            (dialogue for dialogue in run.read(dialogues, Dialogue) if dialogue.split is Split.HELD_OUT),
            params.loss_tokens,
        )
        if not row.stream.startswith(GENERAL) and row.stream != FIRST
    ]
    if not rows or not params.loss_tokens:
        raise InputError(
            "dataset.validation_fraction: no document is held out, so settings cannot be compared; raise it above 0"
            if params.loss_tokens
            else "evaluation.loss_tokens: 0 measures nothing, so settings cannot be compared; raise it"
        )
    with run.path("rows.jsonl").open("w", encoding="utf-8") as writer:
        for row in rows:
            writer.write(json.dumps(vars(row)) + "\n")
            run.count(f"rows:{row.stream}")
            run.count(f"tokens:{row.stream}", len(row.input_ids))
