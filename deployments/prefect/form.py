"""What a person fills in to start a run in the Prefect UI: eight fields, everything else from a preset.

The presets that a server knows are Prefect variables (`rawtune_preset_<name>`, written by `deploying.py`), so a worker
needs no file of whoever deployed them, and people change them in the UI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.variables import Variable
from pydantic import Field

from deployments.presets import FOLDER, checked, merged, parse, project_of, read_document
from flows.params import Phase, RetrainParams
from flows.retrain import run
from flows.search_hyperparameters import search
from tasks.base.errors import InputError

Date = Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
Dollars = Annotated[str, Field(pattern=r"^(\d+(\.\d+)?)?$")]
"""Text, since the UI shows a field that may be null as a switch, and never empty."""

PREFIX: Final = "rawtune_preset_"


def variable_of(preset: str) -> str:
    """Name of the Prefect variable that holds a preset; variables know lower case, digits and underscores."""
    return PREFIX + re.sub(r"[^a-z0-9]+", "_", preset.lower()).strip("_")


FIELDS: Final = """Args:
    preset: Where every parameter comes from that is not given below.
    repository: OWNER/NAME on GitHub, or a path or URL of a git repository. Empty: the preset's.
    date: Last day that is learned, UTC, such as 2023-12-31. Empty: the preset's, or the run's scheduled start.
    base_model: OWNER/NAME on the Hub, a folder, or `stub`. Empty: the preset's.
    publish_to: OWNER/NAME on the Hub that releases go to. Empty: the preset's, or the store alone.
    budget_usd: Dollars at most for the API, and as many for rented machines. Empty: the preset's.
    until: The last phase of the run.
    overrides: YAML of further parameters, such as `training: {rank: 128}`; see docs/parameters.md.
"""
"""What the UI says beside the fields."""


def form(
    name: str, about: str, start: Callable[[RetrainParams, Phase], State[Any]], last: Phase = Phase.PUBLISH
) -> Flow[..., State[Any]]:
    """A flow with the eight fields.

    Args:
        name: of the flow.
        about: what it does.
        start: does it.
        last: phase that it ends with where nothing is said.
    """

    def fill_in(
        preset: str,
        repository: str = "",
        date: Date = "",
        base_model: str = "",
        publish_to: str = "",
        budget_usd: Dollars = "",
        until: Phase = last,
        overrides: str = "",
    ) -> State[Any]:
        return start(filled_in(preset, repository, date, base_model, publish_to, budget_usd, overrides), until)

    fill_in.__name__ = fill_in.__qualname__ = name.replace("-", "_")  # what a deployment's entry point is made of
    fill_in.__doc__ = f"{about}\n\n{FIELDS}"
    return flow(name=name)(fill_in)


retrain = form("retrain", "Makes, measures and publishes a model of an organisation's own text.", run)

search_hyperparameters = form(
    "search-hyperparameters",
    "Tries the training settings of section `search`, then retrains the winner on all data.",
    partial(run, choose=search),
    Phase.EVALUATE,
)

publish_release = form(
    "publish-release",
    "Measures an adapter that an earlier run has made, and publishes it if the gate allows it. Trains nothing.",
    partial(run, trains=False),
)


def filled_in(
    preset: str,
    repository: str = "",
    date: str = "",
    base_model: str = "",
    publish_to: str = "",
    budget_usd: str = "",
    overrides: str = "",
) -> RetrainParams:
    """The preset with what the form says, then with the overrides.

    Raises:
        InputError: there is no such preset, or the parameters are wrong.
    """
    document = preset_document(preset)
    for section, name, value in (
        ("training", "base_model", base_model),
        ("release", "repo_id", publish_to),
        ("synthesis", "budget_usd", budget_usd),
        ("training", "max_usd", budget_usd),
    ):
        if value:
            document = merged(document, {section: {name: value}})
    first, *others = document["sources"]
    if repository:
        first, others = {**first, "repo": repository, "name": None}, []
        document["name"] = project_of(repository)
    if date:
        first = {**first, "as_of": date}
    document["sources"] = [first, *others]
    further = parse(overrides, "overrides") if overrides.strip() else {}
    if not isinstance(further, Mapping):
        raise InputError("overrides: write YAML with a section on each line, such as `training: {rank: 128}`")
    return checked(merged(document, further), f"preset {preset}")


def preset_document(preset: str) -> dict[str, Any]:
    """What the server, else rawtune, knows under the name.

    Raises:
        InputError: neither does.
    """
    held: Any = Variable.get(variable_of(preset))
    if isinstance(held, Mapping):
        return dict(held["document"])
    shipped = FOLDER / f"{preset}.yaml"
    if not shipped.is_file():
        raise InputError(f"preset: the server has no preset {preset}; `rawtune deploy {preset}.yaml` hands it over")
    return read_document(shipped)
