"""The training data as a dataset repository: off unless asked for, and always private.

train.parquet     the training table: token ids, labels, positions, where each row comes from
dialogues.jsonl   the generated dialogues, readable
README.md         dataset card;  manifest.json  what it was made from
"""

from __future__ import annotations

import shutil

from tasks.base.artifacts import Artifact
from tasks.base.runs import StepRun, read_json
from tasks.base.steps import step
from tasks.base.store import Store
from tasks.release.folder import write_json
from tasks.release.hub import address, promotions, push
from tasks.release.params import DatasetFacts

VERSION = "2026.11.24"

CARD = """---
pretty_name: {name}
tags:
- rawtune
configs:
- config_name: default
  data_files:
  - split: train
    path: train.parquet
- config_name: dialogues
  data_files: dialogues.jsonl
---

# {name}, {revision}

Training data of a model made by rawtune from {sources}. `train.parquet` holds packed token ids for `{model}` with
labels (-100 = no loss); `dialogues.jsonl` holds the generated conversations of both sides of the split, each with its
side. It contains the text of its sources: keep it private.
"""


@step("release/dataset", VERSION)
def dataset(run: StepRun, table: Artifact, dialogues: Artifact, facts: DatasetFacts) -> None:
    """Makes the dataset's folder."""
    shutil.copyfile(run.checkout(table) / "table.parquet", run.path("train.parquet"))
    shutil.copyfile(run.checkout(dialogues) / "records.jsonl", run.path("dialogues.jsonl"))
    revision = f"snapshot/{facts.snapshot_date}-{table.sha256[:8]}"
    sources = ", ".join(f"`{source.repo}` at `{source.revision[:12]}`" for source in facts.sources)
    card = CARD.format(name=facts.name, revision=revision, sources=sources, model=facts.model_id)
    run.path("README.md").write_text(card, "utf-8")
    made_from = {artifact.step: artifact.sha256 for artifact in (table, dialogues)}
    write_json(run.path("manifest.json"), {"revision": revision, "made_from": made_from})


def ensure_dataset_published(store: Store, made: Artifact, repo_id: str) -> str:
    """Publishes a dataset folder unless the repository's `main` ever held it; its address.

    Called after the model is published, so nothing is pushed that gate or person refused.

    Raises:
        InputError: the token may not write there.
        ReleaseError: the Hub failed; the repository's `main` then is what it was.
    """
    revision = read_json(store, made, "manifest.json")["revision"]
    if revision not in promotions(repo_id, "dataset"):
        push(store.checkout(made), repo_id, revision, private=True, kind="dataset")
    return address(repo_id, revision, "dataset")
