"""Presets: YAML files that hold one `RetrainParams`, and `key.path=value` changes to them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from tasks.base.errors import InputError

if TYPE_CHECKING:
    from flows.params import RetrainParams

FOLDER = Path(__file__).parent / "presets"
"""The presets that come with rawtune."""


def load_preset(name: str, changes: Iterable[str] = ()) -> RetrainParams:
    """Reads a preset.

    Args:
        name: path of a YAML file, or the name of a preset that comes with rawtune (`dry-run`, `article`, `researched`).
        changes: `key.path=value`; a number in the path is a list index, the value is YAML.

    Raises:
        InputError: the file, a key or a value is wrong; one line names it.
    """
    from flows.params import RetrainParams

    path = _find(name)
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no parameters; see {FOLDER / 'dry-run.yaml'} for an example")
    for change in changes:
        _apply(document, change)
    try:
        return RetrainParams.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_problem(error)}") from error


def _find(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    shipped = FOLDER / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    known = ", ".join(sorted(preset.stem for preset in FOLDER.glob("*.yaml")))
    raise InputError(f"{name}: no such preset; give a YAML file or one of {known}")


def _apply(document: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise InputError(f"--set {change}: write key.path=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--set {change}: the value is not YAML") from error
    *parents, last = path.split(".")
    place: Any = document
    try:
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else _section(place, name)
        place[int(last) if isinstance(place, list) else last] = value
    except (ValueError, IndexError, TypeError) as error:
        raise InputError(f"--set {change}: the preset has no such place") from error


def _section(place: dict[str, Any], name: str) -> Any:
    if place.get(name) is None:
        place[name] = {}
    return place[name]


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{where}: no such parameter{more}"
    given = first["input"]
    shown = (
        f", not {given!r}" if isinstance(given, str | int | float | bool | None) and first["type"] != "missing" else ""
    )
    return f"{where}: {first['msg']}{shown}{more}"
