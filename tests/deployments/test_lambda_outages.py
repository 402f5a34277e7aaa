"""Drills of what goes wrong for long: worker killed, server restarted, database gone, boot or budget at its end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Pending
from upath import UPath

from deployments.lambda_cloud.flow_runs import requeue_stranded
from tests.deployments.drills import Drill
from tests.deployments.prefect_server import PrefectServer

pytestmark = pytest.mark.slow

LOG = logging.getLogger("drills")


def test_worker_killed_then_terminated_then_restarted_looks_after_its_machine(drill: Drill, server: PrefectServer):
    async def play() -> State[Any]:
        run = await drill.start(60)
        first = drill.process(server)
        await drill.until(lambda: drill.beats() > 2)
        first.kill()
        first.wait()
        (machine,) = drill.cloud.cloud.live()
        asked = drill.cloud.count(f"/instances/{machine.id}")
        second = drill.process(server)
        await drill.until(lambda: drill.cloud.count(f"/instances/{machine.id}") > asked)
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


def test_worker_run_whose_process_is_killed_on_its_machine_is_crashed_and_not_called_out_of_budget(drill: Drill):
    async def play() -> State[Any]:
        async with drill.working():
            run = await drill.start(1000)
            await drill.until(lambda: drill.beats() > 2)
            (machine,) = drill.cloud.cloud.live()
            assert machine.process is not None
            below = psutil.Process(machine.process.pid).children(recursive=True)
            (limit,) = [process for process in below if process.name() == "timeout"]
            for process in limit.children(recursive=True):  # what a kernel does that has no memory left
                process.kill()
            return await drill.ended(run)

    state = asyncio.run(play())
    assert (state.name, state.is_crashed()) == ("Crashed", True)
    assert "status 137" in (state.message or "")


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


def test_worker_run_that_lost_its_worker_before_a_machine_waits_in_line_again(drill: Drill):
    async def play() -> tuple[list[UUID], list[UUID], State[Any]]:
        run = await drill.start(3)
        async with get_client() as client:
            await client.set_flow_run_state(run, Pending())
            young = await requeue_stranded(client, drill.pool, (), LOG)
            kept = await requeue_stranded(client, drill.pool, (run,), LOG, seconds=0)
            assert await requeue_stranded(client, drill.pool, (), LOG, seconds=0) == [run]
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
