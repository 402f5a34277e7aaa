"""A Prefect server of a test's own on PostgreSQL, both on loopback, both stopped and started by the drills."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.prefect.local_server import LEASES, free_port

BINARIES = Path("/usr/lib/postgresql")


def postgres_binaries() -> Path:
    """Folder of initdb and postgres; installed with apt-get if this machine has none."""
    if not list(BINARIES.glob("*/bin/initdb")):
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["apt-get", "install", "-q", "-y", "postgresql"], check=True, stdout=subprocess.DEVNULL)
    return max(BINARIES.glob("*/bin/initdb")).parent


class Postgres:
    """A PostgreSQL that belongs to nobody else: its own folder, port and processes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.user = "postgres" if os.geteuid() == 0 else None  # initdb refuses to run as root
        self.folder = Path(tempfile.mkdtemp(prefix="rawtune-postgres-", dir="/tmp"))
        if self.user:
            shutil.chown(self.folder, self.user)
        self.binaries = postgres_binaries()
        self.process: subprocess.Popen[bytes] | None = None
        command = [self.binaries / "initdb", "--auth=trust", "--username=prefect", "--no-sync", "-D", self.data]
        subprocess.run(command, check=True, user=self.user, cwd=self.folder, stdout=subprocess.DEVNULL)
        self.start()
        self.psql("create database prefect")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        """For Prefect's PREFECT_SERVER_DATABASE_CONNECTION_URL."""
        return f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/prefect"

    def psql(self, statement: str, database: str = "postgres") -> str:
        command = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "prefect", "-Atc", statement, database]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def start(self) -> None:
        settings = [
            "-c",
            "fsync=off",
            "-c",
            f"unix_socket_directories={self.folder}",
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        self.process = subprocess.Popen(
            [self.binaries / "postgres", "-D", self.data, "-p", str(self.port), *settings],
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ready = [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + 60
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.2)

    def stop(self) -> None:
        """At once, as a failing host does it (SIGQUIT)."""
        assert self.process is not None
        self.process.send_signal(3)
        self.process.wait(30)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class PrefectServer:
    """`prefect server start` on a fixed port, so that a restart is at the same address."""

    def __init__(self, folder: Path, postgres: Postgres) -> None:
        self.folder = folder
        self.postgres = postgres
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """Settings for the server's clients."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return kept | {
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLI_PROMPT": "false",
        }

    def start(self) -> None:
        own = {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": self.postgres.url,
            "PREFECT_UI_API_URL": self.url,
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deployments.prefect.local_server", str(self.port)],
                env=self.environment | own,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 150
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
                return
            except OSError:
                assert self.process.poll() is None, (self.folder / "server.log").read_text("utf-8", "replace")[-3000:]
                assert time.monotonic() < deadline, "the Prefect server did not start"
                time.sleep(0.3)

    def stop(self) -> None:
        """At once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)


@contextmanager
def process_worker(server: PrefectServer, pool: str) -> Iterator[None]:
    """A process worker of the pool, as it is run in earnest, but polling fast; flows of the tests can be imported."""
    own = {
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "2",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    worker = subprocess.Popen(command, env=server.environment | own, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(60)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
