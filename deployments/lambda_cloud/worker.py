"""The Prefect worker type `lambda-cloud`: a machine for every flow run, and none a minute longer.

Start it with `prefect worker start --pool gpu-lambda`. A run goes: wait for capacity, launch, hand over, watch,
terminate, report the dollars. What guards against paying for nothing, from the inside out: the start script's time
limit, this worker's watch, the sweep of every machine of this pool at start and every 30 seconds (a worker that was
killed finds its machines by their tags and goes on watching), and `rawtune gpu reap` from another place.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import anyio
import anyio.abc
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import InfrastructureNotFound, ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled, Crashed, Failed, Pending
from prefect.workers.base import BaseWorker, BaseWorkerResult

from deployments.lambda_cloud.boot import exports, start_script
from deployments.lambda_cloud.claim import Claim, server_digest
from deployments.lambda_cloud.client import URL_VARIABLE, LambdaClient
from deployments.lambda_cloud.flow_runs import report_cost, requeue_stranded
from deployments.lambda_cloud.handover import Handover, hand_over
from deployments.lambda_cloud.job import LambdaJob, LambdaVariables
from deployments.lambda_cloud.provider import Machine, NoCapacity, Offer, Order, Provider, Status, Unclear
from deployments.lambda_cloud.rental import Ending, Log, Stay, Watched, choose, end, find_launched, watch
from deployments.lambda_cloud.wheel import constraints_text, signed
from flows.train_adapter import EXPIRY_VARIABLE, PRICE_VARIABLE
from tasks.base.errors import InputError

WAIT_SECONDS = 30.0
"""Time between two looks for capacity."""


class LambdaResult(BaseWorkerResult):
    """The machine's id, and 0: how the run ended is said by the run's own state."""


class LambdaWorker(BaseWorker[LambdaJob, LambdaVariables, LambdaResult]):
    """Rents a Lambda machine for every flow run."""

    type = "lambda-cloud"
    job_configuration = LambdaJob
    job_configuration_variables = LambdaVariables
    _display_name = "Lambda GPU cloud"
    _description = "Rents a GPU machine for each flow run, watches it and gives it back."

    def __init__(self, *args: Any, provider: Provider | None = None, wait_seconds: float = WAIT_SECONDS, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.provider: Provider = provider or LambdaClient.from_environment()
        self.wait_seconds = wait_seconds
        self._attended: dict[UUID, str] = {}
        """Flow runs that this process looks after → launch mark of their machine."""
        self._handed: dict[str, Handover] = {}
        """Launch mark → what waits in the store for the machine."""
        self._sweeping = asyncio.Lock()

    async def setup(self) -> None:
        """Refuses to start where no rented machine could reach the server."""
        server, cloud = (urlsplit(url).hostname or "" for url in (_api_url(), os.environ.get(URL_VARIABLE, "")))
        if _is_loopback(server) and not _is_loopback(cloud):
            raise InputError(
                f"PREFECT_API_URL: {server} cannot be reached from a rented machine; see docs/operations.md"
            )
        await super().setup()

    async def sync_with_backend(self) -> None:
        """Prefect's heartbeat, every 30 seconds; the sweep of this pool's machines goes with it."""
        await super().sync_with_backend()
        if self._runs_task_group is not None and not self._sweeping.locked():
            self._runs_task_group.start_soon(self.sweep)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: LambdaJob,
        task_status: anyio.abc.TaskStatus[Any] | None = None,
    ) -> LambdaResult:
        """Rents, watches and gives back the machine of one flow run."""
        status = task_status or anyio.TASK_STATUS_IGNORED
        log = self.get_flow_run_logger(flow_run)
        if not configuration.wheel:
            raise InputError(f"pool {self._work_pool_name}: `wheel` is not set; see docs/operations.md")
        self._attended[flow_run.id] = ""
        try:
            rented = await self._rent(flow_run, configuration, log)
            if rented is None:
                status.started("none")
                return LambdaResult(status_code=0, identifier="none")
            machine, claim = rented
            status.started(machine.id)
            await self._attend(flow_run.id, machine, claim, configuration.poll_seconds, log)
            return LambdaResult(status_code=0, identifier=machine.id)
        finally:
            # Also when this worker is stopped: the machine works on, and the next sweep, of this worker or of the one
            # that follows it, finds it by its tags.
            self._attended.pop(flow_run.id, None)

    async def kill_infrastructure(
        self, infrastructure_pid: str, configuration: LambdaJob, grace_seconds: int = 30
    ) -> None:
        """Terminates the machine of a cancelled run.

        Raises:
            InfrastructureNotFound: there is no such machine of this pool any more.
        """
        machine = await self.provider.look(infrastructure_pid)
        if machine is None or self._claim(machine) is None or not machine.status.is_paid:
            raise InfrastructureNotFound(f"no machine {infrastructure_pid}")
        await end(self.provider, infrastructure_pid, self._logger)

    async def sweep(self) -> None:
        """Takes every machine of this pool that nobody looks after into care, and puts stranded runs back in line."""
        async with self._sweeping:
            try:
                machines = [machine for machine in await self.provider.list() if machine.status.is_paid]
                ours = [(machine, claim) for machine in machines if (claim := self._claim(machine)) is not None]
                for machine, claim in ours:
                    self._adopt(machine, claim)
                kept = {claim.run for _, claim in ours} | self._attended.keys() | self._submitting_flow_run_ids
                await requeue_stranded(self.client, self._work_pool_name, kept, self._logger)
            except Exception as error:  # the sweep of 30 s later does it
                self._logger.warning("sweep put off: %s", error)

    def _adopt(self, machine: Machine, claim: Claim) -> None:
        mark = self._attended.get(claim.run)
        assert self._runs_task_group is not None
        if mark is None:
            self._attended[claim.run] = claim.launch
            self._logger.info("machine %s of run %s has nobody; looking after it", machine.id, claim.run)
            self._runs_task_group.start_soon(self._care, machine, claim)
        elif mark not in ("", claim.launch):  # an answer that came too late: the run has another machine by now
            self._logger.warning("machine %s is a second one of run %s; terminating it", machine.id, claim.run)
            self._runs_task_group.start_soon(end, self.provider, machine.id, self._logger)

    async def _care(self, machine: Machine, claim: Claim) -> None:
        try:
            await self._attend(claim.run, machine, claim, WAIT_SECONDS / 6, self._logger)
        finally:
            self._attended.pop(claim.run, None)

    def _claim(self, machine: Machine) -> Claim | None:
        """The machine's claim if this server's pool made it."""
        claim = Claim.read(machine.tags)
        if claim is None or (claim.pool, claim.server) != (self._work_pool_name, server_digest(_api_url())):
            return None
        return claim

    async def _rent(self, flow_run: FlowRun, job: LambdaJob, log: Log) -> tuple[Machine, Claim] | None:
        """Launches a machine, waiting for capacity; null if the run was cancelled meanwhile.

        Raises:
            ProviderError: the provider refused, or nothing was free in time.
        """
        deadline = time.monotonic() + 60 * job.capacity_minutes
        waiting = False
        while True:
            state = (await self.client.read_flow_run(flow_run.id)).state
            if state is None or state.is_final() or state.is_cancelling():
                log.info("not launched: the run is %s", state.name if state else "gone")
                if state is not None and state.is_cancelling():
                    await self._mark_flow_run_as_cancelled(
                        flow_run, {"message": "Cancelled before a machine was rented."}
                    )
                return None
            for offer in choose(await self._offers(log), job.machine_types, job.regions):
                rented = await self._launch(flow_run, job, offer, log)
                if rented is not None:
                    return rented
            if time.monotonic() > deadline:
                raise NoCapacity(
                    f"no machine of {', '.join(job.machine_types)} within {job.capacity_minutes:g} minutes"
                )
            if not waiting:
                log.info("no machine is free; waiting up to %g minutes", job.capacity_minutes)
                waiting = True
            # The state's time tells other workers that somebody still looks after the run (see stranded.py).
            await self.client.set_flow_run_state(flow_run.id, Pending(name="AwaitingCapacity"))
            await asyncio.sleep(self.wait_seconds)

    async def _offers(self, log: Log) -> list[Offer]:
        try:
            return list(await self.provider.offers())
        except (Unclear, NoCapacity) as error:
            log.warning("%s; asking again", error)
            return []

    async def _launch(self, flow_run: FlowRun, job: LambdaJob, offer: Offer, log: Log) -> tuple[Machine, Claim] | None:
        hours = job.hours_at(offer.usd_per_hour)
        claim = Claim.make(
            *(self._work_pool_name, _api_url(), flow_run.id, hours, 60 * job.boot_minutes),
            usd_per_hour=offer.usd_per_hour,
            now=self.provider.now(),
        )
        order = Order(
            offer=offer,
            name=f"{self._work_pool_name}-{flow_run.name}",
            tags=claim.tags(),
            image_family=job.image_family,
            ssh_key=job.ssh_key,
            file_systems=tuple(job.file_systems),
            start_script=await anyio.to_thread.run_sync(self._script, job, offer, claim),
        )
        self._attended[flow_run.id] = claim.launch
        try:
            machine_id = await self.provider.launch(order)
        except NoCapacity as error:
            log.info("%s in %s: %s", offer.machine_type, offer.region, error)
            await self._withdraw(claim)
            return None
        except Unclear as error:
            log.warning("%s; looking for the machine by its tag", error)
            found = await find_launched(self.provider, claim.launch)
            if found is None:
                return None
            machine_id = found.id
        log.info(
            "machine %s: %s in %s at $%.2f an hour, until %s at the latest",
            *(machine_id, offer.machine_type, offer.region, offer.usd_per_hour, _clock(claim.expires)),
        )
        machine = Machine(
            machine_id, order.name, Status.BOOTING, offer.machine_type, offer.region, offer.usd_per_hour, order.tags
        )
        return machine, claim

    def _script(self, job: LambdaJob, offer: Offer, claim: Claim) -> str:
        rented = {PRICE_VARIABLE: f"{offer.usd_per_hour}", EXPIRY_VARIABLE: f"{claim.expires}"}
        handed = self._handed[claim.launch] = hand_over(job.wheel, claim.launch, exports(job.environment() | rented))
        return start_script(
            handed,
            signed(job.wheel),
            constraints_text(),
            job.virtual_environment,
            tuple(job.extras),
            job.require_gpu,
            job.wind_up_seconds,
        )

    async def _attend(self, run: UUID, machine: Machine, claim: Claim, poll: float, log: Log) -> None:
        """Watches until there is a reason to end, terminates, says why, reports the dollars."""

        async def look() -> Watched:
            try:
                found = await self.client.read_flow_run(run)
            except ObjectNotFound:
                return Watched(is_final=True, has_started=True)
            state = found.state
            if state is not None and state.is_running():
                await self._withdraw(claim)
            return Watched(
                is_final=state is not None and state.is_final(),
                has_started=found.start_time is not None,
                is_cancelling=state is not None and state.is_cancelling(),
            )

        stay = Stay(machine, claim)
        ending = await watch(self.provider, stay, look, poll, log)
        log.info("machine %s: %s; terminating it", machine.id, ending)
        await end(self.provider, machine.id, log)
        await self._withdraw(claim)
        now = self.provider.now()
        log.info("machine %s is gone after %.0f s: at most $%.2f", machine.id, now - claim.launched, stay.usd(now))
        state: State[Any] | None = {
            Ending.CANCELLED: Cancelled(message="Cancelled before the run had started."),
            Ending.LOST: Crashed(message=f"machine {machine.id} was lost"),
            Ending.NOT_STARTED: Crashed(message=f"the run did not start on machine {machine.id} in time"),
            Ending.EXPIRED: Failed(name="BudgetReached", message="the machine's time of the budget is used up"),
        }.get(ending)
        try:
            if state is not None:
                await self.client.set_flow_run_state(run, state, force=True)
            await report_cost(self.client, run, stay, now, log)
        except ObjectNotFound:
            log.info("run %s was deleted meanwhile", run)

    async def _withdraw(self, claim: Claim) -> None:
        """Removes what waits in the store for a machine that has it by now, or will not come for it."""
        handed = self._handed.pop(claim.launch, None)
        if handed is not None:
            try:
                await anyio.to_thread.run_sync(handed.withdraw)
            except Exception as error:  # every filesystem has its own error types; its address soon works no more
                self._logger.warning("%s is left in the store: %s", handed.path.name, error)


def _api_url() -> str:
    return str(PREFECT_API_URL.value() or "")


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S UTC", time.gmtime(moment))
