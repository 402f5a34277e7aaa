"""The base model's own answers to a replay stream's questions.

Trained on, they hold the model where it is instead of pulling it towards somebody else's answers; greedy, so the same
model gives the same stream.
"""

from __future__ import annotations

import json
from typing import Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Dialogue, Message
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.mixture.params import Replay, ReplayAnswers
from tasks.mixture.replay.sources import replay
from tasks.model.child import run_child
from tasks.text.chat import prompt_ids, stop_ids
from tasks.text.tokenizer import stored_tokenizer

VERSION = "2026.11.24"

JOB: Final = "tasks.mixture.replay.job:answer"


def with_answer(dialogue: Dialogue, answer: str, model: str) -> Dialogue:
    """The dialogue's first question with another answer; later turns follow from the old answer and are left out."""
    opening = dialogue.messages[: _answer_at(dialogue)]
    return dialogue.model_copy(
        update={
            "messages": (*opening, Message(role="assistant", content=answer)),
            "provenance": dialogue.provenance.model_copy(update={"prompt_version": "greedy", "model": model}),
        }
    )


@step("mixture/replay-answers", VERSION)
def replay_answers(run: StepRun, dialogues: Artifact, model: Artifact, params: Replay) -> None:
    """Writes the dialogues with the model's answers; one that it does not end within `answer_tokens` gets a verdict."""
    folder = run.checkout(model)
    tokenizer = stored_tokenizer(folder)
    asked = list(run.read(dialogues, Dialogue))
    prompts = run.store.local("tmp") / f"{run.key}.prompts.jsonl"
    with prompts.open("w", encoding="utf-8") as writer:
        for dialogue in asked:
            writer.write(json.dumps(prompt_ids(tokenizer, dialogue.messages[: _answer_at(dialogue)])) + "\n")
    request = {
        "model": str(folder),
        "prompts": str(prompts),
        "stop_ids": list(stop_ids(tokenizer)),
        "max_new_tokens": params.answer_tokens,
    }
    try:
        answers = run_child(JOB, request, lambda facts: run.progress(facts["done"], facts["total"], "answers"))[
            "answers"
        ]
    finally:
        prompts.unlink()
    kept = []
    for dialogue, answer in zip(asked, answers, strict=True):
        text = tokenizer.decode(answer["ids"]).strip()
        if answer["finished"] and text:
            kept.append(with_answer(dialogue, text, "base"))
        else:
            run.verdict(dialogue.id, "unfinished-answer", f"{len(answer['ids'])} tokens without an end")
    run.write(kept)


def replay_stream(store: Store, model: Artifact, params: Replay | None) -> Artifact | None:
    """The replay stream that the parameters ask for, or None: for flows."""
    if params is None:
        return None
    given = replay(store, params=params)
    if params.answers is ReplayAnswers.GIVEN:
        return given
    return replay_answers(store, dialogues=given, model=model, params=params)


def _answer_at(dialogue: Dialogue) -> int:
    return next(place for place, message in enumerate(dialogue.messages) if message.role == "assistant")
