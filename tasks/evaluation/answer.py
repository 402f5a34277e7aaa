"""One arm's answers to the questions, and its losses on fixed samples of dialogues and raw text.

Same prompt, template and greedy decoding for every arm. The base arms do not read the adapter, so their artifacts
stay cached over trials, seeds and months with the same questions. Losses are unpacked and token-weighted: they do
not depend on batch sizes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks.base.records import Answer, Chunk, Dialogue, Document, Item, Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.evaluation.general import general_texts
from tasks.evaluation.guess import guesses
from tasks.evaluation.params import AnswerParams, Arm
from tasks.model.child import run_child
from tasks.text.chat import prompt_ids, render_dialogue, stop_ids
from tasks.text.tokenizer import TextTokenizer

VERSION = "2026.11.24"

LOSS_ROW_TOKENS: Final = 512
"""A longer raw or dialogue row is measured on its first tokens, so that a sample of a given size holds many documents.
"""

GENERAL: Final = "general"
"""Stream of fixed text that has nothing to do with the sources; forgetting shows here first."""


@dataclass(frozen=True)
class LossRow:
    """One unpacked row whose loss is measured."""

    id: str
    stream: str
    input_ids: list[int]
    labels: list[int]


def loss_rows(
    tokenizer: TextTokenizer, chunks: Iterable[Chunk], dialogues: Iterable[Dialogue], budget_tokens: int
) -> Iterator[LossRow]:
    """A fixed sample per stream: `answers_train`, `answers_held_out`, `raw_train`, `raw_held_out`, `general`.

    Rows are taken in the order of a hash of their ids until the budget is spent, so a sample hardly changes when
    documents come and go.
    """
    streams: dict[str, dict[str, Chunk | Dialogue]] = {}
    for chunk in chunks:
        streams.setdefault(f"raw_{chunk.split}", {})[chunk.id] = chunk
    for dialogue in dialogues:
        streams.setdefault(f"answers_{dialogue.split}", {})[dialogue.id] = dialogue
    for stream, records in sorted(streams.items()):
        yield from _within(
            budget_tokens, (_row(tokenizer, stream, records[name]) for name in sorted(records, key=_order))
        )
    general = (_raw_row(tokenizer, name, GENERAL, text) for name, text in general_texts())
    yield from _within(budget_tokens, general)


def prompt(item: Item, passages: tuple[str, ...] = ()) -> tuple[Message, ...]:
    """What an arm is asked: the question, after the passages if the arm has any."""
    if not passages:
        return (Message(role="user", content=item.question),)
    context = "\n\n".join(passages)
    return (
        Message(
            role="user", content=f"Use the following excerpts to answer.\n\n{context}\n\nQuestion: {item.question}"
        ),
    )


@step("evaluation/answer", VERSION)
def answer(
    run: StepRun,
    arm: Arm,
    items: Artifact,
    chunks: Artifact,
    dialogues: Artifact,
    documents: Artifact,
    model: Artifact,
    adapter: Artifact | None,
    params: AnswerParams,
) -> None:
    """Answers every item with one arm; writes the answers, `losses.json` and, for the base arm, the guesses that
    need no model.
    """
    folder = run.checkout(model)
    tokenizer = TextTokenizer.load(folder)
    questions = list(run.read(items, Item))
    prompts = [prompt_ids(tokenizer, prompt(item)) for item in questions]
    rows: list[LossRow] = []
    if arm.is_closed_book and params.loss_tokens:
        rows = list(loss_rows(tokenizer, run.read(chunks, Chunk), run.read(dialogues, Dialogue), params.loss_tokens))
    work = run.cache("answers", run.key)
    result = run_child(
        "tasks.evaluation.answer_job:answer",
        {
            "model": str(folder),
            "adapter": str(run.checkout(adapter)) if adapter and arm.is_tuned else None,
            "prompts": _lines(work / "prompts.jsonl", ({"ids": ids} for ids in prompts)),
            "rows": _lines(work / "rows.jsonl", (vars(row) for row in rows)),
            "finished": str(work / "finished.jsonl"),
            "max_new_tokens": params.max_new_tokens,
            "batch_tokens": params.answer_batch_tokens,
            "stop_ids": list(stop_ids(tokenizer)),
            "pad_id": tokenizer.end_of_document,
            "dtype": "auto",
            "kl_stream": GENERAL,
        },
        lambda facts: run.progress(facts["done"], facts["total"], facts["unit"]),
    )
    made = zip(questions, result["answers"], strict=True)
    run.write(_answers(tokenizer, made))
    if arm is Arm.BASE:
        run.write(guesses(questions, run.read(documents, Document, "train.jsonl")), "guesses.jsonl")
    run.path("losses.json").write_text(json.dumps(_losses(arm, rows, result), indent=1) + "\n", "utf-8")
    run.count("tokens", sum(one["tokens"] for one in result["answers"]))
    run.count("unfinished", sum(not one["finished"] for one in result["answers"]))
    run.resolved.update(device=result["device"], dtype=result["dtype"])
    run.ledger("evaluation", arm=arm.value, items=len(questions), seconds=result["seconds"], device=result["device"])


def _answers(tokenizer: TextTokenizer, made: Iterable[tuple[Item, dict[str, Any]]]) -> Iterator[Answer]:
    for item, one in made:
        text = tokenizer.decode(one["ids"], skip_control=True)
        yield Answer(item_id=item.id, text=text, tokens=one["tokens"], finished=one["finished"])


def _losses(arm: Arm, rows: list[LossRow], result: dict[str, Any]) -> dict[str, Any]:
    """`streams`: mean loss in nats per token, tokens, rows and row ids of each; `kl_to_base`: mean divergence on
    general text, of tuned arms.
    """
    streams = {
        stream: {
            "loss": total["nats"] / total["tokens"],
            "tokens": total["tokens"],
            "rows": [row.id for row in rows if row.stream == stream],
        }
        for stream, total in sorted(result["losses"].items())
        if total["tokens"]
    }
    kl = result["kl"]
    return {
        "arm": arm.value,
        "streams": streams,
        "kl_to_base": kl["nats"] / kl["tokens"] if kl and kl["tokens"] else None,
    }


def _row(tokenizer: TextTokenizer, stream: str, record: Chunk | Dialogue) -> LossRow:
    if isinstance(record, Chunk):
        return _raw_row(tokenizer, record.id, stream, record.header + record.text)
    ids, labels = render_dialogue(tokenizer, record.messages)
    return LossRow(record.id, stream, ids[:LOSS_ROW_TOKENS], labels[:LOSS_ROW_TOKENS])


def _raw_row(tokenizer: TextTokenizer, name: str, stream: str, text: str) -> LossRow:
    ids = tokenizer.encode(text)[:LOSS_ROW_TOKENS]
    return LossRow(name, stream, ids, list(ids))


def _within(budget_tokens: int, rows: Iterable[LossRow]) -> Iterator[LossRow]:
    """Rows until their tokens exceed the budget; at least one, so that a stream that exists is measured."""
    spent = 0
    for row in rows:
        if spent and spent + len(row.input_ids) > budget_tokens:
            return
        spent += len(row.input_ids)
        yield row


def _order(identifier: str) -> str:
    return hashlib.sha256(identifier.encode()).hexdigest()


def _lines(path: Path, records: Iterable[dict[str, Any]]) -> str:
    with path.open("w", encoding="utf-8") as writer:
        writer.writelines(json.dumps(record) + "\n" for record in records)
    return str(path)
