"""The one model that a person fills in: YAML preset, Prefect form and command line alike.

Each section is declared by its room; here they are composed, in reading order, and nothing else.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tasks.base.params import EXECUTION, Params
from tasks.base.shards import RunnerParams
from tasks.corpus.params import (
    DeduplicateParams,
    FilterParams,
    RedactParams,
    RenderParams,
    SplitParams,
    StaleParams,
)
from tasks.evaluation.params import EvaluationParams, expected_questions
from tasks.harvest.params import GiteaParams, GithubParams, GitlabParams, Servers, SourceParams
from tasks.mixture.params import LeakParams, MixtureParams, Replay
from tasks.release.measures import shortfalls
from tasks.release.params import GateParams, ReleaseParams
from tasks.synthesis.params import SynthesisParams
from tasks.training.params import KlRows, SearchParams, TrainingParams


class Phase(StrEnum):
    """The last phase that a run goes through."""

    HARVEST = "harvest"
    """Files, pull requests and wiki are read."""
    DATASET = "dataset"
    """The training table and the questions are made."""
    TRAIN = "train"
    """The adapter is trained."""
    EVALUATE = "evaluate"
    """The arms have answered and the report is written."""
    PUBLISH = "publish"
    """The gate has decided, and what it allowed is released."""


logger = logging.getLogger(__name__)

MOVED: Final = {
    **{name: f"filter.{name}" for name in FilterParams.model_fields},
    **{name: f"redact.{name}" for name in RedactParams.model_fields},
    **{f"stale_{name}": f"stale.{name}" for name in StaleParams.model_fields},
    **{name: f"deduplicate.{name}" for name in DeduplicateParams.model_fields},
    **{name: f"split.{name}" for name in SplitParams.model_fields if name != "by"},
    "split_by": "split.by",
    **{name: f"render.{name}" for name in RenderParams.model_fields},
    **{name: f"mixture.{name}" for name in MixtureParams.model_fields if name != "seed"},
    "mixture_seed": "mixture.seed",
    **{f"leak_{name}": f"leaks.{name}" for name in LeakParams.model_fields},
}
"""Where the keys of `dataset` went that stood side by side before it had sections."""


class DatasetParams(RunnerParams):
    """From documents to a training table."""

    max_tokens: int = Field(8192, ge=64, le=1_048_576)
    """Most tokens of a training row in the trained model's tokenizer, header and special tokens included."""
    train_tokens: int | None = Field(None, ge=1)
    """Input tokens of the whole table. Fewer than there are: a fixed sample, the rest as verdicts. Null = everything.
    """
    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of the documents of each kind to hold out; whole clusters only, so the true share may be lower."""
    filter: FilterParams = FilterParams()
    """Which documents are trained on."""
    redact: RedactParams = RedactParams()
    """What is hidden in them."""
    stale: StaleParams = StaleParams()
    """What is done with pages that the snapshot has outrun."""
    deduplicate: DeduplicateParams = DeduplicateParams()
    """What counts as a copy."""
    split: SplitParams = SplitParams()
    """Which documents are held out."""
    render: RenderParams = RenderParams()
    """How a document looks as text."""
    mixture: MixtureParams = MixtureParams()
    """Which rows the training table holds."""
    replay: Replay | None = Replay()
    """General text that is trained on beside the sources, against forgetting: by default samples of the base model
    itself; null = none.
    """
    leaks: LeakParams = LeakParams()
    """When an evaluation question counts as leaked."""

    @model_validator(mode="before")
    @classmethod
    def _moved_keys_go_where_they_are_now(cls, document: Any) -> Any:
        """A preset that ran last month runs this month; only a key in both places leaves open what is meant."""
        if not isinstance(document, dict):
            return document
        settled = {name: value for name, value in document.items() if name not in MOVED}
        for name in sorted(MOVED.keys() & document.keys()):
            section, key = MOVED[name].split(".")
            within = settled.get(section, {})
            if not isinstance(within, dict) or key in within:
                told = f"`{name}` is now `dataset.{MOVED[name]}`; keep one of them"
                raise PydanticCustomError("moved", "{told}", {"told": told})
            settled[section] = {**within, key: document[name]}
            logger.warning("`dataset.%s` is now `dataset.%s`: taken as that", name, MOVED[name])
        return settled


class ComputeParams(Params):
    """Where training runs."""

    pool: Annotated[str, EXECUTION] = "inline"
    """`inline` (this process's machine) or the name of a Prefect work pool."""


class RetrainParams(Params):
    """A whole run: which text, which dialogues, which training, which proof, which release."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the model that the run makes; releases are listed under it."""
    sources: tuple[SourceParams, ...] = Field(min_length=1)
    """Repositories with their pull requests and wikis."""
    github: GithubParams = GithubParams()
    """How GitHub is reached; the token comes from GITHUB_TOKEN or a Prefect Secret block."""
    gitlab: GitlabParams = GitlabParams()
    """How GitLab is reached; the token comes from GITLAB_TOKEN or a Prefect Secret block."""
    gitea: GiteaParams = GiteaParams()
    """How Gitea or Forgejo is reached; the token comes from GITEA_TOKEN or a Prefect Secret block."""
    synthesis: SynthesisParams = SynthesisParams()
    """How dialogues are generated."""
    dataset: DatasetParams = DatasetParams()
    """How documents become the training table."""
    training: TrainingParams = TrainingParams()
    """The model and its recipe."""
    search: Annotated[SearchParams, EXECUTION] = SearchParams()
    """What `search-hyperparameters` tries."""
    evaluation: EvaluationParams = EvaluationParams()
    """What is asked of base and tuned model."""
    gate: GateParams = GateParams()
    """What a model must prove to be released."""
    release: ReleaseParams = ReleaseParams()
    """Where it is released."""
    compute: ComputeParams = ComputeParams()
    """Where training runs."""
    store: Annotated[str, EXECUTION] = "./.rawtune"
    """Artifact store: a folder, or `s3://bucket/prefix` when several machines work together."""

    @property
    def servers(self) -> Servers:
        """How each forge is reached."""
        return Servers(github=self.github, gitlab=self.gitlab, gitea=self.gitea)

    @property
    def settled_dataset(self) -> DatasetParams:
        """The dataset's parameters with the passes that go with the epochs."""
        return self.dataset.model_copy(update={"mixture": self.dataset.mixture.over(self.training.epochs)})

    def gate_shortfalls(self) -> list[str]:
        """Bounds of the gate that the questions asked for cannot decide, a line each."""
        return shortfalls(self.gate, expected_questions(self.evaluation))

    @model_validator(mode="after")
    def _sections_agree(self) -> RetrainParams:
        if self.training.kl_weight and self.training.kl_rows is KlRows.REPLAY and self.dataset.replay is None:
            raise ValueError("training.kl_weight: there are no replay rows; set dataset.replay, or kl_rows to all")
        replay = self.dataset.replay
        if replay is not None and replay.source is None and not replay.soft_targets and self.training.epochs > 1:
            raise ValueError(
                f"training.epochs: a sample of the base model may be seen once, not {self.training.epochs} times; set "
                f"epochs to 1 and dataset.mixture.passes to {{raw: {self.training.epochs}, dialogue: "
                f"{self.training.epochs}}}, or dataset.replay.soft_targets to 20, or dataset.replay to null"
            )
        return self
