"""What a person chooses about the generated dialogues."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.base.params import EXECUTION, Params

MethodName = Literal["page_qa", "page_instruction", "file_question"]


class SynthesisParams(Params):
    """How dialogues are made from documents."""

    provider: Literal["template", "openai"] = "template"
    """`template` needs no model and no network; `openai` asks any OpenAI-compatible server."""

    budget_usd: Annotated[float, EXECUTION] = Field(0.0, ge=0.0)
    """Hard cap on what one set of documents may cost, in dollars, resumed runs included."""

    methods: tuple[MethodName, ...] = ("page_qa", "page_instruction", "file_question")
    """Which kinds of dialogues to make."""

    wordings: int = Field(4, ge=1, le=8)
    """Differently worded questions per short fact; four taught a small model what one did not."""

    pairs_per_1000_characters: float = Field(4.0, gt=0.0, le=50.0)
    """Facts asked about per thousand characters of a page, spread evenly from its first to its last line."""

    max_answer_characters: int = Field(24_000, ge=200)
    """Longer answers are asked for in parts (files) or by section (pages), so that a dialogue fits a training row;
    about 3 characters make a token.
    """
