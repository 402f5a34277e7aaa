"""Drills: a real Prefect server on PostgreSQL, the real worker, an emulated account whose machines are processes.

Each ends with no live machine, the run in the state that a person would expect, and money within the cap.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_WORKER_CANCELLATION_POLL_SECONDS,
    PREFECT_WORKER_QUERY_SECONDS,
    temporary_settings,
)
from prefect.states import Cancelling, Pending
from upath import UPath

from deployments.deploying import deployment
from deployments.lambda_cloud import stranded
from deployments.lambda_cloud.client import LambdaClient
from deployments.lambda_cloud.stranded import requeue_stranded
from deployments.lambda_cloud.worker import LambdaWorker
from deployments.pools import Pool, ensure_pool
from tests.deployments.prefect_server import PrefectServer
from tests.emulators.lambda_api import LambdaEmulator
from tests.emulators.lambda_api.api import INSUFFICIENT, Fault

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
MAX_USD = 15.0
LOG = logging.getLogger("drills")


@pytest.fixture
def pool(server: PrefectServer, machine_environment: Path, wheel: str, cloud: LambdaEmulator) -> Iterator[str]:
    """A pool and deployment of this test's own; the pool's name."""
    settings = {
        PREFECT_API_URL: server.url,
        PREFECT_HOME: server.folder / "home",
        PREFECT_WORKER_QUERY_SECONDS: 1,
        PREFECT_WORKER_CANCELLATION_POLL_SECONDS: 2,
    }
    name = f"gpu-{time.time_ns()}"
    with temporary_settings(settings), pytest.MonkeyPatch.context() as environment:
        environment.setenv("LAMBDA_API_URL", cloud.url)
        environment.setenv("LAMBDA_API_KEY", cloud.key)
        variables = {
            "wheel": wheel,
            "virtual_environment": str(machine_environment),
            "require_gpu": False,
            "poll_seconds": 0.5,
            "wind_up_seconds": 3,
            "env": {"PYTHONPATH": str(REPOSITORY), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"},
        }
        with get_client(sync_client=True) as client:
            ensure_pool(client, Pool(name, "lambda-cloud", "drill", 5, variables))
        made = deployment("tests.deployments.sample_flows.beating", name=name)
        made.apply(work_pool_name=name)
        yield name
        APILogWorker.drain_all(timeout=10)
        EventsWorker.drain_all(timeout=10)


class Drill:
    """One worker at work on one pool, and what the test wants to know of it."""

    def __init__(self, cloud: LambdaEmulator, pool: str, folder: Path) -> None:
        self.cloud, self.pool, self.folder = cloud, pool, folder

    def worker(self) -> LambdaWorker:
        provider = LambdaClient(self.cloud.url, self.cloud.key, request_seconds=0.05, launch_seconds=0, timeout=5)
        return LambdaWorker(
            work_pool_name=self.pool, provider=provider, wait_seconds=1, heartbeat_interval_seconds=3, limit=5
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[LambdaWorker]:
        """A worker for the duration of the block; leaving it stops the worker as SIGTERM does."""
        worker = self.worker()
        task = asyncio.create_task(worker.start(printer=lambda *_: None))
        try:
            yield worker
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    def process(self, server: PrefectServer) -> subprocess.Popen[bytes]:
        """A worker as it is run in earnest."""
        own = {
            "LAMBDA_API_URL": self.cloud.url,
            "LAMBDA_API_KEY": self.cloud.key,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_WORKER_HEARTBEAT_SECONDS": "3",
        }
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", self.pool]
        return subprocess.Popen(command, env=server.environment | own, stdout=subprocess.DEVNULL)

    async def start(self, beats: int, **variables: Any) -> UUID:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(f"beating/{self.pool}")
            run = await client.create_flow_run_from_deployment(
                deployment.id, parameters={"folder": str(self.folder), "beats": beats}, job_variables=variables
            )
        return run.id

    async def cancel(self, run: UUID) -> None:
        async with get_client() as client:
            await client.set_flow_run_state(run, Cancelling())

    async def state(self, run: UUID) -> State[Any]:
        async with get_client() as client:
            state = (await client.read_flow_run(run)).state
        assert state is not None
        return state

    async def until(self, condition: Callable[[], bool | Awaitable[bool]], seconds: float = 200) -> None:
        deadline = time.monotonic() + seconds
        while True:
            met = condition()
            if met if isinstance(met, bool) else await met:
                return
            assert time.monotonic() < deadline, self.story()
            await asyncio.sleep(0.2)

    async def ended(self, run: UUID, seconds: float = 200) -> State[Any]:
        """The run's state once it is final and nothing is rented any more."""

        async def over() -> bool:
            with suppress(Exception):
                return (await self.state(run)).is_final() and not self.cloud.cloud.live()
            return False

        await self.until(over, seconds)
        assert self.cloud.cloud.usd() <= MAX_USD
        print(f"spent ${self.cloud.cloud.usd():.3f} on {len(self.cloud.cloud.instances)} machines")
        return await self.state(run)

    def beats(self) -> int:
        return len(list(self.folder.glob("beat-*")))

    def attempts(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("attempt-*"))]

    def story(self) -> str:
        machines = [(one.status, one.console()[-2000:]) for one in self.cloud.cloud.instances.values()]
        return f"{self.cloud.requests[-20:]} {machines} beats {self.beats()}"


@pytest.fixture
def drill(cloud: LambdaEmulator, pool: str, tmp_path: Path) -> Drill:
    return Drill(cloud, pool, tmp_path / "beats")


def test_worker_run_survives_capacity_errors_a_lost_answer_and_failing_terminates(drill: Drill):
    async def play() -> State[Any]:
        drill.cloud.plant(Fault("/launch", times=2, status=400, code=INSUFFICIENT))
        drill.cloud.plant(Fault("/launch", "hang", seconds=8))
        drill.cloud.plant(Fault("/terminate", times=3))
        async with drill.working():
            return await drill.ended(await drill.start(3))

    assert asyncio.run(play()).is_completed()
    assert drill.attempts() == ["from 0 at 1.48"]
    assert len(drill.cloud.cloud.instances) == 1
    assert drill.cloud.count("/launch") == 3
    assert drill.cloud.count("/terminate") >= 4


def test_worker_cancel_while_waiting_rents_nothing(drill: Drill):
    async def play() -> State[Any]:
        drill.cloud.cloud.capacity = {}
        async with drill.working():
            run = await drill.start(3)

            async def waits() -> bool:
                return (await drill.state(run)).name == "AwaitingCapacity"

            await drill.until(waits)
            await drill.cancel(run)
            return await drill.ended(run)

    assert asyncio.run(play()).is_cancelled()
    assert not drill.cloud.cloud.instances


def test_worker_cancel_while_booting_gives_the_machine_back(drill: Drill):
    async def play() -> State[Any]:
        drill.cloud.cloud.boot_seconds = 60
        async with drill.working():
            run = await drill.start(3)
            await drill.until(lambda: bool(drill.cloud.cloud.instances))
            await asyncio.sleep(2)
            await drill.cancel(run)
            return await drill.ended(run)

    assert asyncio.run(play()).is_cancelled()
    assert drill.beats() == 0
    assert drill.cloud.cloud.usd() == 0


def test_worker_cancel_while_running_gives_the_machine_back(drill: Drill):
    async def play() -> State[Any]:
        async with drill.working():
            run = await drill.start(1000)
            await drill.until(lambda: drill.beats() > 2)
            await drill.cancel(run)
            return await drill.ended(run)

    assert asyncio.run(play()).is_cancelled()


def test_worker_lost_machine_crashes_the_run(drill: Drill):
    async def play() -> State[Any]:
        async with drill.working():
            run = await drill.start(1000)
            await drill.until(lambda: drill.beats() > 2)
            for instance in drill.cloud.cloud.live():
                drill.cloud.cloud.lose(instance)
            return await drill.ended(run)

    state = asyncio.run(play())
    assert state.is_crashed()
    assert "was lost" in (state.message or "")


def test_worker_killed_then_terminated_then_restarted_looks_after_its_machine(drill: Drill, server: PrefectServer):
    async def play() -> State[Any]:
        run = await drill.start(60)
        first = drill.process(server)
        await drill.until(lambda: drill.beats() > 2)
        first.kill()
        second = drill.process(server)
        await asyncio.sleep(5)
        second.terminate()
        second.wait(30)
        assert len(drill.cloud.cloud.live()) == 1
        third = drill.process(server)
        try:
            return await drill.ended(run, 200)
        finally:
            third.terminate()
            third.wait(30)

    assert asyncio.run(play()).is_completed()
    assert drill.attempts() == ["from 0 at 2.86"]
    assert drill.beats() == 60


def test_worker_budget_reached_stops_the_run(drill: Drill):
    async def play() -> State[Any]:
        async with drill.working():
            return await drill.ended(await drill.start(1000, max_hours=1 / 60))

    state = asyncio.run(play())
    assert (state.name, state.is_failed()) == ("BudgetReached", True)
    assert drill.beats() > 2
    assert drill.cloud.cloud.usd() <= 2.86 * 2 / 60


def test_worker_boot_that_fails_says_where(drill: Drill, wheel: str):
    genuine = UPath(wheel)
    damaged = genuine.parents[1] / ("0" * 64) / genuine.name
    damaged.write_bytes(genuine.read_bytes())

    async def play() -> State[Any]:
        async with drill.working():
            return await drill.ended(await drill.start(3, wheel=str(damaged)))

    state = asyncio.run(play())
    assert (state.name, state.is_failed()) == ("BootFailed", True)
    assert "hash" in (state.message or "")


def test_worker_run_that_lost_its_worker_before_a_machine_waits_in_line_again(
    drill: Drill, monkeypatch: pytest.MonkeyPatch
):
    async def play() -> tuple[list[UUID], list[UUID], State[Any]]:
        run = await drill.start(3)
        async with get_client() as client:
            await client.set_flow_run_state(run, Pending())
            young = await requeue_stranded(client, drill.pool, (), LOG)
            monkeypatch.setattr(stranded, "STRANDED_SECONDS", 0)
            kept = await requeue_stranded(client, drill.pool, (run,), LOG)
            assert await requeue_stranded(client, drill.pool, (), LOG) == [run]
        return young, kept, await drill.state(run)

    young, kept, state = asyncio.run(play())
    assert (young, kept) == ([], [])
    assert state.is_scheduled()


def test_worker_run_that_never_starts_is_given_up(drill: Drill):
    async def play() -> State[Any]:
        drill.cloud.cloud.boot_seconds = 120
        async with drill.working():
            return await drill.ended(await drill.start(3, boot_minutes=0.05))

    state = asyncio.run(play())
    assert state.is_crashed()
    assert "did not start" in (state.message or "")


def test_worker_outlives_a_server_restart_and_a_lost_database(drill: Drill, server: PrefectServer):
    async def play() -> State[Any]:
        async with drill.working():
            run = await drill.start(150)
            await drill.until(lambda: drill.beats() > 2)
            server.stop()
            await asyncio.sleep(3)
            await asyncio.to_thread(server.start)
            assert len(drill.cloud.cloud.live()) == 1
            await asyncio.to_thread(server.postgres.stop)
            await asyncio.sleep(20)
            await asyncio.to_thread(server.postgres.start)
            return await drill.ended(run, 250)

    assert asyncio.run(play()).is_completed()
    assert drill.beats() == 150
    assert len(drill.cloud.cloud.instances) == 1
