"""Whatever a parameter's value is, it becomes JSON: in keys, manifests, the report's recipe and the release's facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.params import RetrainParams
from flows.resolve import Resolved, release_facts
from flows.retrain import RECIPE
from tasks.base.params import Params, identity_of
from tasks.base.runs import StepRun
from tasks.base.steps import explaining, step
from tasks.base.store import Store
from tasks.harvest.params import ResolvedSnapshot, ResolvedSource

CANDIDATES: tuple[Any, ...] = (
    "2023-12-31",
    1,
    0.5,
    "FILE",
    "acme/post",
    "main",
    "low",
    "https://x.example",
    ["x"],
    {"x": 0.5},
)
"""What an optional field is tried with; the first that its type takes is set."""

SECTIONS: dict[str, Any] = {
    "sources": [
        {
            "repo": "acme/post",
            "name": "acme/post",
            "documents": {"path": "handbook"},
            "issues": {},
            "discussions": {},
            "releases": {},
        }
    ],
    "synthesis": {"provider": "openai", "prices": {"input_usd": 1, "output_usd": 2}},
    "dataset": {
        "replay": {"source": "acme/general"},
        "filter": {"budgets": [{"repo": "*", "kind": "file", "tokens": 9}]},
        "mixture": {"passes": {"raw": 2}},
    },
    "evaluation": {"judge": {"model": "grader", "prices": {"input_usd": 1, "output_usd": 2}}},
}
"""Sections that are null by default, and values that bound each other."""


class Colour(Enum):
    RED = "red"


@step("tests/every-field", "1")
def every_field(run: StepRun, params: RetrainParams) -> None:
    (run.folder / "params.json").write_text(json.dumps(params.identity()))


def unset(value: Params, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Path of every null field at any depth."""
    for name in type(value).model_fields:
        held = getattr(value, name)
        if held is None:
            yield (*path, name)
        elif isinstance(held, Params):
            yield from unset(held, (*path, name))
        elif isinstance(held, tuple):
            for number, item in enumerate(held):
                if isinstance(item, Params):
                    yield from unset(item, (*path, name, number))


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with one more value; sections that it lacks are made."""
    if not path:
        return value
    first, *rest = path
    if isinstance(document, list):
        return [
            with_value(item, tuple(rest), value) if number == first else item for number, item in enumerate(document)
        ]
    return document | {first: with_value(document.get(first, {}), tuple(rest), value)}


def filled(file: Path) -> RetrainParams:
    """Parameters whose every field is set."""
    document: dict[str, Any] = {"name": "post", **SECTIONS}
    document["synthesis"] |= {"model": "gpt-5-mini"}
    params = RetrainParams.model_validate(document)
    for path in list(unset(params)):
        for candidate in CANDIDATES:
            tried = with_value(document, path, str(file) if candidate == "FILE" else candidate)
            try:
                params = RetrainParams.model_validate(tried)
            except ValidationError:
                continue
            document = tried
            break
    return params


def test_parameters_with_every_field_set_go_through_keys_manifests_report_and_release(tmp_path: Path):
    file = tmp_path / "general.jsonl"
    file.write_text('{"question": "Who?", "answers": ["Ada"]}\n')
    params = filled(file)
    assert list(unset(params)) == []
    source = params.sources[0]
    assert source.as_of == date(2023, 12, 31)
    assert source.pulls is not None
    assert source.pulls.since == date(2023, 12, 31)

    store = Store(str(tmp_path / "store"))
    made = every_field.direct(store, params=params)
    manifest = store.manifest(every_field.name, every_field.key(params=params))
    assert manifest is not None
    assert manifest.parameters["params"]["sources"][0]["as_of"] == "2023-12-31"
    with explaining() as explanations:
        assert every_field(store, params=params) == made
        every_field(store, params=params.model_copy(update={"name": "other"}))
    assert [one.hit for one in explanations] == [True, False]
    assert "params.name" in "".join(explanations[1].differences)

    snapshot = ResolvedSnapshot(
        repo="acme/post", revision="0" * 40, committed_at="2023-12-30T00:00:00Z", web_url=None, location="/x"
    )
    resolved = Resolved(
        scheduled="2024-01-01T00:00:00Z", sources=(ResolvedSource(snapshot=snapshot, pulls=None, wiki=None),)
    )
    facts = release_facts(params, resolved)
    assert json.loads(facts.model_dump_json())["params"]["sources"][0]["as_of"] == "2023-12-31"
    assert json.loads(json.dumps({name: facts.params[name] for name in RECIPE}))["name"] == "post"
    assert RetrainParams.model_validate_json(params.model_dump_json()) == params


SCALARS = st.one_of(
    st.dates(), st.datetimes(), st.timedeltas(), st.decimals(allow_nan=False), st.uuids(), st.booleans(),
    st.integers(), st.floats(allow_nan=False), st.text(), st.none(), st.sampled_from(Colour),
    st.text(alphabet="abc/").map(Path),
)  # fmt: skip


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner)))
def test_identity_of_any_value_is_json_and_the_same_twice(value: Any):
    first = json.dumps(identity_of(value))
    assert json.dumps(identity_of(value)) == first
    assert json.loads(first) == identity_of(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (date(2023, 12, 31), "2023-12-31"),
        (datetime(2023, 12, 31, 1, 2, 3), "2023-12-31T01:02:03"),
        (timedelta(hours=1), "PT1H"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (frozenset("ba"), ["a", "b"]),
    ],
)
def test_identity_of_what_json_does_not_know(value: Any, written: Any):
    assert identity_of(value) == written
