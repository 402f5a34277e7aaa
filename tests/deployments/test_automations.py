"""Automations on a real server: a receiver hears of a failed run, a run without heartbeats is marked crashed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar
from uuid import UUID

import pytest
from prefect import flow, tags
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.states import Failed, Running

from deployments.prefect.automations import ensure_automations
from tests.deployments.prefect_server import PrefectServer

pytestmark = pytest.mark.slow


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    heard: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.heard = []
    listening = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}/hook"
    listening.shutdown()


@flow(name="refused")
def refused() -> object:
    """Ends as the gate's refusal does, with a message that would break JSON put together by hand."""
    return Failed(name="Refused", message='recall gain "0.01" is below {0.1}')


def wait_for(condition: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.fixture
def no_automations_left(server: PrefectServer) -> Iterator[None]:
    """Takes the automations off the server again, whose next tests would be crashed for want of heartbeats."""
    yield
    with temporary_settings({PREFECT_API_URL: server.url}), get_client(sync_client=True) as client:
        for automation in client.read_automations():
            client.delete_automation(automation.id)


def _is_crashed_by_silence(client: SyncPrefectClient, run: UUID) -> bool:
    """One heartbeat and then none for longer than the automation allows. The server may miss the first one: its trigger
    service reads new automations now and then."""
    emit_event("prefect.flow-run.heartbeat", {"prefect.resource.id": f"prefect.flow-run.{run}"})
    EventsWorker.drain_all(timeout=10)
    until = time.monotonic() + 25
    while time.monotonic() < until:
        state = client.read_flow_run(run).state
        if state is not None and state.is_crashed():
            return True
        time.sleep(0.5)
    return False


@pytest.mark.usefixtures("no_automations_left")
def test_automations_tell_of_a_refusal_and_crash_a_run_without_heartbeats(server: PrefectServer, receiver: str):
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_HOME: server.folder / "home"}):
        EventsWorker.drain_all(timeout=10)  # one that an earlier test started still sends to that test's server
        names = ensure_automations(receiver, heartbeat_seconds=4)
        assert ensure_automations(receiver, heartbeat_seconds=4) == names
        with get_client(sync_client=True) as client:
            assert [len(client.read_automations_by_name(name)) for name in names] == [1, 1]
            time.sleep(3)  # for the refusal below, which comes once
            with tags("rawtune"):
                refused(return_state=True)
            refused(return_state=True)
            silent = client.create_flow_run(refused, state=Running())
            wait_for(lambda: _is_crashed_by_silence(client, silent.id), 120)
            wait_for(lambda: Receiver.heard, 60)
    assert len(Receiver.heard) == 1
    assert 'is Refused: recall gain "0.01" is below {0.1}' in Receiver.heard[0]["text"]
