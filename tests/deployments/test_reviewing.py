"""`rawtune show synthesis/dialogues`: what a reviewer sees and does in the terminal."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.base.store import Store
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tests.deployments.test_cli import rawtune
from tests.synthesis.conftest import page, split_of


@pytest.fixture
def reviewable(tmp_path: Path) -> Path:
    """A store with the dialogues of two pages."""
    store = Store(str(tmp_path / "reviewable"))
    documents = split_of.direct(store, [page(1).line(), page(2).line()], [])
    dialogues.direct(
        store, documents=documents, facts=facts.direct(store, documents=documents), params=SynthesisParams()
    )
    return tmp_path / "reviewable"


def test_show_pages_through_dialogues_with_source_provenance_and_scores(reviewable: Path, tmp_path: Path):
    store = str(reviewable)
    shown = rawtune(
        "show", "synthesis/dialogues", "--method", "page_instruction", "--records", "2", "--store", store, cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("\nuser: ") == shown.stdout.count("\nassistant: ") == 2
    assert shown.stdout.count("page_instruction/") >= 2
    for part in ("source:", "lines ", "by template; no judge"):
        assert part in shown.stdout
    assert "source: is the answer" in shown.stdout
    listed = rawtune(
        "show", "synthesis/dialogues", "--start", "1", "--records", "1", "--json", "--store", store, cwd=tmp_path
    )
    (document,) = json.loads(listed.stdout)
    (row,) = document["dialogues"]
    assert row["source"]
    assert {"document_id", "revision", "span", "prompt_version", "model"} == set(row["provenance"])


def test_show_on_a_terminal_gives_one_page_after_the_other(reviewable: Path, tmp_path: Path):
    main, terminal = pty.openpty()
    command = [sys.executable, "-c", "from deployments.cli import main; main()", "show", "synthesis/dialogues"]
    process = subprocess.Popen(
        [*command, "--store", str(reviewable)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "200"},
        close_fds=True,
    )
    os.close(terminal)
    told = ""
    try:
        for place, key in enumerate(("\n", "q\n"), 1):
            told += until(main, "q to end: ")
            assert told.count("assistant:") == 3 * place
            os.write(main, key.encode())
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(main)
    assert "\n6. " in told.replace("\r", "")


def test_export_edit_and_import_make_corrections(reviewable: Path, tmp_path: Path):
    options = ["show", "synthesis/dialogues", "--store", str(reviewable)]
    assert rawtune(*options, "--export", "jsonl", "edited.jsonl", cwd=tmp_path).returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "edited.jsonl").read_text("utf-8").splitlines()]
    lines[0]["question"] = "What is Rocket 1, in one sentence?"
    (tmp_path / "edited.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    done = rawtune(*options, "--import", "edited.jsonl", "--editor", "ana", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {"changed": 1, "records": 1}


def until(descriptor: int, text: str, seconds: float = 60.0) -> str:
    """What a terminal shows, up to a text."""
    told = b""
    deadline = time.monotonic() + seconds
    while text.encode() not in told:
        assert time.monotonic() < deadline, told.decode()
        if select.select([descriptor], [], [], 0.2)[0]:
            told += os.read(descriptor, 65536)
    return told.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["corpus/split", "--import", "x.jsonl"], "corpus/split: only synthesis/dialogues has --method"),
        (["synthesis/dialogues", "--import", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["synthesis/dialogues", "--export", "jsonl", "no/folder.jsonl"], "no/folder.jsonl: cannot be written"),
        (["synthesis/dialogues", "--export", "csv", "x.csv"], "--export csv: dialogues are written as `jsonl`"),
    ],
)
def test_show_bad_usage_of_the_review_is_one_line_and_exit_2(
    arguments: list[str], message: str, reviewable: Path, tmp_path: Path
):
    done = rawtune("show", *arguments, "--store", str(reviewable), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
