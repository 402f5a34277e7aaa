"""One whole run of the workflow with the tiny model, shared by the tests that look at different sides of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase, RetrainParams
from tasks.base.ledger import RunReport
from tasks.base.store import Store
from tests.flows.sample_repository import git, make_repository


@dataclass(frozen=True)
class Finished:
    """A run and everything needed to run it again."""

    params: RetrainParams
    store: Store
    report: RunReport
    repository: Path


def tiny_params(repo: Path, model: Path, store: Path) -> RetrainParams:
    """A preset that a two-layer model gets through in seconds."""
    return RetrainParams.model_validate(
        {
            "name": "post",
            "sources": [{"repo": str(repo), "pulls": {"limit": 10}}],
            "dataset": {
                "max_tokens": 512,
                "train_tokens": 8000,
                "validation_fraction": 0.2,
                "mixture": {"passes": {"raw": 1, "dialogue": 1}},
                "replay": None,
            },
            "training": {
                "base_model": str(model),
                "backend": "trl",
                "rank": 8,
                "alpha": 8,
                "learning_rate": 1e-2,
                "epochs": 1,
                "max_general_loss": None,
                "general_looks": 1,
            },
            "evaluation": {
                "items": 20,
                "general_items": 4,
                "general_suites": ["known-facts", "hellaswag"],
                "max_new_tokens": 8,
                "loss_tokens": 1000,
            },
            "gate": {"min_recall_gain": None, "max_forgetting": None},
            "store": str(store),
        }
    )


@pytest.fixture(scope="session")
def sample_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with code, pages and pull requests; not to be changed."""
    return make_repository(tmp_path_factory.mktemp("repository") / "post")


@pytest.fixture(scope="session")
def finished(
    prefect_harness: None, tiny_model: Path, sample_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """The whole workflow, run once."""
    store = tmp_path_factory.mktemp("finished") / "store"
    params = tiny_params(sample_repository, tiny_model, store)
    return Finished(params, Store(params.store), run_retrain(params, Phase.PUBLISH), sample_repository)


@pytest.fixture
def bundle(sample_repository: Path, tmp_path: Path) -> Path:
    """The repository and its pull requests as a git bundle, cloned from again as a bare mirror."""
    git(sample_repository, "bundle", "create", "--quiet", str(tmp_path / "post.bundle"), "--all")
    git(tmp_path, "clone", "--quiet", "--mirror", str(tmp_path / "post.bundle"), "post.git")
    return tmp_path / "post.git"
