"""One worker of the type `lambda-cloud` at work on one pool of a real Prefect server, with an emulated account."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelling

from deployments.lambda_cloud.client import LambdaClient
from deployments.lambda_cloud.worker import LambdaWorker
from tests.deployments.prefect_server import PrefectServer
from tests.emulators.lambda_api import LambdaEmulator

MAX_USD = 15.0

FIGURES: list[str] = []
"""What drills have measured; printed at the end of the test session, also when everything passed."""


def tell(figure: str) -> None:
    """Adds a figure of the test that is running."""
    name = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
    FIGURES.append(f"{name}: {figure}")


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
        tell(f"spent ${self.cloud.cloud.usd():.3f} of ${MAX_USD:g} on {len(self.cloud.cloud.instances)} machines")
        return await self.state(run)

    def beats(self) -> int:
        return len(list(self.folder.glob("beat-*")))

    def attempts(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("attempt-*"))]

    def story(self) -> str:
        machines = [(one.status, one.console()[-2000:]) for one in self.cloud.cloud.instances.values()]
        return f"{self.cloud.requests[-20:]} {machines} beats {self.beats()}"
