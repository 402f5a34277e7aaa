"""What a person chooses about the generated dialogues."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from tasks.base.params import EXECUTION, Params
from tasks.llm.params import PriceParams, Server
from tasks.synthesis.quotas import QuotaParams
from tasks.synthesis.study_params import StudyParams

MethodName = Literal[
    "facts",
    "page_qa",
    "page_instruction",
    "file_question",
    "atomic_facts",
    "multi_hop",
    "pull_why",
    "rewrites",
    "near_miss",
    "open_book",
    "study",
]

Provider = Literal["template", "openai", "local", "auto"]

STUDY: MethodName = "study"


class SynthesisParams(Params):
    """How dialogues are made from documents."""

    provider: Literal["template", "openai"] = "template"
    """`template` needs no model and no network; `openai` asks any OpenAI-compatible server."""

    providers: dict[MethodName, Provider] = Field(default_factory=dict)
    """Who makes the dialogues of single methods, for instance {page_qa: openai}; the rest is `provider`'s. `study` is
    made by `local` (a model, where the run trains) or `auto`, its default: `local` where there is a GPU, else left out.
    """

    budget_usd: Annotated[float, EXECUTION] = Field(0.0, ge=0.0)
    """Hard cap on what one set of documents may cost, in dollars, resumed runs included."""

    at_budget: Literal["stop", "keep"] = "stop"
    """At the cap: `stop` ends the run, and one with a higher cap continues; `keep` goes on with what there is."""

    methods: tuple[MethodName, ...] = tuple(name for name in get_args(MethodName) if name not in ("open_book", "study"))
    """Which kinds of dialogues to make. `facts`, `page_instruction`, `file_question`, `near_miss` and `open_book` need
    no model; `page_qa`, `page_instruction` and `file_question` are the article's; `open_book` puts passages into the
    prompt; `study` is what a model writes by itself, without a server.
    """

    study: StudyParams = StudyParams()
    """What a model writes by the method `study`."""

    facts_per_document: int | None = Field(None, ge=1)
    """Most facts of one document, of as many kinds as there are, and only such as can be marked; training and
    evaluation then ask no others, so that a small `train_tokens` can teach what is asked. Null = all.
    """

    wordings: int = Field(4, ge=1, le=32)
    """Differently worded questions per short fact; four taught a small model what one did not. Lookups get half as
    many, answers of a page an eighth.
    """

    pairs_per_1000_characters: float = Field(4.0, gt=0.0, le=50.0)
    """Questions that a model is asked for per thousand characters of a document."""

    max_answer_characters: int = Field(16_000, ge=200)
    """Longer answers are asked for in parts (files) or by section (pages); 2 to 3 characters of code make a token."""

    quotas: QuotaParams | None = QuotaParams()
    """Largest shares of kinds; null = everything is kept."""

    near_miss_fraction: float = Field(0.04, ge=0.0, le=0.5)
    """Unanswerable questions, as a share of a document's dialogues."""

    feedback: Annotated[str | None, EXECUTION] = None
    """Folder of votes that `rawtune chat` wrote, `STORE/feedback/NAME`; liked and corrected answers are trained on;
    null = none.
    """

    model: str | None = None
    """Name of the generating model on the server; needed by the provider `openai`."""

    judge_model: str | None = None
    """Name of the judging model; null = the generating model."""

    judge: bool = True
    """Whether a model scores what a model wrote, with the source before it; only the deterministic checks if not."""

    base_url: Annotated[str, EXECUTION] = "https://api.openai.com/v1"
    """Address of the OpenAI-compatible server; the key comes from OPENAI_API_KEY."""

    batch: Annotated[bool, EXECUTION] = False
    """Send everything through OpenAI's Batch API: half the price, up to a day for each round."""

    prices: Annotated[PriceParams | None, EXECUTION] = None
    """Prices of model and judge; null = the table of genai-prices, which knows OpenAI's models."""

    temperature: float | None = Field(None, ge=0.0, le=2.0)
    """Sampling temperature; null = the server's default (several models accept no other)."""

    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    """How long a reasoning model may think, within `max_output_tokens`; null = the server's default."""

    max_output_tokens: int = Field(4096, ge=256, le=65_536)
    """Limit of one answer."""

    window_characters: int = Field(12_000, ge=1000)
    """A longer document is shown to the model in parts of this size, each with its own share of questions."""

    genres: int = Field(3, ge=1, le=7)
    """Rewrites of a document in different genres."""

    concurrency: Annotated[int, EXECUTION] = Field(16, ge=1, le=1000)
    """Most requests under way at once; fewer when the server complains."""

    timeout: Annotated[float, EXECUTION] = Field(120.0, gt=0.0)
    """Seconds to wait for one answer."""

    batch_requests: Annotated[int, EXECUTION] = Field(5_000, ge=1, le=50_000)
    """Most requests in one batch."""

    batch_poll: Annotated[float, EXECUTION] = Field(30.0, gt=0.0)
    """Seconds between two looks at a batch."""

    @model_validator(mode="after")
    def _providers_can_do_it(self) -> Self:
        for method, provider in self.providers.items():
            if method not in self.methods:
                raise ValueError(f"providers.{method}: the method is not in synthesis.methods; add it there")
            if (method == STUDY) != (provider in ("local", "auto")):
                able = "`local` or `auto`" if method == STUDY else "`template` or `openai`"
                raise ValueError(f"providers.{method}: `{provider}` cannot do it; choose {able}")
        return self

    def provider_of(self, method: MethodName) -> Provider:
        """Who makes the dialogues of a method."""
        return self.providers.get(method) or ("auto" if method == STUDY else self.provider)

    def by(self, provider: Provider) -> list[MethodName]:
        """The methods that a provider is asked for, in order."""
        return [method for method in self.methods if self.provider_of(method) == provider]

    @property
    def studies(self) -> Literal["local", "auto"] | None:
        """Who writes study material; None = nobody is asked to."""
        if STUDY not in self.methods:
            return None
        return "local" if self.provider_of(STUDY) == "local" else "auto"

    def identity(self) -> dict[str, Any]:
        """With `at_budget: keep` the cap decides what is made, so it bears identity then."""
        return super().identity() | ({"budget_usd": self.budget_usd} if self.at_budget == "keep" else {})

    def server(self) -> Server:
        """Who is asked and on what terms."""
        return Server(
            section="synthesis",
            models=tuple(dict.fromkeys((self.model or "", self.judge_model or self.model or ""))),
            base_url=self.base_url,
            budget_usd=self.budget_usd,
            prices=self.prices,
            concurrency=self.concurrency,
            timeout=self.timeout,
            keep_at_budget=self.at_budget == "keep",
            batch=self.batch,
            batch_requests=self.batch_requests,
            batch_poll=self.batch_poll,
        )
