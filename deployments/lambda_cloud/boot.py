"""The start script of a rented machine: assignments, the pins, then `boot.sh` as it lies here.

The script is public as far as this project is concerned: what is secret waits in the store (see `handover.py`).
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deployments.lambda_cloud.handover import Handover
from deployments.lambda_cloud.wheel import Wheel

SCRIPT: Final = Path(__file__).with_name("boot.sh")

WIND_UP_SECONDS: Final = 180
"""The run is told to stop this much before the machine is given back."""


def exports(environment: Mapping[str, str]) -> str:
    """Variables as a shell reads them, one assignment a line; the text to hand over."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))


def start_script(
    handover: Handover,
    wheel: Wheel,
    constraints: str,
    virtual_environment: str,
    extras: tuple[str, ...] = (),
    require_gpu: bool = True,
    wind_up_seconds: int = WIND_UP_SECONDS,
) -> str:
    """The script's text.

    Args:
        handover: of the variables that everything on the machine gets, the flow run's id and the Prefect server's
            address among them.
        wheel: rawtune itself, at a URL that the machine can read for a while.
        constraints: text of constraints.txt.
        virtual_environment: folder on the machine; reused if it was made for the same pins.
        extras: optional dependencies of rawtune to install.
        require_gpu: wait for the driver and try torch on it.
        wind_up_seconds: time between the run's end and the machine's.
    """
    plain = {
        "HANDOVER_URL": handover.url,
        "HANDOVER_SHA256": handover.sha256,
        "HANDOVER_KEY": handover.key,
        "REQUIRE_GPU": str(int(require_gpu)),
        "WHEEL_NAME": wheel.name,
        "WHEEL_URL": wheel.url,
        "WHEEL_SHA256": wheel.sha256,
        "ENVIRONMENT": virtual_environment,
        "EXTRAS": f"[{','.join(extras)}]" if extras else "",
        "CONSTRAINTS_SHA256": constraints_digest(constraints),
        "WIND_UP_SECONDS": str(wind_up_seconds),
    }
    assignments = [f"{name}={shlex.quote(value)}" for name, value in plain.items()]
    pins = ["CONSTRAINTS=$(mktemp)", "cat > \"$CONSTRAINTS\" <<'PINS'", constraints.rstrip("\n"), "PINS"]
    return "\n".join(["#!/bin/bash", *assignments, *pins, SCRIPT.read_text("utf-8")])


def constraints_digest(constraints: str) -> str:
    """Names a set of pins."""
    return hashlib.sha256(constraints.encode()).hexdigest()[:16]
