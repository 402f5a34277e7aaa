from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from tasks.base.params import EXECUTION, Params


class Inner(Params):
    size: int = Field(4, ge=1)
    """Size of a thing, in bytes."""
    workers: Annotated[int, EXECUTION] = 2
    """Processes."""


class Outer(Params):
    zebra: str = "z"
    """Comes first although its name sorts last."""
    inner: Inner = Inner()
    """A section."""
    several: tuple[Inner, ...] = ()
    """More of them."""
    address: Annotated[str, EXECUTION] = "http://localhost"
    """Where."""


class Narrow(Params):
    zebra: str


def test_params_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Outer.model_validate({"zebra": "z", "zebras": 1})


def test_params_assignment_is_refused():
    with pytest.raises(ValidationError, match="frozen"):
        Inner().size = 3


def test_params_schema_keeps_declared_order_and_docstrings():
    schema = Outer.model_json_schema()
    properties = schema["properties"]
    assert [(name, properties[name]["position"]) for name in properties] == [
        ("zebra", 0),
        ("inner", 1),
        ("several", 2),
        ("address", 3),
    ]
    assert properties["zebra"]["description"] == "Comes first although its name sorts last."
    assert schema["$defs"]["Inner"]["properties"]["size"]["position"] == 0


def test_identity_leaves_out_execution_fields_at_every_depth():
    params = Outer(several=(Inner(size=2),))
    assert params.identity() == {"zebra": "z", "inner": {"size": 4}, "several": [{"size": 2}]}
    assert Outer(address="http://elsewhere", inner=Inner(workers=9)).identity() == Outer().identity()


def test_narrow_takes_only_declared_fields():
    assert Narrow.narrow(Outer(zebra="q")).identity() == {"zebra": "q"}
    with pytest.raises(AttributeError):
        Narrow.narrow(Inner())
