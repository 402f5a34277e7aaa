"""Several processes that train together, one per GPU of the machine (in tests, per share of a CPU).

The child is rank 0. It starts the others beside itself, in its own process group, so that they end when it does, with
the environment that torchrun would give them; accelerate and torch find each other through it. Every process reads
every row and computes its share; gradients and losses are summed over all. Rank 0 alone reports, saves and writes.

Under torchrun itself (`torchrun --nproc-per-node 2 -m tasks.training.job REQUEST.json`) nothing is started.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from tasks.model.request import Request

T = TypeVar("T")
WATCH_SECONDS: Final = 0.2


def shares(batch_size: int, devices: int) -> int:
    """Processes that train together: one a device, but each with the same number of rows per step.

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


class Summing:
    """Sums a flat gradient over all processes in parts, while later parts are being computed.

    Parts are done from the last to the first, as a backward pass does layers; every process sums the same stretches in
    the same order, also one that has nothing to add.
    """

    def __init__(self, gradient: Any, parts: int) -> None:
        """`gradient`: `[parts * size]`; stays where it is."""
        self.gradient, self.size, self.least = gradient, len(gradient) // parts, _stretch(gradient)
        self.parts = self.done_from = self.summed_from = parts
        self.running: list[Any] = []
        self.kept: Any = None

    def done(self, part: int) -> None:
        """This process has added all that it has to a part and to those after it."""
        if part >= self.done_from:  # computed again after memory ran out
            return
        self.done_from = part
        length = (self.summed_from - part) * self.size
        if world() > 1 and (length >= self.least or part == 0):
            import torch

            stretch = self.gradient[part * self.size : self.summed_from * self.size]
            self.running.append(torch.distributed.all_reduce(stretch, async_op=True))
            self.summed_from = part

    def begin_again(self) -> None:
        """Everything will be computed once more; what is summed already stays as it is, on the host."""
        self._settle()
        if self.summed_from < self.parts:
            self.kept = self.gradient[self.summed_from * self.size :].to("cpu", copy=True)
            self.kept_from = self.summed_from
        self.done_from = self.summed_from
        self.gradient.zero_()

    def finish(self) -> None:
        """Sums what is left; afterwards the gradient is whole, and the next may begin."""
        for part in range(self.done_from - 1, -1, -1):
            self.done(part)
        self._settle()
        self.done_from = self.summed_from = self.parts

    def _settle(self) -> None:
        for one in self.running:
            one.wait()
        self.running.clear()
        if self.kept is not None:
            self.gradient[self.kept_from * self.size :].copy_(self.kept)
            self.kept = None


def _stretch(gradient: Any) -> int:
    """Values summed at a time, so that a sum costs more than its launch: DDP's default of 25 MiB."""
    return max(1, 25 * 2**20 // int(gradient.element_size()))


def first_says(value: T) -> T:
    """What rank 0 has; the same everywhere."""
    if world() == 1:
        return value
    import torch

    said = [value]
    torch.distributed.broadcast_object_list(said)
    return said[0]


@contextmanager
def together(request: Request, size: int) -> Iterator[None]:
    """Inside the block `size` processes form a group; rank 0 starts the others with the same request.

    Args:
        request: of the job, handed on.
        size: processes in all; 1 = this one alone.
    """
    if world() > 1:  # started by another rank or by torchrun
        try:
            _join()
            yield
            _leave()
        finally:
            _give_up()
        return
    if size == 1:
        yield
        return
    port = _free_port()
    address = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // size))}
    with tempfile.TemporaryDirectory(prefix="rawtune-ranks-") as folder:
        file = Path(folder) / "request.json"
        file.write_text(request.model_dump_json(), "utf-8")
        others = [
            subprocess.Popen(
                [sys.executable, "-m", "tasks.training.job", str(file)],
                env=os.environ | threads | address | {"RANK": str(number), "LOCAL_RANK": str(number)},
                stdin=subprocess.DEVNULL,
            )
            for number in range(1, size)
        ]
        before = dict(os.environ)
        os.environ.update(address | {"RANK": "0", "LOCAL_RANK": "0"})
        ended = threading.Event()
        threading.Thread(target=_watch, args=(others, ended), name="ranks", daemon=True).start()
        try:
            _join()
            yield
            _leave()  # before the others are waited for: with NCCL none leaves until all do
            for other in others:
                other.wait()
        except RuntimeError as error:
            if _is_lost_connection(error):
                time.sleep(25 * WATCH_SECONDS)  # where another process died, the watch ends this one and says why
            raise
        finally:
            ended.set()
            for other in others:
                other.kill()
            _give_up()
            os.environ.clear()
            os.environ.update(before)


def _watch(others: list[subprocess.Popen[bytes]], ended: threading.Event) -> None:
    """Ends this process when another one failed or was killed: it would wait for that one's gradients for ever."""
    while not ended.wait(WATCH_SECONDS):
        for other in others:
            code = other.poll()
            if code and not ended.is_set():
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                why = "perhaps memory ran out" if code == -signal.SIGKILL else "its error stands above"
                sys.stderr.write(f"a process of the group {how}; {why}\n")
                sys.stderr.flush()
                os._exit(1)


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether a sum failed because another process did not answer; Gloo's errors have no class of their own."""
    import torch

    return isinstance(error, torch.distributed.DistError) or "gloo/transport" in str(error)


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

    torch.distributed.destroy_process_group()


def _give_up() -> None:
    """Leaves a group that is still there because of an error, without the others: they wait in a sum, or are dead."""
    import torch

    if not torch.distributed.is_initialized():
        return
    if torch.distributed.get_backend() == "nccl":
        torch.distributed.distributed_c10d._abort_process_group()
    else:
        torch.distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
