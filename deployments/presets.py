"""Presets: YAML files that hold one `RetrainParams`, and changes to them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import BaseModel, ValidationError

from tasks.base.errors import InputError

if TYPE_CHECKING:
    from flows.params import RetrainParams

FOLDER: Final = Path(__file__).parent / "presets"
"""The presets that come with rawtune."""


def load_preset(name: str, changes: Iterable[str] = ()) -> RetrainParams:
    """Reads a preset.

    Args:
        name: path of a YAML file, or the name of a preset that comes with rawtune (`dry-run`, `article`, `researched`).
        changes: `key.path=value`; a number in the path is a list index, the value is YAML.

    Raises:
        InputError: the file, keys or values are wrong; one line names all of them.
    """
    path = find_preset(name)
    document = read_document(path)
    apply_changes(document, changes)
    return checked(document, str(path))


def apply_changes(document: dict[str, Any], changes: Iterable[str]) -> None:
    """Makes `key.path=value` changes in a document, in order.

    Raises:
        InputError: one is not of that form, or its place is not there.
    """
    for change in changes:
        _apply(document, change)


def find_preset(name: str) -> Path:
    """The file of that path, or of the preset of that name.

    Raises:
        InputError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = FOLDER / f"{name}.yaml"
    if shipped.is_file():
        return shipped
    known = sorted(preset.stem for preset in FOLDER.glob("*.yaml"))
    raise InputError(f"{name}: no such preset{_meant(name, known)}; give a YAML file or one of {', '.join(known)}")


def read_document(path: Path) -> dict[str, Any]:
    """The YAML file as it is, not checked against the parameters.

    Raises:
        InputError: it cannot be read, is not YAML, holds a key twice, or is no mapping.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__})") from error
    document = parse(text, str(path))
    if not isinstance(document, dict) or not document:
        raise InputError(f"{path}: holds no parameters; see {FOLDER / 'dry-run.yaml'} for an example")
    return document


def parse(text: str, where: str) -> Any:
    """YAML whose mappings hold no key twice: the first of two sections would be lost without a word.

    Raises:
        InputError: it is not YAML, or holds a key twice.
    """
    try:
        return yaml.load(text, _Strict)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: is not YAML ({' '.join(str(error).split())})") from error


class _Strict(yaml.SafeLoader):
    """Refuses keys that stand twice in a mapping."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in seen:
            raise yaml.YAMLError(f"`{key.value}` stands twice, in line {seen[key.value]} and {line}; put them together")
        seen[key.value] = line
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def checked(document: Mapping[str, Any], where: str) -> RetrainParams:
    """The document as parameters; a preset without `name` gets the name of its first repository.

    Raises:
        InputError: keys or values are wrong; one line names all of them, with what may have been meant.
    """
    from flows.params import RetrainParams

    document = dict(document)
    if "name" not in document and (repo := _first_repository(document)):
        document["name"] = project_of(repo)
    try:
        return RetrainParams.model_validate(document)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        places = [problem["loc"] for problem in problems]
        told = [  # a list without its wrong item is too short as well, which nobody needs to hear
            _problem(problem, RetrainParams)
            for problem in problems
            if not any(place[: len(problem["loc"])] == problem["loc"] != place for place in places)
        ]
        raise InputError(f"{where}: {'; '.join(told)}") from error


def project_of(repo: str) -> str:
    """What a model of the repository is called: its name without the owner."""
    from tasks.harvest.params import SourceParams
    from tasks.harvest.resolve import source_name

    unchecked = SourceParams.model_construct(repo=repo)  # a wrong one is refused with the other mistakes of the preset
    last = source_name(unchecked).rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._") or "project"


def merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the changes laid over it: mappings key by key, everything else whole."""
    result = dict(document)
    for key, value in changes.items():
        before = result.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            result[key] = merged(before, value)
        else:
            result[key] = value
    return result


def _first_repository(document: Mapping[str, Any]) -> str | None:
    sources = document.get("sources")
    first = sources[0] if isinstance(sources, list) and sources else None
    repo = first.get("repo") if isinstance(first, dict) else None
    return repo if isinstance(repo, str) and repo else None


def _apply(document: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise InputError(f"--set {change}: write key.path=value")
    value = parse(text, f"--set {change}")
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


def _problem(problem: Any, model: type[BaseModel]) -> str:
    """One problem in words: where, what, and what may have been meant."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{where}: no such parameter{_meant(str(problem['loc'][-1]), _siblings(model, problem['loc'][:-1]))}"
    given = problem["input"]
    told = isinstance(given, str | int | float | bool | None) and problem["type"] != "missing"
    return f"{where}: {problem['msg']}{f', not {given!r}' if told else ''}"


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f", did you mean `{near[0]}`?" if near else ""


def _siblings(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Names that the section at a path has."""
    node: dict[str, Any] = (schema := model.model_json_schema())
    for part in path:
        if isinstance(part, int):
            continue
        node = _target(node.get("properties", {}).get(part, {}), schema["$defs"])
    return list(node.get("properties", {}))


def _target(field: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The section that a field holds, or holds a list of."""
    for one in (field, field.get("items", {}), *field.get("anyOf", []), *field.get("allOf", [])):
        if "$ref" in one:
            found: dict[str, Any] = definitions[one["$ref"].rsplit("/", 1)[-1]]
            return found
    return {}
