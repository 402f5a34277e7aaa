"""kill -9 in the middle of asking, then the same again: nothing that was answered is asked twice, and the cap holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.base.records import Dialogue
from tasks.base.runs import read_records
from tasks.base.store import Store
from tests.emulators.openai_api import OpenAIEmulator
from tests.synthesis.conftest import MakeSplit, asking, billed_usd, dialogues_of, page

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from tasks.base.artifacts import Artifact
from tasks.base.store import Store

from tasks.synthesis.params import SynthesisParams
documents, params = Artifact.model_validate_json(sys.argv[2]), SynthesisParams.model_validate_json(sys.argv[3])
from tests.synthesis.conftest import dialogues_of
dialogues_of(Store(sys.argv[1]), documents=documents, params=params)
"""


@pytest.mark.slow
@pytest.mark.parametrize("batch", [False, True], ids=["online", "batch"])
def test_killed_and_resumed_run_repeats_no_answered_request_and_keeps_the_cap(
    store: Store, make_split: MakeSplit, server: OpenAIEmulator, batch: bool
) -> None:
    split = make_split([page(number) for number in range(40)])
    server.settings.latency = 0.03
    server.settings.batch_polls = 10
    params = asking(server, batch=batch, batch_poll=0.1, batch_requests=30, concurrency=8, budget_usd=0.9)
    argv = [sys.executable, "-c", SCRIPT, store.uri, split.model_dump_json(), params.model_dump_json()]
    for kill_after in (30, 90, 150):
        process = subprocess.Popen(argv, cwd=ROOT)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if len(server.billed) >= kill_after or (batch and len(server.batch_desk.batches) > kill_after // 40):
                break
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    made = dialogues_of(store, documents=split, params=params)
    assert {record.provenance.document_id for record in read_records(store, made, Dialogue)} == {
        page(number).id for number in range(40)
    }
    bodies = [json.dumps(received.body) for received in server.received]
    repeated = len(bodies) - len(set(bodies))
    # Online, what the process had in flight when it died was answered to nobody; a batch is found again whole.
    assert repeated <= (0 if batch else 3 * params.concurrency)
    cached = list((Path(store.root.path) / "cache/synthesis/responses").rglob("*.json"))
    assert len(cached) == len(set(bodies))
    assert billed_usd(server) <= Decimal("0.9")
    (budget,) = (Path(store.root.path) / "budgets").iterdir()
    spent = [Decimal(file.read_text() or file.stem.partition("-")[2]) for file in budget.glob("*.txt")]
    assert billed_usd(server) <= sum(spent) <= Decimal("0.9")
