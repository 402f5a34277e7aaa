"""Several processes that train together, one per GPU of the machine (or, for tests, per share of a CPU).

The child is rank 0. It starts the others beside itself, in its own process group, so that they end when it does, with
the environment that torchrun would give them; accelerate and torch find each other through it. Every process reads
every row and computes its share; gradients and losses are summed over all. Rank 0 alone reports, saves and writes.

Under torchrun itself (`torchrun --nproc-per-node 2 -m tasks.training.job REQUEST.json`) nothing is started.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.model.request import Request


def shares(batch_size: int, devices: int) -> int:
    """Processes that train together: as many as there are devices, but each must have the same number of rows per step.

    Args:
        batch_size: rows per optimizer step.
        devices: that there are.
    """
    return max(count for count in range(1, devices + 1) if batch_size % count == 0)


def rank() -> int:
    """This process's number; 0 alone writes."""
    return int(os.environ.get("RANK", "0"))


def world() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def add_up(*tensors: Any) -> None:
    """Replaces each tensor by its sum over all processes; does nothing in one process."""
    if world() > 1:
        import torch

        for tensor in tensors:
            torch.distributed.all_reduce(tensor)


@contextmanager
def together(request: Request, size: int) -> Iterator[None]:
    """Inside the block `size` processes form a group; in rank 0 it starts the others with the same request.

    Args:
        request: of the job, handed on.
        size: processes in all; 1 = this one alone.
    """
    if world() > 1:  # started by another rank or by torchrun
        _join()
        try:
            yield
        finally:
            _leave()
        return
    if size == 1:
        yield
        return
    port = _free_port()
    place = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // size))}
    with tempfile.TemporaryDirectory(prefix="rawtune-ranks-") as folder:
        file = Path(folder) / "request.json"
        file.write_text(request.model_dump_json(), "utf-8")
        others = [
            subprocess.Popen(
                [sys.executable, "-m", "tasks.training.job", str(file)],
                env=os.environ | threads | place | {"RANK": str(number), "LOCAL_RANK": str(number)},
                stdin=subprocess.DEVNULL,
            )
            for number in range(1, size)
        ]
        before = dict(os.environ)
        os.environ.update(place | {"RANK": "0", "LOCAL_RANK": "0"})
        threading.Thread(target=_watch, args=(others,), name="ranks", daemon=True).start()
        try:
            _join()
            yield
            for other in others:
                other.wait()
        finally:
            _leave()
            for other in others:
                other.kill()
            os.environ.clear()
            os.environ.update(before)


def _watch(others: list[subprocess.Popen[bytes]]) -> None:
    """Ends this process when another one failed: it would wait for that one's gradients for ever."""
    for other in others:
        if code := other.wait():
            if code > 0:
                sys.stderr.write(f"a process of the group ended with exit code {code}; its error stands above\n")
                sys.stderr.flush()
                os._exit(1)
            return


def _join() -> None:
    import torch

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world()))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", rank=rank(), world_size=world())


def _leave() -> None:
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
