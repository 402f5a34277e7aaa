"""The global concurrency limit `gpu`: how many trainings the pools of a server may have at work at once.

The run that starts a child holds the slot, not the child: waiting for it on a rented machine would be paid for. A
pool's own limit is of one pool; this one is of all of them. `python -m deployments.prefect.pools` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency

from tasks.base.errors import InputError

GPU_LIMIT: Final = "gpu"


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Waits for a free slot and holds it for the duration of the block.

    The slot is a lease that this process renews: it falls free five minutes after the process died. A renewal that
    does not get through, say while the server restarts, must not end a paid training, so it is only logged.

    Raises:
        InputError: the server has no such limit, and nothing would keep two machines from running.
    """
    try:
        with concurrency(GPU_LIMIT, strict=True, raise_on_lease_renewal_failure=False):
            yield
    except ConcurrencySlotAcquisitionError:
        raise InputError(
            f"compute.pool: the Prefect server has no global concurrency limit `{GPU_LIMIT}`; "
            "make it with `python -m deployments.prefect.pools`"
        ) from None
