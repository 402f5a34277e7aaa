"""What a pool of type `lambda-cloud` asks for, per pool, deployment or run."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Final

from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import Field

from tasks.base.errors import BudgetError

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.schemas.objects import Flow, FlowRun, WorkPool
    from prefect.client.schemas.responses import DeploymentResponse

FORWARDED_SETTINGS: Final = (
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
    "PREFECT_LOGGING_LEVEL",
)
"""The worker's own Prefect settings that a machine needs. Folders, databases and profiles of the worker are not."""

FORWARDED_VARIABLES: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "HF_TOKEN",
    "HF_ENDPOINT",
)
"""Taken from the worker's environment where they are set: the store's credentials and the Hub's."""

MIN_MINUTES: Final = 5
"""A boot with a prepared environment takes about three."""

ALWAYS: Final = {"DO_NOT_TRACK": "1", "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows"}


class LambdaVariables(BaseVariables):
    """Form of the pool and of `job_variables`."""

    machine_types: list[str] = Field(
        default=["gpu_1x_h100*", "gpu_1x_gh200", "gpu_1x_a100*"],
        description="Name patterns in order of preference; of the types that match one, the cheapest is taken.",
        min_length=1,
    )
    regions: list[str] = Field(default=[], description="Regions to rent in; empty = any.")
    max_hours: float = Field(default=4, gt=0, le=168, description="Longest rental of a run, in hours, boot included.")
    max_usd: float = Field(default=15, gt=0, description="Most that a run may cost, in dollars at the price of launch.")
    capacity_minutes: float = Field(default=240, ge=0, description="How long to wait for a free machine.")
    boot_minutes: float = Field(default=25, gt=0, description="The flow run must have started by then.")
    ssh_key: str = Field(default="rawtune", description="Name of an SSH key of the Lambda account; the API wants one.")
    image_family: str = Field(
        default="lambda-stack-24-04", description="Image with a GPU driver and Python 3.11 to 3.13."
    )
    file_systems: list[str] = Field(
        default=[], description="Lambda file systems to mount, at /lambda/nfs/NAME; they bind the run to their region."
    )
    virtual_environment: str = Field(
        default="/opt/rawtune",
        description="Where rawtune is installed; below /lambda/nfs/NAME it is installed once and kept.",
    )
    extras: list[str] = Field(default=[], description="Optional dependencies of rawtune to install.")
    require_gpu: bool = Field(default=True, description="Wait for the GPU driver and try torch on it before the run.")
    wheel: str = Field(
        default="", description="Address of rawtune's wheel in the store (python -m deployments.lambda_cloud.wheel)."
    )
    poll_seconds: float = Field(default=10, gt=0, description="Time between two looks at run and machine.")
    wind_up_seconds: int = Field(
        default=180, ge=1, description="The run is told to stop so long before its time of the budget is over."
    )


class LambdaJob(BaseJobConfiguration):
    """The same, resolved for one flow run."""

    machine_types: list[str]
    regions: list[str]
    max_hours: float
    max_usd: float
    capacity_minutes: float
    boot_minutes: float
    ssh_key: str
    image_family: str
    file_systems: list[str]
    virtual_environment: str
    extras: list[str]
    require_gpu: bool
    wheel: str
    poll_seconds: float
    wind_up_seconds: int

    def prepare_for_flow_run(
        self,
        flow_run: FlowRun,
        deployment: DeploymentResponse | None = None,
        flow: Flow | None = None,
        work_pool: WorkPool | None = None,
        worker_name: str | None = None,
        worker_id: UUID | None = None,
    ) -> None:
        """Adds what the machine's environment must hold; nothing else of the worker's environment goes there."""
        own: dict[str, Any] = {name: value for name, value in self.env.items() if value is not None}
        super().prepare_for_flow_run(flow_run, deployment, flow, work_pool, worker_name, worker_id)
        settings = {name: self.env[name] for name in FORWARDED_SETTINGS if self.env.get(name)}
        variables = {name: os.environ[name] for name in FORWARDED_VARIABLES if os.environ.get(name)}
        self.env = ALWAYS | settings | variables | own | {"PREFECT__FLOW_RUN_ID": str(flow_run.id)}

    def hours_at(self, usd_per_hour: float) -> float:
        """How long a machine of that price may be kept: whole paid minutes, one of them for its termination.

        Raises:
            BudgetError: the money is not enough for a boot.
        """
        if usd_per_hour <= 0:
            return self.max_hours
        minutes = math.floor(60 * self.max_usd / usd_per_hour) - 1
        if minutes < MIN_MINUTES:
            raise BudgetError(
                f"max_usd: ${self.max_usd:g} pays {minutes} minutes at ${usd_per_hour:.2f} an hour, too few to boot"
            )
        return min(self.max_hours, minutes / 60)

    def environment(self) -> dict[str, str]:
        """Variables for the start script."""
        return {name: value for name, value in self.env.items() if value is not None}
