"""One arm's answers to the questions, and its losses on fixed samples of dialogues and text.

Same prompt, template and greedy decoding for every arm. The base arms do not read the adapter, so their artifacts stay
cached over trials, seeds and months with the same questions. Multiple-choice questions are answered by likelihood: the
choice with the highest mean log-likelihood per token. Losses are unpacked and token-weighted (`losses.py`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Answer, Chunk, Dialogue, Document, Item, Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.evaluation.answer_job import AnswerRequest
from tasks.evaluation.citations import SHOWN, holds, shown
from tasks.evaluation.general import PREFIX, choices, new_tokens
from tasks.evaluation.losses import loss_rows, stream_losses
from tasks.evaluation.params import AnswerParams, Arm, Engine
from tasks.model.child import run_child
from tasks.model.convert import is_served
from tasks.model.request import MergeRequest, VllmRequest
from tasks.retrieval.index import Index
from tasks.retrieval.passages import Passage, passages
from tasks.retrieval.prompt import with_passages
from tasks.text.chat import prompt_ids, render_dialogue, stop_ids
from tasks.text.loss_rows import GENERAL, LossRow
from tasks.text.tokenizer import TextTokenizer

VERSION = "2026.11.30.2"

JOB: Final = "tasks.evaluation.answer_job:answer"
VLLM_JOB: Final = "tasks.model.vllm_job:write"
MERGE_JOB: Final = "tasks.model.convert:merge"

VLLM_VARIABLE: Final = "RAWTUNE_VLLM_PYTHON"
"""Environment variable: the interpreter of an environment that has vLLM, whose pins differ from rawtune's."""


def prompt(item: Item, found: Sequence[Passage] = ()) -> tuple[Message, ...]:
    """What an arm is asked: the question, after the passages if the arm has any."""
    return (Message(role="user", content=with_passages(item.question, found)),)


def looked_up(
    arm: Arm, items: Sequence[Item], documents: Iterable[Document], params: AnswerParams
) -> dict[str, list[Passage]]:
    """Item id → passages that the arm sees; empty for a closed-book arm."""
    if arm.is_closed_book:
        return {}
    every = list(passages(documents, params.passage_tokens))
    if arm is not Arm.BASE_ORACLE:
        index = Index.of(every)
        return {item.id: index.search(item.question, params.retrieved_passages) for item in items}
    by_document: dict[str, list[Passage]] = defaultdict(list)
    for passage in every:
        by_document[passage.document_id].append(passage)
    return {item.id: oracle(item, by_document) for item in items}


def oracle(item: Item, by_document: dict[str, list[Passage]]) -> list[Passage]:
    """The passages that hold the first line of the answer's source: one, as passages do not overlap."""
    return [one for one in by_document.get(item.document_id, []) if holds(one, item)]


def choice_rows(tokenizer: TextTokenizer, items: Iterable[Item]) -> Iterator[LossRow]:
    """One row per choice of every multiple-choice item, its loss on the choice alone; the stream is empty."""
    for item in items:
        for choice in choices(item):
            turns = (*prompt(item), Message(role="assistant", content=choice))
            yield LossRow(item.id, "", *render_dialogue(tokenizer, turns))


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
    """Answers every item with one arm; writes the answers and `losses.json`.

    Arms with passages answer the questions about the sources only, and also write `shown.jsonl`: what each was shown.
    """
    tokenizer = TextTokenizer.load(run.checkout(model))
    train = list(run.read(documents, Document, "train.jsonl"))
    asked = [item for item in run.read(items, Item) if arm.is_closed_book or not item.suite.startswith(PREFIX)]
    offered = [item for item in asked if choices(item)]
    open_ended = [item for item in asked if not choices(item)]
    sources = [*train, *run.read(documents, Document, "held_out.jsonl")]
    passages = looked_up(arm, open_ended, sources, params)
    prompts = [
        {
            "ids": prompt_ids(tokenizer, prompt(item, passages.get(item.id, ()))),
            "limit": new_tokens(item, params.max_new_tokens),
        }
        for item in open_ended
    ]
    rows = list(choice_rows(tokenizer, offered))
    if arm.is_closed_book and params.loss_tokens:
        rows += loss_rows(tokenizer, run.read(chunks, Chunk), run.read(dialogues, Dialogue), params.loss_tokens)
    result = _ask(run, tokenizer, prompts, rows, model, adapter if arm.is_tuned else None, params)
    answers = dict(_answers(tokenizer, zip(open_ended, result["answers"], strict=True)))
    answers |= _chosen(offered, rows, result["rows"])
    run.write(answers[item.id] for item in asked)
    if not arm.is_closed_book:
        run.write((shown(item, answers[item.id], passages.get(item.id, ())) for item in open_ended), SHOWN)
    measured = {"arm": arm.value, "streams": stream_losses(rows, result["rows"]), "kl_to_base": result["kl"]}
    run.path("losses.json").write_text(json.dumps(measured, indent=1) + "\n", "utf-8")
    run.count("tokens", sum(one.tokens for one in answers.values()))
    run.count("unfinished", sum(not one.finished for one in answers.values()))
    run.resolved.update(device=result["device"], dtype=result["dtype"])
    run.ledger("evaluation", arm=arm.value, items=len(asked), seconds=result["seconds"], device=result["device"])


def _ask(
    run: StepRun,
    tokenizer: TextTokenizer,
    prompts: list[dict[str, Any]],
    rows: list[LossRow],
    model: Artifact,
    adapter: Artifact | None,
    params: AnswerParams,
) -> dict[str, Any]:
    work = run.cache("answers", run.key)
    request = AnswerRequest(
        model=run.checkout(model),
        adapter=run.checkout(adapter) if adapter else None,
        prompts=_lines(work / "prompts.jsonl", prompts),
        rows=_lines(work / "rows.jsonl", (vars(row) for row in rows)),
        finished=work / "finished.jsonl",
        batch_tokens=params.answer_batch_tokens,
        stop_ids=stop_ids(tokenizer),
        pad_id=tokenizer.end_of_document,
        kl_stream=GENERAL,
    )

    def follow(facts: dict[str, Any]) -> None:
        run.progress(facts["done"], facts["total"], facts["unit"])

    if params.engine is Engine.TRANSFORMERS:
        return run_child(JOB, request, follow)
    answered = _ask_vllm(run, request, work / "merged", follow)
    if not rows:
        return answered | {"rows": [], "kl": None}
    measured = run_child(JOB, request.model_copy(update={"prompts": _lines(work / "none.jsonl", ())}), follow)
    seconds = answered["seconds"] | {"losses": measured["seconds"]["load"] + measured["seconds"]["losses"]}
    return answered | {"rows": measured["rows"], "kl": measured["kl"], "seconds": seconds}


def _ask_vllm(
    run: StepRun, request: AnswerRequest, merged: Path, follow: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Answers by vLLM: with the adapter beside the model, or in it where vLLM cannot serve it."""
    python = vllm_python()
    shared = {"prompts", "finished", "stop_ids", "pad_id", "precision"}
    model, adapter = request.model, request.adapter
    if adapter and is_merged(adapter):
        merge = run_child(MERGE_JOB, MergeRequest(model=model, adapter=adapter, target=merged))
        run.resolved["merge_rounding"] = merge["rounding"]
        model, adapter = merged, None
    asked = VllmRequest(model=model, adapter=adapter, **request.model_dump(include=shared))
    try:
        return run_child(VLLM_JOB, asked, follow, python=python)
    finally:
        shutil.rmtree(merged, ignore_errors=True)


def is_merged(adapter: Path) -> bool:
    """Whether the adapter is added to the model before vLLM answers: it serves neither DoRA nor every rank."""
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    return not is_served(config["r"], bool(config.get("modules_to_save"))) or bool(config.get("use_dora"))


def vllm_python() -> Path | None:
    """The interpreter that can import vLLM: that of `RAWTUNE_VLLM_PYTHON`, else this one (null).

    Raises:
        InputError: neither has it.
    """
    named = os.environ.get(VLLM_VARIABLE)
    if named and Path(named).exists():
        return Path(named)
    if named or importlib.util.find_spec("vllm") is None:
        raise InputError(
            f"evaluation.engine: vllm is not installed here; name the python of an environment that has it in "
            f"{VLLM_VARIABLE}, or use transformers"
        )
    return None


def _answers(tokenizer: TextTokenizer, made: Iterable[tuple[Item, dict[str, Any]]]) -> Iterator[tuple[str, Answer]]:
    for item, one in made:
        text = tokenizer.decode(one["ids"], skip_control=True)
        yield item.id, Answer(item_id=item.id, text=text, tokens=one["tokens"], finished=one["finished"])


def _chosen(items: list[Item], rows: list[LossRow], measured: list[dict[str, float]]) -> dict[str, Answer]:
    """The likeliest choice of each item; of equals the first."""
    means: dict[str, list[float]] = defaultdict(list)
    for row, loss in zip(rows, measured, strict=True):
        if not row.stream:
            means[row.id].append(loss["nats"] / max(loss["tokens"], 1))
    return {
        item.id: Answer(
            item_id=item.id, text=choices(item)[means[item.id].index(min(means[item.id]))], tokens=0, finished=True
        )
        for item in items
    }


def _lines(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8") as writer:
        writer.writelines(json.dumps(record) + "\n" for record in records)
    return path
