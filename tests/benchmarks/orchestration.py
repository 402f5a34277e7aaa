"""What orchestration costs, on a Prefect server over PostgreSQL.

    .venv/bin/python -m tests.benchmarks.orchestration [--runs 100] [--at-once 8]

First table: one trivial step as plain Python, as `step.direct` (key, lock, commit, manifest) and as a Prefect task,
missed and found. Second table: queued runs of one deployment, never more than so many at a time, counted for lost and
doubled steps; beside it the same work in plain processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 50


def milliseconds(call: Callable[[int], object], times: int) -> float:
    """Median of a call's wall-clock."""
    taken = []
    for number in range(times):
        started = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def per_step(folder: Path) -> None:
    """Prints the first table."""
    from prefect import flow

    from tasks.base.store import Store
    from tests.benchmarks.orchestration_flows import body, make

    plain = milliseconds(lambda number: body(folder / f"plain-{number}", number), STEPS)
    store = Store(str(folder / "direct"))
    direct = milliseconds(lambda number: make.direct(store, number=number), STEPS)
    found = milliseconds(lambda number: make.direct(store, number=number), STEPS)
    figures: dict[str, float] = {}

    @flow(name="steps")
    def steps(name: str, where: str) -> None:
        place = Store(where)
        figures[name] = milliseconds(lambda number: make(place, number=number), STEPS)

    for name in ("Prefect task, missed", "Prefect task, found"):
        steps(name, str(folder / "prefect"))
    rows = {"plain function writing the file": plain, "step.direct, missed": direct, "step.direct, found": found}
    print(f"\n| one step, median of {STEPS} | ms |\n|---|---|")
    for label, value in (rows | figures).items():
        print(f"| {label} | {value:.1f} |")


def per_run(folder: Path, runs: int, at_once: int, environment: dict[str, str]) -> None:
    """Prints the second table."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter

    from deployments.prefect.deploying import deployment
    from deployments.prefect.pools import Pool, ensure_pool
    from tasks.base.store import Store

    with get_client(sync_client=True) as client:
        ensure_pool(client, Pool("queue", "process", "benchmark", at_once))
        made = deployment("tests.benchmarks.orchestration_flows.small", name="queue")
        identifier = made.apply(work_pool_name="queue")
        ours = DeploymentFilter.model_validate({"id": {"any_": [identifier]}})
        where = str(folder / "queued")
        for number in range(runs):
            client.create_flow_run_from_deployment(identifier, parameters={"store": where, "number": number})
        own = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "queue", "--limit", str(at_once)]
        started = time.monotonic()
        worker = subprocess.Popen(command, env=environment | own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most = 0
        try:
            while True:
                found = client.read_flow_runs(deployment_filter=ours, limit=200)
                counts = Counter(run.state_type.value for run in found if run.state_type is not None)
                most = max(most, counts["RUNNING"])
                if sum(counts[state] for state in ("COMPLETED", "FAILED", "CRASHED")) >= runs:
                    break
                time.sleep(1)
        finally:
            seconds = time.monotonic() - started
            worker.terminate()
            worker.wait(60)
    store = Store(where)
    made = len(list(store.manifests("benchmark/make")))
    done = len(list((folder / "queued-done").glob("*")))
    started = time.monotonic()
    plainly(folder, min(runs, 16), at_once)
    plain = (time.monotonic() - started) / min(runs, 16)
    print(f"\n| {runs} queued runs, at most {at_once} at a time | |\n|---|---|")
    print(f"| seconds, all | {seconds:.0f} |\n| seconds per run | {seconds / runs:.2f} |")
    print(f"| the same in plain processes, seconds per run | {plain:.2f} |")
    print(f"| completed, failed, crashed | {counts['COMPLETED']}, {counts['FAILED']}, {counts['CRASHED']} |")
    print(f"| most at a time | {most} |\n| steps lost | {runs - made} |\n| steps doubled | {done - made} |")


def plainly(folder: Path, runs: int, at_once: int) -> None:
    """The same step in processes without Prefect, as many at a time."""
    code = (
        "import sys; from tests.benchmarks.orchestration_flows import make; from tasks.base.store import Store; "
        "make.direct(Store(sys.argv[1]), number=int(sys.argv[2]))"
    )
    waiting = list(range(runs))
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        running = [process for process in running if process.poll() is None]
        while waiting and len(running) < at_once:
            command = [sys.executable, "-c", code, str(folder / "plain"), str(waiting.pop())]
            running.append(subprocess.Popen(command, cwd=REPOSITORY))
        time.sleep(0.02)


def main() -> None:
    """Starts PostgreSQL and server, prints both tables, stops them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=8)
    arguments = parser.parse_args()
    from tests.deployments.prefect_server import Postgres, PrefectServer

    with tempfile.TemporaryDirectory(prefix="rawtune-orchestration-") as scratch:
        folder = Path(scratch)
        postgres = Postgres()
        server = PrefectServer(folder, postgres)
        try:
            environment = server.environment
            os.environ.update({name: value for name, value in environment.items() if name.startswith("PREFECT_")})
            os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
            per_step(folder)
            per_run(folder, arguments.runs, arguments.at_once, environment)
        finally:
            server.stop()
            postgres.close()


if __name__ == "__main__":
    main()
