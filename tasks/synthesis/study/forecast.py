"""How much a model will read and write, counted from the materials before anything is written."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import Artifact
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.llm.prices import count_tokens
from tasks.synthesis.study import prompts
from tasks.synthesis.study.materials import Material
from tasks.synthesis.study_params import Manner, StudyParams

TASK_TOKENS: Final = 130
"""Of the task below the lines, and of a question."""
QUESTION_TOKENS: Final = 25
ANSWER_TOKENS: Final = 100
"""Expected length of an answer; a rough guess of ours."""


class Study(BaseModel):
    """What the method `study` will take, as expected."""

    model_config = ConfigDict(frozen=True)

    materials: int
    """Documents or windows of them, folders, pull requests that are shown."""
    dialogues: int
    prompt_tokens: int
    """Of all prompts, by o200k; the model's own tokenizer counts differently."""
    written_tokens: int
    """Lists, answers, second answers, and answers without the material."""
    dialogue_tokens: int
    """Of questions and answers if all of them are kept."""
    hours: float = 0.0
    usd: float | None = None
    """Null = the machine's price is not known."""


def study_of(store: Store, calls: Artifact, params: StudyParams) -> Study:
    """Counts what the materials will ask for; what earlier artifacts of the store answer is not left out."""
    materials = dialogues = read = wrote = kept = 0
    answer = min(ANSWER_TOKENS, params.answer_tokens)
    for material in read_records(store, calls, Material):
        size = count_tokens(prompts.shown(material)) + TASK_TOKENS
        materials += 1
        for manner in material.manners:
            whole = manner is Manner.CONVERSATION
            turns = prompts.TURNS if whole else material.questions
            listing = min(params.listing_tokens, turns * QUESTION_TOKENS)
            dialogues += 1 if whole else turns
            read += size + turns * (2 * size + QUESTION_TOKENS)
            wrote += listing + 3 * turns * answer
            kept += turns * (QUESTION_TOKENS + answer)
    return Study(
        materials=materials, dialogues=dialogues, prompt_tokens=read, written_tokens=wrote, dialogue_tokens=kept
    )
