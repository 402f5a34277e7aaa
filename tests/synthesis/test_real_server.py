"""The provider against a real server that is no emulator: `transformers serve` with a tiny random Llama.

It ignores `response_format` and babbles, which proves the protocol and that curation lets none of it through.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.runs import read_verdicts
from tasks.base.store import Store
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.params import PriceParams, SynthesisParams
from tests.synthesis.conftest import MakeSplit, page

START_SECONDS = 90


@pytest.fixture
def transformers_server(tiny_model: Path, tmp_path: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(tiny_model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "transformers serve ended at once"
                assert time.monotonic() < deadline, "transformers serve does not start"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
def test_babbling_model_on_a_real_server_yields_verdicts_and_no_dialogue(
    store: Store, make_split: MakeSplit, tiny_model: Path, transformers_server: str
) -> None:
    params = SynthesisParams(
        provider="openai",
        base_url=transformers_server,
        model=str(tiny_model),
        prices=PriceParams(input_usd=0, output_usd=0),
        methods=("page_qa", "page_instruction"),
        max_output_tokens=256,
        concurrency=2,
    )
    made = dialogues.direct(store, documents=make_split([page(1), page(2)]), params=params)
    assert made.counts["records"] == 0
    verdicts = list(read_verdicts(store, made))
    assert len(verdicts) == 4
    assert {verdict.reason for verdict in verdicts} <= {"malformed", "truncated"}
