"""The provider against real servers that are no emulators.

`transformers serve` with a tiny random Llama ignores `response_format` and babbles. vLLM with the stub model honours
JSON schema, so that its replies are pairs; hardly one is grounded. Curation lets next to none of it through.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.base.runs import read_verdicts
from tasks.base.store import Store
from tasks.llm.params import PriceParams
from tasks.synthesis.params import SynthesisParams
from tests.synthesis.conftest import MakeSplit, dialogues_of, page

START_SECONDS = 420
"""vLLM takes 70 s on two idle cores."""

VLLM_PYTHON = Path(__file__).resolve().parents[2] / ".venv-vllm" / "bin" / "python"


@contextmanager
def serving(command: list[str], port: int, environment: dict[str, str], log: Path) -> Iterator[str]:
    """A server's address, once it answers; ends the server's whole process group after the block."""
    with log.open("wb") as writer:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=writer, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
                assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def transformers_server(tiny_model: Path, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(tiny_model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path)}
    with serving(command, port, environment, tmp_path / "server.log") as address:
        yield address


@pytest.fixture
def vllm_server(stub_model: Path, tmp_path: Path) -> Iterator[str]:
    assert VLLM_PYTHON.exists(), "run `make setup-vllm` first"
    port = free_port()
    command = [str(VLLM_PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(stub_model)]
    command += ["--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16"]
    command += ["--max-model-len", "2048", "--enforce-eager"]
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "VLLM_CACHE_ROOT": str(tmp_path),
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    }
    environment |= dict.fromkeys(("PYTHONPATH",), "")
    with serving(command, port, environment, tmp_path / "server.log") as address:
        yield address


@pytest.mark.slow
def test_babbling_model_on_a_real_server_yields_verdicts_and_no_dialogue(
    store: Store, make_split: MakeSplit, tiny_model: Path, transformers_server: str
) -> None:
    params = SynthesisParams(
        provider="openai",
        base_url=f"{transformers_server}/v1",
        model=str(tiny_model),
        prices=PriceParams(input_usd=0, output_usd=0),
        methods=("page_qa", "page_instruction"),
        max_output_tokens=256,
        concurrency=2,
    )
    made = dialogues_of(store, documents=make_split([page(1), page(2)]), params=params)
    assert made.counts["records"] == 0
    verdicts = list(read_verdicts(store, made))
    assert len(verdicts) == 4
    assert {verdict.reason for verdict in verdicts} <= {"malformed", "truncated"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_135_million_parameters_keep_to_the_schema_and_curation_rejects_what_they_write(
    store: Store, make_split: MakeSplit, vllm_server: str
) -> None:
    params = SynthesisParams(
        provider="openai",
        base_url=f"{vllm_server}/v1",
        model="smollm2",
        prices=PriceParams(input_usd=1, output_usd=2),
        budget_usd=0.05,
        methods=("page_qa", "page_instruction"),
        max_output_tokens=400,
        concurrency=8,
        timeout=800,  # a request that is given up is booked at its worst case, and nothing could be compared
    )
    made = dialogues_of(store, documents=make_split([page(number) for number in range(1, 7)]), params=params)

    verdicts = list(read_verdicts(store, made))
    cut_off = [verdict for verdict in verdicts if verdict.reason == "truncated"]
    rejected = [verdict for verdict in verdicts if verdict.reason in REJECTED]
    assert len(rejected) + len(cut_off) == len(verdicts), {verdict.reason for verdict in verdicts}
    assert len(rejected) >= 5
    assert made.counts["records"] <= 0.2 * (made.counts["records"] + len(rejected))
    # What was booked is what the server counted.
    booked = [file.read_text("utf-8") for file in Path(store.root.path).glob("budgets/*/*.txt")]
    settled = [Decimal(usd) for usd in booked if usd]
    counted = metrics(vllm_server)
    assert len(settled) == len(booked)
    assert len(settled) == counted["vllm:request_success_total"] >= 12
    tokens = counted["vllm:prompt_tokens_total"] + 2 * counted["vllm:generation_tokens_total"]
    assert sum(settled) == Decimal(int(tokens)) / 1_000_000 <= Decimal("0.05")
    # The schema is in every reply that was not cut off.
    answered = list(Path(store.root.path).glob("cache/synthesis/responses/**/*.json"))
    assert len(answered) + len(cut_off) == len(settled)


REJECTED = {
    "answer-in-question",
    "duplicate",
    "empty",
    "judge-evasive",
    "judge-no-subject",
    "judge-silent",
    "judge-ungrounded",
    "language",
    "near-duplicate",
    "no-subject",
    "not-in-source",
    "question-length",
    "unknown-identifier",
    "unknown-number",
}


def metrics(address: str) -> dict[str, float]:
    """The server's own counters, summed over their labels."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as page:
        text = page.read().decode()
    counted: dict[str, float] = {}
    for name, value in re.findall(r"^(vllm:\w+_total)(?:\{[^}]*\})? ([0-9.e+]+)$", text, re.MULTILINE):
        counted[name] = counted.get(name, 0.0) + float(value)
    return counted
