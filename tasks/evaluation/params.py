"""Parameters of the evaluation: question sets, arms, answering, statistics."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from tasks.base.artifacts import file_sha256
from tasks.base.params import EXECUTION, Params
from tasks.llm.params import PriceParams, Server
from tasks.retrieval.params import RetrievalParams


class Arm(StrEnum):
    """Who answers. Every arm gets the same questions, template and greedy decoding."""

    BASE = "base"
    """The base model, closed book."""
    BASE_RETRIEVAL = "base-retrieval"
    """The base model with passages found by BM25 in the trained and held-out documents."""
    BASE_ORACLE = "base-oracle"
    """The base model with the passage that holds the answer: a ceiling for retrieval."""
    TUNED = "tuned"
    """The base model with the adapter, closed book."""
    TUNED_RETRIEVAL = "tuned-retrieval"
    """The base model with the adapter and the passages of `base-retrieval`."""

    @property
    def is_tuned(self) -> bool:
        """Whether the arm answers with the adapter."""
        return self in (Arm.TUNED, Arm.TUNED_RETRIEVAL)

    @property
    def is_closed_book(self) -> bool:
        """Whether the arm sees nothing but the question."""
        return self in (Arm.BASE, Arm.TUNED)


class Suite(StrEnum):
    """A set of questions that is scored and reported on its own."""

    RECALL = "recall"
    """Facts of trained documents, asked in words that no training method uses."""
    PARAPHRASE = "paraphrase"
    """Questions of training dialogues, re-worded."""
    HELD_OUT = "held-out"
    """Facts of documents that were not trained on: a control, which should stay near the guess."""
    CODE = "code"
    """Complete the body of a definition or the first lines of a file."""
    DATED = "dated"
    """Facts asked "as of" the snapshot's date."""
    PULL = "pull"
    """Why a pull request was made and what it changed."""
    STALE = "stale"
    """Files that pages name although the snapshot does not have them, paired with files that it has."""
    UNANSWERABLE = "unanswerable"
    """Near-miss names, invented pull requests, what happened after the snapshot; each paired with an answerable item.
    """
    OWN = "own"
    """A person's own questions of how and why, marked by their points."""


class GeneralSuite(StrEnum):
    """Questions that have nothing to do with the sources; their answers show what was forgotten."""

    KNOWN_FACTS = "known-facts"
    """Common knowledge, one or two words."""
    GSM8K = "gsm8k"
    """School mathematics in words; the final number counts."""
    HELLASWAG = "hellaswag"
    """Which continuation is likeliest; chance is 25%."""
    TRUTHFULQA = "truthfulqa"
    """Which answer is likeliest where people err."""
    FORMATS = "formats"
    """JSON with given keys, a list of three, one word: whether the format is kept."""
    HARMLESS = "harmless"
    """Harmless questions that sound dangerous: whether they are answered."""
    HUMAN_EVAL = "human-eval"
    """Python functions, run against their tests in a sandbox."""
    IFEVAL = "ifeval"
    """Instructions that can be checked word for word; needs `pip install 'rawtune[evaluation]'`."""
    REASONING_GYM = "reasoning-gym"
    """Generated tasks that no model can have seen; needs `pip install 'rawtune[evaluation]'`."""


FORGETTING: Final = "forgetting"
"""All general suites together."""

GENERAL_SIZES: Final = {
    GeneralSuite.KNOWN_FACTS: 60,
    GeneralSuite.GSM8K: 100,
    GeneralSuite.HELLASWAG: 100,
    GeneralSuite.TRUTHFULQA: 100,
    GeneralSuite.FORMATS: 30,
    GeneralSuite.HARMLESS: 20,
    GeneralSuite.HUMAN_EVAL: 164,
}
"""Questions of suites that hold fewer than anybody may ask for."""

SHARES: Final = {
    Suite.RECALL: 0.38,
    Suite.PARAPHRASE: 0.12,
    Suite.HELD_OUT: 0.16,
    Suite.CODE: 0.10,
    Suite.DATED: 0.06,
    Suite.PULL: 0.06,
    Suite.STALE: 0.02,
    Suite.UNANSWERABLE: 0.10,
    Suite.OWN: 0.0,
}
"""Share of each suite; what a suite cannot fill goes to the others in this order. Recall decides, so it gets most. Own
questions are asked beside these, all of them.
"""


class Engine(StrEnum):
    """What generates the answers."""

    TRANSFORMERS = "transformers"
    """Anywhere; any adapter."""
    VLLM = "vllm"
    """In an environment of its own; adapters above rank 512 are merged for it; see docs/evaluation.md."""


class ItemsParams(Params):
    """Which questions are asked."""

    items: int = Field(500, ge=1)
    """Questions about the sources, shared out over the suites; fewer where the documents do not hold as many facts."""
    suites: tuple[Suite, ...] = tuple(Suite)
    """Question sets to draw from."""
    general_items: int = Field(500, ge=0)
    """General questions, shared out evenly over the general suites as far as they go. `gate.max_forgetting` needs so
    many (`rawtune plan` says how many). 0 = forgetting is measured by loss alone.
    """
    general_suites: tuple[GeneralSuite, ...] = (
        GeneralSuite.KNOWN_FACTS,
        GeneralSuite.GSM8K,
        GeneralSuite.HELLASWAG,
        GeneralSuite.TRUTHFULQA,
        GeneralSuite.FORMATS,
        GeneralSuite.HARMLESS,
        GeneralSuite.HUMAN_EVAL,
    )
    """General question sets to draw from."""
    own: str | None = None
    """YAML file of a person's own questions, each with the points that an answer must and must not contain (see
    docs/evaluation.md); all are asked, beside `items`. Null = none.
    """
    general_file: str | None = None
    """JSON lines of one's own general questions, `{"question": …, "answers": […]}`, with `choices` and `suite` if
    wanted; all are asked. Null = none.
    """
    item_seed: int = Field(0, ge=0)
    """Another seed draws other questions, from the same facts."""

    def identity(self) -> dict[str, Any]:
        """As for every parameter model, but files are known by their bytes instead of their paths."""
        return super().identity() | {"general_file": _bytes_of(self.general_file), "own": _bytes_of(self.own)}


def expected_questions(params: ItemsParams) -> dict[str, int]:
    """About how many questions of `recall` and `forgetting` a run asks if its documents hold enough facts."""
    shares = sum(SHARES[suite] for suite in params.suites)
    recall = int(params.items * SHARES[Suite.RECALL] / shares) if Suite.RECALL in params.suites else 0
    sizes = [GENERAL_SIZES.get(suite, params.general_items) for suite in params.general_suites]
    return {Suite.RECALL.value: recall, FORGETTING: min(params.general_items, sum(sizes))}


class LossParams(Params):
    """On how much text losses are measured."""

    loss_tokens: int = Field(20_000, ge=0)
    """Tokens per stream (answers and raw text, trained and held out) whose loss is measured; a fixed sample. 0 = no
    losses.
    """


class AnswerParams(LossParams, RetrievalParams):
    """How an arm answers."""

    engine: Engine = Engine.TRANSFORMERS
    """What generates the answers; losses are always measured with transformers. All arms of a run use the same."""
    max_new_tokens: int = Field(64, ge=1, le=2048)
    """Longest answer, in tokens."""
    answer_batch_tokens: Annotated[int, EXECUTION] = Field(4096, ge=64)
    """Prompt and answer tokens of one batch on a CPU, so that memory is bounded; a GPU takes 16 times as many."""


class ReportParams(Params):
    """How sure the report has to be."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of every interval."""


class JudgeParams(Params):
    """Who judges answers in prose beside the scorers."""

    model: str = Field(min_length=1)
    """Model that grades. It must not be the one that writes the dialogues."""
    base_url: Annotated[str, EXECUTION] = "https://api.openai.com/v1"
    """OpenAI-compatible server of the judge; its key comes from JUDGE_API_KEY or OPENAI_API_KEY."""
    budget_usd: Annotated[float, EXECUTION] = Field(0.0, ge=0.0)
    """Hard cap on what grading one arm may cost, in dollars, resumed runs included; 0 allows free servers only."""
    prices: Annotated[PriceParams | None, EXECUTION] = None
    """Prices of the judge; null = the table of genai-prices, which knows OpenAI's models."""
    max_output_tokens: int = Field(1024, ge=16, le=16_384)
    """Limit of one grade, a reasoning model's thoughts included."""
    workers: Annotated[int, EXECUTION] = Field(8, ge=1, le=64)
    """Requests at a time."""
    labels: str | None = None
    """JSON lines of hand labels, `{"id": item id, "answer": …, "grade": correct | partial | wrong | abstain}`; the
    judge grades these answers too and its agreement is reported. Null = none.
    """

    def server(self) -> Server:
        """Who is asked and on what terms."""
        return Server(
            section="evaluation.judge",
            models=(self.model,),
            base_url=self.base_url,
            budget_usd=self.budget_usd,
            prices=self.prices,
            concurrency=self.workers,
            keys=("JUDGE_API_KEY", "OPENAI_API_KEY"),
        )

    def identity(self) -> dict[str, Any]:
        """As for every parameter model, but `labels` is known by its bytes instead of its path."""
        return super().identity() | {"labels": _bytes_of(self.labels)}


class EvaluationParams(ItemsParams, AnswerParams, ReportParams):
    """What the model learned and forgot."""

    arms: tuple[Arm, ...] = (Arm.BASE, Arm.TUNED)
    """Who answers, in the report's order; base and tuned are needed for a comparison."""
    judge: JudgeParams | None = None
    """A model that grades every arm's answers in prose; null = the scorers alone."""


def _bytes_of(name: str | None) -> str | None:
    """Hash of a file that parameters name, or null; a missing file is reported by the step that reads it."""
    path = Path(name).expanduser() if name else None
    return file_sha256(path) if path and path.is_file() else None
