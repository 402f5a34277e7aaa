"""The one model that a person fills in: YAML preset, Prefect form and command line alike.

Each section is declared by its room; here they are composed, in reading order, and nothing else.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tasks.base.params import EXECUTION, Params
from tasks.corpus.params import (
    ChunkParams,
    DeduplicateParams,
    FilterParams,
    RedactParams,
    SplitParams,
    StaleParams,
)
from tasks.evaluation.params import EvaluationParams
from tasks.harvest.params import GithubParams, SourceParams
from tasks.mixture.params import LeakParams, MixtureParams
from tasks.release.params import GateParams, ReleaseParams
from tasks.synthesis.params import SynthesisParams
from tasks.training.params import KlRows, SearchParams, TrainingParams


class DatasetParams(
    LeakParams, MixtureParams, ChunkParams, SplitParams, DeduplicateParams, StaleParams, RedactParams, FilterParams
):
    """From documents to a training table."""


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

    @model_validator(mode="after")
    def _sections_agree(self) -> RetrainParams:
        if self.training.kl_weight and self.training.kl_rows is KlRows.REPLAY and self.dataset.replay is None:
            raise ValueError("training.kl_weight: there are no replay rows; set dataset.replay, or kl_rows to all")
        return self
