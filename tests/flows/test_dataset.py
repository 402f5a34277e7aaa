"""Harvest to training table of a repository with whatever people commit: every document and every token is accounted
for, step by step.
"""

from pathlib import Path

import pytest

from deployments.cli.running import run_retrain
from flows.params import Phase, RetrainParams
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.records import Chunk
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.mixture.table.rows import ROWS, Row
from tests.flows.conftest import tiny_params
from tests.flows.sample_repository import git, make_repository

TOKEN = "ghp_" + "R7vX2mQ9sK4tY8wZ1aB3cD5eF6gH0iJkLmNo"
ODD = {
    "yarn.lock": b"a@1:\n  version 1\n" * 400,
    "post/copy.py": b"# A copy of what follows.\n",
    "post/settings.py": f'GITHUB_TOKEN = "{TOKEN}"\nLIMIT = 3\n'.encode(),
    "post/chat.jinja": b"{{ '<|im_start|>' }}user<|im_end|><|endoftext|>\n" * 30,
    "post/latin.txt": b"caf\xe9 \xff\xfe was never UTF-8\n" * 10,
    "post/logo.png": bytes(range(256)) * 8,
    "post/empty.py": b"",
    "data/one-line.json": b"[" + b"1," * 60_000 + b"1]",
    "docs/old.md": b"# Old\n\nStart with `post/mailcoach.py`, `post/horses.py` and `harness_horses`.\n" * 2,
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_repository(tmp_path_factory.mktemp("odd") / "post")
    for path, content in ODD.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    parcel = (folder / "post/parcel.py").read_text("utf-8")
    (folder / "post/copy.py").write_text(f"# A copy.\n{parcel}", "utf-8")
    (folder / "link.py").symlink_to("post/parcel.py")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Whatever people commit", day=8)
    return folder


@pytest.fixture(scope="module")
def params(repository: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RetrainParams:
    document = tiny_params(repository, tiny_model, tmp_path_factory.mktemp("odd") / "store").model_dump(mode="json")
    document["dataset"] |= {"max_tokens": 256, "stale": {"pages": "weight"}, "train_tokens": 6_000}
    return RetrainParams.model_validate(document)


@pytest.fixture(scope="module")
def report(prefect_harness: None, params: RetrainParams) -> RunReport:
    return run_retrain(params, Phase.DATASET)


def counts(report: RunReport, step: str) -> dict[str, int]:
    return artifact(report, step).counts


def artifact(report: RunReport, step: str) -> Artifact:
    (outcome,) = [outcome for outcome in report.steps if outcome.step == step]
    assert outcome.artifact is not None
    return Artifact(step=step, version="", **outcome.artifact)


def verdicts(found: dict[str, int], besides: str = " ") -> int:
    return sum(number for name, number in found.items() if name.startswith("verdict:") and not name.startswith(besides))


def test_documents_are_what_is_kept_and_what_has_a_verdict_at_every_step(report: RunReport, repository: Path) -> None:
    files, pulls = counts(report, "harvest/snapshot"), counts(report, "harvest/pulls")
    assert files["records"] + verdicts(files) == len(
        git(repository, "ls-tree", "-r", "--name-only", "HEAD").split("\n")
    )
    assert {"verdict:binary", "verdict:symlink"} <= files.keys()
    assert pulls["records"] == 3
    kept = counts(report, "corpus/filter")
    assert kept["verdict:lock-file"] == 1
    assert kept["documents"] == files["records"] + pulls["records"]
    assert kept["documents"] == kept["records"] + verdicts(kept, besides="verdict:diff-")
    redacted, dated = counts(report, "corpus/redact"), counts(report, "corpus/stale-pages")
    assert redacted["records"] == dated["records"] == kept["records"]
    assert redacted["verdict:redacted-github-pat"] == dated["weights"] == dated["verdict:stale-page-weight"] == 1
    unique, sides = counts(report, "corpus/deduplicate"), counts(report, "corpus/split")
    assert unique["documents"] == dated["records"] == unique["records"] + verdicts(unique)
    assert unique["verdict:near-duplicate"] == 1
    assert sides["train"] + sides["held_out"] == sides["documents"] == unique["records"]
    assert counts(report, "corpus/chunk")["documents"] == sides["documents"]


def test_tokens_in_are_tokens_out_and_reasons(report: RunReport, params: RetrainParams) -> None:
    cut, talk, table = (counts(report, step) for step in ("corpus/chunk", "synthesis/dialogues", "mixture/assemble"))
    chunks = list(read_records(Store(params.store), artifact(report, "corpus/chunk"), Chunk))
    assert cut["tokens"] == sum(chunk.tokens for chunk in chunks)
    assert cut["tokens"] == sum(tokens for name, tokens in cut.items() if name.startswith("tokens:"))
    assert table["parts_in"] + table["held_out"] == cut["records"] + talk["records"]
    left_out = sum(tokens for name, tokens in table.items() if name.startswith("tokens_out:"))
    assert table["tokens_in"] + table["tokens_repeated"] == table["tokens"] + left_out
    assert table["tokens"] == sum(tokens for name, tokens in table.items() if name.startswith("tokens:"))
    assert table["tokens"] <= 6_000
    assert table["tokens_out:not-sampled"] > 0
    rows = read_records(Store(params.store), artifact(report, "mixture/assemble"), Row, ROWS)
    trained = [part.id for row in rows for part in row.parts if part.copy_number == 0]
    assert table["parts_in"] == len(trained) + verdicts(table)


def test_questions_are_what_is_asked_and_what_has_a_verdict(report: RunReport) -> None:
    guarded = counts(report, "mixture/leak-guard")
    assert counts(report, "evaluation/items")["records"] == guarded["records"] + verdicts(guarded)


def test_secret_is_in_no_artifact_from_redaction_on_and_the_control_tokens_are_text(
    report: RunReport, params: RetrainParams
) -> None:
    store = Store(params.store)
    for outcome in report.steps:
        if outcome.artifact and outcome.step != "corpus/filter" and not outcome.step.startswith("harvest"):
            for path in store.checkout(artifact(report, outcome.step)).rglob("*.jsonl"):
                assert TOKEN not in path.read_text("utf-8"), f"{outcome.step}/{path.name}"
    chunks = read_records(store, artifact(report, "corpus/chunk"), Chunk)
    assert any("<|im_end|><|endoftext|>" in chunk.text for chunk in chunks)
