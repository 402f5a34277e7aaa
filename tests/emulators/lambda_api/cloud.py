"""The account behind the API: types, capacity, instances as local processes, billing by the minute."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

REGIONS = {"us-east-1": "Virginia, USA", "us-west-1": "California, USA", "europe-central-1": "Germany"}

PRICES_CENTS = {
    "gpu_1x_h100_pcie": 286,
    "gpu_1x_h100_sxm5": 378,
    "gpu_1x_a100_sxm4": 148,
    "gpu_8x_h100_sxm5": 2870,
    "gpu_1x_a10": 86,
}
"""Types and prices as listed in May 2026; only their order matters to the tests."""


@dataclass
class Instance:
    """An instance and the processes that are its machine."""

    id: str
    name: str
    type: str
    region: str
    tags: list[dict[str, str]]
    user_data: str
    launched: float
    folder: Path
    boot_seconds: float
    stop_seconds: float
    cents: int
    """Price of an hour at its launch, which its bill goes by."""
    process: subprocess.Popen[bytes] | None = None
    active_at: float | None = None
    ends_at: float | None = None
    """When a terminating instance is terminated."""
    lost: bool = False

    @property
    def status(self) -> str:
        """In the API's words."""
        if self.ends_at is not None:
            return "terminated" if time.time() >= self.ends_at else "terminating"
        if self.lost:
            return "unhealthy"
        return "active" if self.active_at is not None else "booting"

    def usd(self) -> float:
        """Billed from active to terminated, begun minutes counted; for a live instance up to now."""
        if self.active_at is None:
            return 0.0
        end = min(self.ends_at or time.time(), time.time())
        return self.cents / 100 * math.ceil(max(end - self.active_at, 1) / 60) / 60

    def boot(self) -> None:
        """Starts the user data as a process of its own, as cloud-init does once the machine is up."""
        self.folder.mkdir(parents=True)
        script = self.folder / "user-data"
        script.write_text(self.user_data, "utf-8")
        with (self.folder / "console.log").open("wb") as console:
            self.process = subprocess.Popen(
                ["/bin/bash", str(script)],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.active_at = time.time()

    def console(self) -> str:
        """What the user data printed, for messages of failing tests."""
        path = self.folder / "console.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def power_off(self) -> None:
        """Ends every process of the machine; the engine leaves its process group, so descendants are walked.

        All are frozen before the first is killed: on a machine that goes, no process sees another one go.
        """
        if self.process is None:
            return
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in psutil.process_iter():
                if self._is_mine(process):
                    with suppress(psutil.NoSuchProcess):
                        process.send_signal(number)
        self.process.wait(10)

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("TMPDIR") == str(self.folder)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return False

    def document(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "ip": "198.51.100.2",
            "private_ip": "10.0.2.100",
            "status": self.status,
            "ssh_key_names": ["rawtune"],
            "file_system_names": [],
            "region": {"name": self.region, "description": REGIONS[self.region]},
            "instance_type": type_document(self.type, self.cents),
            "is_reserved": False,
            "tags": self.tags,
        }


@dataclass
class Cloud:
    """One account."""

    folder: Path
    boot_seconds: float = 1.0
    stop_seconds: float = 1.0
    capacity: dict[str, list[str]] = field(default_factory=lambda: {name: ["us-east-1"] for name in PRICES_CENTS})
    """Type → regions that have it."""
    instances: dict[str, Instance] = field(default_factory=dict)
    prices: dict[str, int] = field(default_factory=lambda: dict(PRICES_CENTS))
    quota: int = 10
    strangers: list[Any] = field(default_factory=list)
    """Entries of the list that are not this project's, word for word; what asks for one of them finds nothing."""

    def launch(self, body: dict[str, Any]) -> Instance:
        """Makes an instance, which boots after `boot_seconds`."""
        identifier = uuid.uuid4().hex
        instance = Instance(
            id=identifier,
            name=body.get("name", ""),
            type=body["instance_type_name"],
            region=body["region_name"],
            tags=body.get("tags", []),
            user_data=body.get("user_data", ""),
            launched=time.time(),
            folder=self.folder / identifier,
            boot_seconds=self.boot_seconds,
            stop_seconds=self.stop_seconds,
            cents=self.prices[body["instance_type_name"]],
        )
        self.instances[identifier] = instance
        threading.Thread(target=self._boot, args=(instance,), daemon=True).start()
        return instance

    def _boot(self, instance: Instance) -> None:
        time.sleep(instance.boot_seconds)
        if instance.ends_at is None and not instance.lost:
            instance.boot()

    def terminate(self, instance: Instance) -> None:
        """Ends an instance; billing stops when it is terminated."""
        if instance.ends_at is None:
            instance.power_off()
            instance.ends_at = time.time() + instance.stop_seconds

    def lose(self, instance: Instance) -> None:
        """The machine dies by itself: its processes are gone, the API calls it unhealthy and goes on billing."""
        instance.lost = True
        instance.power_off()

    def live(self) -> list[Instance]:
        """Instances that are not terminated."""
        return [instance for instance in self.instances.values() if instance.status != "terminated"]

    def usd(self) -> float:
        """The account's bill."""
        return sum(instance.usd() for instance in self.instances.values())

    def close(self) -> None:
        """Ends whatever still runs, so that a failing test leaves no process behind."""
        for instance in self.instances.values():
            self.terminate(instance)


def type_document(name: str, cents: int) -> dict[str, Any]:
    """An instance type as the API shows it."""
    gpus = int(name.split("_")[1].rstrip("x"))
    return {
        "name": name,
        "description": f"{gpus}x {name}",
        "gpu_description": name,
        "price_cents_per_hour": cents,
        "specs": {"vcpus": 26 * gpus, "memory_gib": 200 * gpus, "storage_gib": 1024 * gpus, "gpus": gpus},
    }
