"""What the figures of a report rest on: commits, versions, parameters, content hashes; nothing that names a machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Item

LIBRARIES: Final = ("rawtune", "torch", "transformers", "peft", "trl", "tokenizers", "bm25s", "rapidfuzz")
"""Packages that decide figures."""


def revisions(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Repository and commit of the files and pages that were asked about."""
    found = {
        (item.document_id.partition("/file/")[0].partition("/wiki/")[0], item.provenance.revision)
        for item in items
        if "/file/" in item.document_id or "/wiki/" in item.document_id
    }
    return [("source", f"{repo} @ {revision}") for repo, revision in sorted(found)]


def versions() -> list[tuple[str, str]]:
    """Versions of the environment that wrote the report; training may have run in another."""
    found = [f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return [("versions", " · ".join(found))]


def hashes(artifacts: Sequence[tuple[str, Artifact | None]]) -> list[tuple[str, str]]:
    """Step, version and content hash of each artifact that there is."""
    return [
        (name, f"{artifact.step} {artifact.version} · sha256 {artifact.sha256}")
        for name, artifact in artifacts
        if artifact
    ]


def parameters(recipe: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Section → (path, value) of every parameter, in declared order; values that stand alone are under `run`."""
    plain = [(name, _text(value)) for name, value in recipe.items() if not isinstance(value, dict)]
    sections = [(name, list(_leaves(value))) for name, value in recipe.items() if isinstance(value, dict)]
    return [*([("run", plain)] if plain else []), *sections]


def _leaves(section: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
