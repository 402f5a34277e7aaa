"""Parameters: one frozen pydantic model is the YAML preset, the UI form and the command line.

Fields are declared in reading order, each with bounds and a docstring below it that names the unit and what null
means. A field that says how a step is executed rather than what it makes (worker counts, addresses, budgets) is
marked `EXECUTION` and bears no identity: changing it redoes nothing.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, to_jsonable_python


class Execution:
    """Marker type of `EXECUTION`."""


EXECUTION: Final = Execution()
"""`Annotated[int, EXECUTION]`: the field says how a step runs, not what it makes, so no step key bears it."""


class Params(BaseModel):
    """Base of every parameter model.

    Immutable, unknown keys refused, docstrings shown in forms, declared order kept in the Prefect UI.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Stamps `position` on every property: without it the Prefect form sorts fields by name, defaults first."""
        document = handler(schema)
        properties = handler.resolve_ref_schema(document).get("properties", {})
        for position, name in enumerate(name for name in cls.model_fields if name in properties):
            properties[name]["position"] = position
        return document

    def identity(self) -> dict[str, Any]:
        """The part of the parameters that bears identity, as JSON values: no `EXECUTION` field at any depth."""
        return {
            name: identity_of(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if not any(isinstance(mark, Execution) for mark in field.metadata)
        }

    @classmethod
    def narrow(cls, wider: Params) -> Self:
        """The fields that this model declares, taken from a model that has them all.

        A step's key thereby bears only what the step reads.

        Raises:
            AttributeError: `wider` lacks a field.
        """
        return cls.model_validate({name: getattr(wider, name) for name in cls.model_fields})


def identity_of(value: Any) -> Any:
    """A parameter value as JSON values, without what bears no identity.

    Whatever JSON does not know (dates, paths, enumerations) is written as pydantic writes it. Sets, and mappings by
    their keys, are sorted: what has the same key shows the same page.
    """
    if isinstance(value, Params):
        return value.identity()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: identity_of(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [identity_of(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((identity_of(item) for item in value), key=repr)
    return to_jsonable_python(value)
