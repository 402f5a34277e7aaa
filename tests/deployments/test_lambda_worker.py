"""Drills: a real Prefect server on PostgreSQL, the real worker, an emulated account whose machines are processes.

Each ends with no live machine, the run in the state that a person would expect, and money within the cap.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect.client.schemas.objects import State

from tests.deployments.drills import Drill
from tests.emulators.lambda_api.api import INSUFFICIENT, Fault

pytestmark = pytest.mark.slow


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
