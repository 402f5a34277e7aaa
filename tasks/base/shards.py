"""The same function over stretches of an artifact's file, here or on a Dask cluster, results in order.

A shard is a range of whole lines of a stored file, so that a worker reads its own input from the store and only the
result travels. What a function returns depends on its shard alone; therefore the artifact has the same bytes wherever
it was made. Only a few shards are under way at a time, so memory does not grow with the corpus.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

from pydantic import Field
from pydantic_core import from_json

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.params import EXECUTION, Params
from tasks.base.records import Record
from tasks.base.runs import RECORDS
from tasks.base.store import Store

SHARD_BYTES: Final = 8_000_000
"""About a second of work, against which the tenth of a second that Prefect and Dask take for a task is small."""
LOCAL_WORKERS: Final = 2
"""Processes of the cluster that is started where no address is given."""
PRECEDING_BYTES: Final = 1 << 16
"""Read first to find the record before a shard; doubled until a whole one is in it."""
SHARDS_AHEAD: Final = 64
"""Shards under way at most: enough for some tens of workers, and half a gigabyte of results."""

Result = TypeVar("Result")
R = TypeVar("R", bound=Record)


class RunnerParams(Params):
    """Where work that can be done piece by piece is done."""

    runner: Annotated[Literal["local", "dask"], EXECUTION] = "local"
    """`dask` spreads redaction, comparison, chunking and encoding over a cluster; the result is the same."""
    dask_address: Annotated[str | None, EXECUTION] = None
    """Address of a running Dask scheduler that can reach the store, such as `tcp://scheduler:8786`; null = two
    processes on this machine.
    """
    shard_bytes: Annotated[int, EXECUTION] = Field(SHARD_BYTES, ge=1)
    """Bytes of a file that one worker reads at a time; fewer give a small corpus to more workers."""


LOCAL: Final = RunnerParams()
"""One shard after the other in this process."""


class Shard(NamedTuple):
    """A range of whole lines of a stored file."""

    store: Store
    artifact: Artifact
    name: str
    start: int
    end: int
    """Bytes, end exclusive."""

    def read(self, model: type[R]) -> Iterator[R]:
        """The shard's records, in stored order."""
        with self.store.open(self.artifact, self.name) as reader:
            reader.seek(self.start)
            while reader.tell() < self.end:
                yield model.model_validate_json(reader.readline())

    def raw(self) -> Iterator[dict[str, Any]]:
        """The shard's records as plain JSON values, in stored order.

        Four times as fast, for those who read all of them. They were checked when they were written, and the blob's
        hash says that they are still the same.
        """
        with self.store.open(self.artifact, self.name) as reader:
            reader.seek(self.start)
            lines = reader.read(self.end - self.start).split(b"\n")
        lines.pop()  # empty: a line break ends the last one
        for line in lines:
            yield from_json(line, cache_strings="keys")

    def preceding(self, model: type[R]) -> R | None:
        """The record just before the shard, or None where it begins its file."""
        size = PRECEDING_BYTES
        with self.store.open(self.artifact, self.name) as reader:
            while self.start:
                begin = max(0, self.start - size)
                reader.seek(begin)
                lines = reader.read(self.start - begin).split(b"\n")  # the last one is empty: a line break ends it
                if len(lines) > 2 or begin == 0:
                    return model.model_validate_json(lines[-2])
                size *= 2
        return None


def shards_of(store: Store, artifact: Artifact, name: str = RECORDS, size: int = SHARD_BYTES) -> Iterator[Shard]:
    """A stored file in shards of about `size` bytes, in order; a longer line is a shard of its own."""
    start = 0
    with store.open(artifact, name) as reader:
        total = reader.seek(0, 2)
        while start < total:
            reader.seek(min(start + size, total) - 1)
            reader.readline()
            end = reader.tell()
            yield Shard(store, artifact, name, start, end)
            start = end


def mapped(function: Callable[[Shard], Result], shards: Iterable[Shard], params: RunnerParams) -> Iterator[Result]:
    """The function's result for each shard, in order.

    Args:
        function: of a module, or a `partial` of one, so that it can be sent to another machine.
        shards: what it is called with.
        params: where it runs. With `dask` each shard is a Prefect task of a flow of its own.

    Raises:
        InputError: `dask` is asked for and prefect-dask is not installed.
    """
    if params.runner == "local":
        yield from map(function, shards)
        return
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise InputError("dataset.runner: dask needs the extra of that name (pip install 'rawtune[dask]')") from error
    from prefect import Flow

    workers: Any = {"n_workers": LOCAL_WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    runner: Any = DaskTaskRunner(address=params.dask_address, cluster_kwargs=None if params.dask_address else workers)
    flow: Any = Flow(fn=_submitted, name="shards", task_runner=runner, validate_parameters=False, persist_result=False)
    yield from flow(function, list(shards))


def _submitted(function: Callable[[Shard], Result], shards: list[Shard]) -> Iterator[Result]:
    """A flow that has a few shards under way and yields their results in order."""
    from prefect import Task

    task: Any = Task(fn=_called, name=_name(function), persist_result=False)
    waiting: deque[Any] = deque()
    for shard in shards:
        waiting.append(task.submit(function, shard))
        if len(waiting) >= SHARDS_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _called(function: Callable[[Shard], Result], shard: Shard) -> Result:
    return function(shard)


def _name(function: Any) -> str:
    return str(getattr(function, "func", function).__name__).replace("_", "-")
