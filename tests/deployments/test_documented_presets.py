"""Every preset that comes with rawtune and every YAML block of README and docs goes through to its release, and can be
explained, planned, shown, chatted with and asked afterwards.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import PREFECT_API_URL

from deployments.presets import FOLDER
from flows.params import RetrainParams
from tests.deployments.test_cli import RAWTUNE
from tests.emulators.github_api import Comment, Github, Pull, Repository, User, serve
from tests.emulators.openai_api import OpenAIEmulator
from tests.flows.sample_repository import git, make_repository

ROOT = Path(__file__).resolve().parents[2]
WEEKS_EARLIER = 8
"""The sample's commits are of January 2024; the article's date is the end of 2023."""

BOUNDS = (
    "dataset.max_tokens=512",
    "dataset.train_tokens=3000",
    "training.backend=trl",
    "evaluation.items=10",
    "evaluation.general_items=4",
    "evaluation.general_suites=[known-facts]",
    "evaluation.max_new_tokens=8",
    "evaluation.loss_tokens=500",
    "gate.min_recall_gain=null",
    "gate.max_forgetting=null",
    "gate.max_held_out_loss_increase=null",
)

ARTICLE = "preset article"

SMALL = ("training.rank=8", "training.alpha=8", "training.epochs=1", "training.batch_size=4")
"""Not for the article, which is run with its own recipe."""


def documented() -> dict[str, dict[str, Any]]:
    """Presets by where they stand: YAML files that come with rawtune, and blocks of the pages that name sources."""
    found = {f"preset {path.stem}": yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text("utf-8")
        blocks = re.findall(r"^```ya?ml\n(.*?)^```", text, re.M | re.S)
        blocks += re.findall(r"(?:^    [^\n]*\n|^\n(?=    ))+", text, re.M)
        for number, block in enumerate(blocks):
            try:
                document = yaml.safe_load(block)
            except yaml.YAMLError:
                continue  # not YAML but commands
            if isinstance(document, dict) and document.keys() <= RetrainParams.model_fields.keys():
                found[f"{page.name} {number}"] = {"sources": [{"repo": "."}]} | document
    return found


DOCUMENTED = documented()


def earlier(source: Path, target: Path) -> Path:
    """The repository some weeks before."""
    seconds = WEEKS_EARLIER * 7 * 24 * 3600
    stream = subprocess.run(["git", "fast-export", "--all"], cwd=source, capture_output=True, check=True).stdout
    moved = re.sub(
        rb"^((?:author|committer) .*> )(\d+)( \+0000)$",
        lambda found: found[1] + str(int(found[2]) - seconds).encode() + found[3],
        stream,
        flags=re.M,
    )
    target.mkdir(parents=True)
    git(target, "init", "--quiet", "--initial-branch=main")
    subprocess.run(["git", "fast-import", "--quiet"], cwd=target, input=moved, check=True)
    git(target, "checkout", "--quiet", "main")
    return target


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Github]:
    """The sample as guardian/manage-frontend, with its pull requests."""
    folder = earlier(make_repository(tmp_path / "sample"), tmp_path / "manage-frontend")
    pulls = []
    for number in (1, 2, 3):
        head = git(folder, "rev-parse", f"refs/pull/{number}/head")
        day = f"2023-11-{8 + number:02d}T12:00:00Z"
        pulls.append(
            Pull(
                number,
                f"Change {number}",
                "Because it was asked for.",
                head,
                git(folder, "rev-parse", f"{head}^"),
                day,
                day,
                state="closed",
                closed_at=day,
                comments=[Comment(number, User("ada"), day, "Looks good to me.")],
            )
        )
    with serve(Repository("guardian/manage-frontend", folder, pulls)) as running:
        yield running


def surroundings(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "GITHUB_"))}
    return kept | {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "OPENAI_API_KEY": "any"} | more


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_preset_runs_to_its_release_and_can_be_asked(
    name: str, github: Github, tiny_model: Path, tmp_path: Path, prefect_harness: None
):
    work = earlier(tmp_path / "sample", tmp_path / "work" / "here")
    for beside in ("tools/router.git", "wikis/router"):
        earlier(tmp_path / "sample", work.parent / beside)
    (work / "papers").mkdir()
    (work / "papers" / "tariffs.md").write_text("# Tariffs\n\nA parcel below two kilograms costs four euros.\n")
    preset = work / "preset.yaml"
    preset.write_text(yaml.safe_dump(DOCUMENTED[name]))
    model = "stub" if name == "preset dry-run" else str(tiny_model)
    with OpenAIEmulator() as openai:
        changes = [f"github.api_url={github.url}", f"training.base_model={model}", *BOUNDS]
        changes += () if name == ARTICLE else SMALL
        changes.append(f"synthesis.base_url={openai.base_url}")
        replays = bool(DOCUMENTED[name].get("dataset", {}).get("replay"))
        # a random model never ends a turn, and the stub takes its time; who leaves replay to its default has what the
        # researched preset shows
        replay = ["dataset.replay.streams={raw: 1}", "dataset.replay.sample_tokens=32"]
        changes += replay if replays else ["dataset.replay=null"]
        settings = [str(preset), "--store", "store", *(word for one in changes for word in ("--set", one))]

        def rawtune(*arguments: str) -> str:
            done = subprocess.run(
                [*RAWTUNE, *arguments], cwd=work, env=surroundings(), capture_output=True, text=True, timeout=600
            )
            assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
            assert "Traceback" not in done.stderr, done.stderr
            return done.stdout

        report = json.loads(rawtune("retrain", *settings, "--json"))
        states = {step["step"]: step["state"] for step in report["steps"]}
        assert (report["decision"], states["release/publish"]) == ("allow", "Completed")
        assert (states.get("mixture/replay") == "Completed") is replays
        assert Path(report["release"]).exists()
        if name == ARTICLE:
            as_published(report)
        assert {step["hit"] for step in json.loads(rawtune("explain", *settings, "--json"))} == {True}
        assert json.loads(rawtune("plan", *settings, "--json"))["training"]["tokens"] > 0
        for room in ("harvest", "evaluation", "release", "ledger"):
            assert rawtune("show", room, "--store", "store")
        assert rawtune("ask", "What is a parcel?", "--store", "store", "--max-tokens", "4") != ""
    chats(work)


def as_published(report: dict[str, Any]) -> None:
    """The article's rank, and three epochs over all of the table, held-out documents included."""
    made = {step["step"]: step["artifact"] for step in report["steps"]}
    config = json.loads(Path(made["training/train"]["uri"], "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (768, 768)
    table = made["mixture/assemble"]["counts"]
    assert table["held_out_trained"] > 0
    assert made["training/train"]["counts"]["targets"] == 3 * table["trained_tokens"]


def chats(work: Path) -> None:
    """The chat comes up, and Ctrl-C ends it."""
    page = subprocess.Popen(
        [*RAWTUNE, "chat", "--store", "store"], cwd=work, env=surroundings(), stderr=subprocess.PIPE, text=True
    )
    assert page.stderr is not None
    for line in page.stderr:
        if "chat at http" in line:
            break
    else:
        raise AssertionError("the chat did not come up")
    page.send_signal(signal.SIGINT)
    _, told = page.communicate(timeout=60)
    assert (page.returncode, "Traceback" in told) == (0, False), told


def test_documented_presets_are_found_and_valid():
    assert {ARTICLE, "preset dry-run", "preset researched"} <= DOCUMENTED.keys()
    assert len(DOCUMENTED) >= 5
    for document in DOCUMENTED.values():
        RetrainParams.model_validate({"name": "documented"} | document)
