"""A Python package with FastAPI routers."""

FILES = {
    "pyproject.toml": '[project]\nname = "rocket"\nversion = "1.2.0"\ndependencies = [\n    "fastapi==0.110.0",\n]\n\n'
    "[tool.rocket]\nstages = 3\n",
    "compose.yaml": 'services:\n  api:\n    build: ./rocket\n    ports:\n      - "8000:8000"\n    depends_on: [db]\n'
    "  db:\n    image: postgres:16\n",
    "rocket/__init__.py": "from rocket.engine import Engine as Engine\n",
    "rocket/engine.py": '''"""Engines."""

import enum
import os
from dataclasses import dataclass

from . import parts
from .errors import TooHot, RocketError

LIMIT_CELSIUS = 900
_COLOURS = ("red", "green")


class Phase(enum.Enum):
    IDLE = "idle"
    BURNING = "burning"


@dataclass
class Reading:
    """One measurement of a sensor, in degrees."""

    celsius: float
    sensor: str = "main"


class Engine:
    """Burns what the tank gives it."""

    def __init__(self, stage: int, *, gentle: bool = False) -> None:
        self.stage = stage

    def fire(self, reading: Reading) -> None:
        if reading.celsius > LIMIT_CELSIUS:
            raise TooHot("the engine is too hot")
        try:
            parts.open_valve(self.stage)
        except OSError as error:
            raise RocketError("the valve is stuck") from error
        self._warm()

    def _warm(self) -> None:
        open_valve = print
        open_valve(self.stage)


def region() -> str:
    # TODO: ask the control room instead.
    return os.environ.get("ROCKET_REGION", "eu")
''',
    "rocket/parts.py": "def open_valve(stage: int) -> None:\n    return None\n\n\ndef close_valve(stage: int) -> None:"
    "\n    open_valve(stage)\n",
    "rocket/errors.py": """class RocketError(Exception):
    pass


class TooHot(RocketError):
    pass


class MeltDown(TooHot):
    pass
""",
    "rocket/api.py": """from fastapi import APIRouter, FastAPI

import rocket
from rocket.engine import region

app = FastAPI()
router = APIRouter(prefix="/engines")


@router.post("/{stage}/fire")
def fire_engine(stage: int) -> None:
    rocket.Engine(stage)


@router.get("/region")
def show_region() -> str:
    return region()


app.include_router(router, prefix="/v1")
""",
    "tests/test_engine.py": """import pytest

from rocket import Engine
from rocket.errors import TooHot


def test_hot_engine_refuses():
    with pytest.raises(TooHot):
        Engine(1).fire(None)


def test_engine_knows_its_stage():
    engine = Engine(2)
    assert engine.stage == 2
""",
}

FACTS = {
    ("service", "api"): {"`api` is built from `./rocket`.", "It publishes `8000:8000`.", "It starts after `db`."},
    ("route", "POST /v1/engines/{stage}/fire"): {"fire_engine"},
    ("route", "GET /v1/engines/region"): {"show_region"},
    ("caller", "open_valve"): {"Engine.fire", "close_valve"},
    ("caller", "region"): {"show_region"},
    ("calls", "fire_engine"): {"Engine"},
    ("calls", "Engine.fire"): {"open_valve", "TooHot", "RocketError", "Engine._warm"},
    ("enum", "Phase"): {"IDLE", "BURNING"},
    ("type", "Reading"): {"celsius", "sensor"},
    ("value", "LIMIT_CELSIUS"): {"900"},
    ("list-value", "_COLOURS"): {"red", "green"},
    ("default", "Engine.__init__"): {"False"},
    ("environment", "ROCKET_REGION"): {"rocket/engine.py"},
    ("environment-default", "ROCKET_REGION"): {"eu"},
    ("error", "Engine.fire"): {"reading.celsius > LIMIT_CELSIUS"},
    ("error-origin", "the engine is too hot"): {"Engine.fire"},
    ("error-translation", "Engine.fire"): {"RocketError"},
    ("hierarchy", "TooHot"): {"RocketError"},
    ("subclasses", "RocketError"): {"TooHot"},
    ("ancestors", "MeltDown"): {"TooHot", "RocketError"},
    ("purpose", "Engine"): {"Burns what the tank gives it."},
    ("purpose", "Reading"): {"One measurement of a sensor, in degrees."},
    ("tested-by", "Engine"): {"tests/test_engine.py"},
    ("test-checks", "test_engine_knows_its_stage"): {"engine.stage == 2"},
    ("behaviour", "engine"): {"test_hot_engine_refuses", "test_engine_knows_its_stage"},
    ("config-value", "tool.rocket.stages"): {"3"},
    ("dependency-users", "fastapi"): {"rocket/api.py"},
}
ABSENT = {("calls", "Engine._warm"), ("purpose", "region")}
