"""Runs the flow for the command line: a Prefect server if there is none, the flow, its report and its exit code."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deployments.prefect.local_server import QUIET_SETTINGS, local_server
from tasks.base.errors import InputError, RawtuneError
from tasks.base.ledger import RunReport, read_report
from tasks.base.progress import Event, emit
from tasks.base.store import Store

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State
    from prefect.flows import Flow

    from flows.params import Phase, RetrainParams


SERVER = "Prefect server"
"""Its line among the steps that a terminal shows."""

IMPORTED_MEANWHILE = (
    "flows.retrain",
    "prefect.flow_engine",
    "prefect.task_engine",
    "pygit2",
    "betterleaks",
    "rensa",
    "tokenizers",
    "tree_sitter_language_pack",
    "pyarrow.parquet",
    "pandas",  # which pyarrow imports at the first array
)
"""What a run imports sooner or later, two seconds of work; the server takes longer to start on another core."""

SERVER_SECONDS = 10.0

SEND_SECONDS = 10.0
"""How long the end of a run waits for its last logs to reach the server."""


class RunFailed(RawtuneError):
    """A run that began and did not succeed; carries its report for `--json`."""

    def __init__(self, message: str, report: RunReport, exit_code: int) -> None:
        super().__init__(message)
        self.report = report
        self.exit_code = exit_code


def prefect_home(store: Store) -> Path:
    """Where a laptop's own Prefect server keeps its database: in a local store, else in the working directory."""
    return store.local("prefect") if store.is_local else Path(".rawtune/prefect").absolute()


@contextmanager
def prefect_server(store: Store) -> Iterator[None]:
    """An always-on server if PREFECT_API_URL names one, else one of our own for the duration of the block."""
    if os.environ.get("PREFECT_API_URL"):
        for name, value in QUIET_SETTINGS.items():  # Prefect's log lines are no part of what this command prints
            os.environ.setdefault(name, value)
        check_server()
        yield
        return
    began = time.monotonic()
    emit(Event(SERVER, "started"))
    with local_server(prefect_home(store), meanwhile=_import_all):
        emit(Event(SERVER, "finished", state="Completed", done=time.monotonic() - began))
        yield


def check_server() -> None:
    """Asks the server at PREFECT_API_URL for a sign of life.

    Raises:
        InputError: it gives none within `SERVER_SECONDS`, or does not accept the credentials.
    """
    import httpx
    from prefect.client.orchestration import get_client

    address = urlsplit(os.environ["PREFECT_API_URL"]).netloc.rpartition("@")[2]  # without a password
    try:
        with get_client(sync_client=True, httpx_settings={"timeout": SERVER_SECONDS}) as client:
            client.raise_for_api_version_mismatch()
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, OSError) as error:
        reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"PREFECT_API_URL: the Prefect server at {address} does not answer ({reason}); start it, correct the "
            "address or PREFECT_API_AUTH_STRING, or unset PREFECT_API_URL to have a server of one's own"
        ) from error


def _import_all() -> None:
    for name in IMPORTED_MEANWHILE:
        import_module(name)
    gc.freeze()  # modules stay; without it the collector looks through them again and again, a tenth of the run's time


def run_retrain(params: RetrainParams, until: Phase) -> RunReport:
    """Runs the whole flow in this process.

    Raises:
        InputError: what the user gave is wrong.
        RunFailed: a step failed, or the gate refused.
    """
    from flows.retrain import retrain

    return _run(retrain, params, until)


def run_search(params: RetrainParams, until: Phase) -> RunReport:
    """Searches training settings in this process and retrains the winner; raises as `run_retrain` does."""
    from flows.search_hyperparameters import search_hyperparameters

    return _run(search_hyperparameters, params, until)


def _run(flow: Flow[[RetrainParams, Phase], State[Any]], params: RetrainParams, until: Phase) -> RunReport:
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # A heartbeat thread costs a second per flow (prefect 3.8.8); it serves workers, whose death nobody watches here.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        try:
            state: State[Any] = flow(params, until, return_state=True)
        finally:
            _send_pending()
    report = _report(Store(params.store), str(state.state_details.flow_run_id))
    if state.is_completed():
        return report
    if state.name == "Refused":
        raise RunFailed(f"the gate refused: {state.message}", report, 3)
    error = state.result(raise_on_failure=False)
    if isinstance(error, InputError):
        raise error
    if isinstance(error, RawtuneError):
        raise RunFailed(str(error), report, error.exit_code) from error
    if isinstance(error, Exception):
        raise RunFailed(f"{type(error).__name__}: {error}", report, 1) from error
    raise RunFailed(f"the run ended as {state.name}: {state.message}", report, 1)


def _send_pending() -> None:
    """Sends queued logs and events while the server is still there; at exit Prefect would wait for one that is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=SEND_SECONDS)
    APILogWorker.drain_all(timeout=SEND_SECONDS)


def _report(store: Store, run: str) -> RunReport:
    return read_report(store, run) or RunReport(run=run)
