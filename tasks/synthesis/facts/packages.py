"""Who uses a dependency: the files that import a package that a manifest asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tasks.synthesis.facts.graph import Graph
from tasks.synthesis.facts.source import Source
from tasks.synthesis.facts.uses import MAX_LISTED
from tasks.synthesis.manifests import entries
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.paths import is_test

_LANGUAGES: Final = {
    "package.json": ("typescript", "tsx", "javascript"),
    "pyproject.toml": ("python",),
    "go.mod": ("go",),
    "Cargo.toml": ("rust",),
}


def facts(source: Source) -> Iterator[Fact]:
    """Users of the dependencies of a manifest, in order of lines."""
    name = PurePosixPath(source.path).name
    languages = _LANGUAGES.get(name) or (("python",) if name.endswith(".txt") else ())
    folder = str(PurePosixPath(source.path).parent)
    if not languages:
        return
    for entry in entries(source.path, source.document.text):
        if entry.kind != "dependency":
            continue
        found = importing(source.graph, entry.name, languages)
        paths = [path for path in found if not is_test(path) and (folder == "." or path.startswith(f"{folder}/"))]
        whole = len(paths) == len([path for path in found if not is_test(path)])
        if whole and 0 < len(paths) <= MAX_LISTED and all(source.here(path) for path in paths):
            span = (entry.line, entry.line)
            words = {"version": entry.value, "tests": "yes" if any(map(is_test, found)) else ""}
            yield source.fact("dependency-users", entry.name, paths, Shape.ALL, span, rests_on=paths, **words)


def importing(graph: Graph, package: str, languages: tuple[str, ...]) -> list[str]:
    """Paths of the files that import a package, sorted."""
    known = graph.importers
    if languages == ("python",):
        paths = known.get(re.sub(r"[-.]", "_", package).lower(), set())
    elif languages == ("go",):
        paths = {
            path for name, found in known.items() if name == package or name.startswith(f"{package}/") for path in found
        }
    else:
        paths = known.get(package, set()) | known.get(
            package.replace("-", "_") if languages == ("rust",) else package, set()
        )
    return sorted(path for path in paths if language_of(path) in languages)
