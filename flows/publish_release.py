"""Publishes an adapter that an earlier run has made, if the gate allows it."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.params import RetrainParams
from flows.phases import Phase
from flows.retrain import run


@flow(name="publish-release")
def publish_release(params: RetrainParams) -> State[Any]:
    """Passes an adapter that an earlier run has made through the gate and publishes it if it is allowed.

    Raises:
        InputError: the store has no adapter of these parameters.
    """
    return run(params, Phase.PUBLISH, trains=False)
