"""Configuration: the values behind keys of YAML, JSON and TOML files, and the ports that something listens on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

from tasks.synthesis.facts.pipelines import MAX_BYTES, items, lines_of, mapping, pairs, scalar
from tasks.synthesis.facts.source import Source, in_words
from tasks.text.facts import Fact, Shape
from tasks.text.paths import kind_of_path

MAX_KEYS: Final = 60
"""Of a longer file, data rather than configuration, only the first keys are told."""
MAX_VALUE: Final = 160
MAX_DEPTH: Final = 4

_KEY: Final = re.compile(r"^[\w@./ -]{2,60}$")
_TABLE: Final = re.compile(r"^\[+([\w.\"' -]{1,120})\]+\s*(?:#.*)?$")
_PAIR: Final = re.compile(
    r"^([\w\"'.-]{1,80})\s*=\s*(\"[^\"\n]{1,160}\"|'[^'\n]{1,160}'|-?[\d._]{1,30}|true|false)\s*(?:#.*)?$"
)
_MANIFESTS: Final = frozenset(
    {"dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "scripts", "resolutions"}
    | {"project.scripts", "dev-dependencies", "build-dependencies", "tool.poetry.dependencies"}
)
"""Tables that `manifests` tells of."""
_CODE_PORT: Final = re.compile(r"\.listen\(\s*(?:(\d{2,5})\b|(?:\{[^{}\n]{0,80}?\bport:\s*)?([A-Za-z_]\w{0,40})\b)")
"""With its literal part first, which the search then looks for: five times as fast."""


def facts(source: Source) -> Iterator[Fact]:
    """Facts of a configuration file, and of ports in code, in order of lines."""
    path, text = source.path, source.document.text
    name = PurePosixPath(path).name
    if kind_of_path(path) is not None or len(text) > MAX_BYTES or source.is_test:
        return
    yield from _ports(source)
    if "/workflows/" in path:
        return
    if name.endswith((".yml", ".yaml")) or (
        name.endswith(".json") and not name.startswith(("package-lock", "composer.lock"))
    ):
        found = list(_leaves(mapping(text), ()))
    elif name.endswith(".toml"):
        found = list(_toml(text))
    else:
        return
    times = Counter(key for key, _, _ in found)
    for key, value, line in found[:MAX_KEYS]:
        if times[key] == 1:
            yield source.fact(
                "config-value", key, [value], Shape.ONE, (line, line), scope=path, last=key.rsplit(".", 1)[-1]
            )


def _leaves(entries: dict[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    for key, node in entries.items():
        if not _KEY.match(key) or (not above and key in _MANIFESTS):
            continue
        where = (*above, key)
        if isinstance(node, yaml.MappingNode) and len(where) < MAX_DEPTH:
            yield from _leaves(pairs(node), where)
        elif (value := scalar(node).strip()) and "\n" not in value and len(value) <= MAX_VALUE and "`" not in value:
            yield ".".join(where), value, lines_of(node)[0]


def _toml(text: str) -> Iterator[tuple[str, str, int]]:
    table, multiline = "", False
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if len(bare) > 400:
            continue
        if bare.count('"""') % 2 or bare.count("'''") % 2:
            multiline = not multiline
            continue
        if multiline:
            continue
        if header := _TABLE.match(bare):
            table = header[1] if not bare.startswith("[[") else "[]"
        elif table not in _MANIFESTS and table != "[]" and (pair := _PAIR.match(bare)) and "`" not in bare:
            key = ".".join(filter(None, [table, pair[1].strip("\"'")]))
            yield key, pair[2].strip("\"'"), number


def _ports(source: Source) -> Iterator[Fact]:
    path, text = source.path, source.document.text
    name = PurePosixPath(path).name
    if name.startswith("Dockerfile") or name.endswith(".dockerfile"):
        stages = len(re.findall(r"^[ \t]*FROM\s", text, re.MULTILINE))
        for number, line in enumerate(text.split("\n"), 1):
            if found := re.match(r"\s*EXPOSE\s+(\d{2,5})(?:/\w+)?\s*$", line):
                yield source.fact("port", path, [found[1]], Shape.ONE, (number, number), how="exposes")
            elif stages == 1 and (found := re.match(r"\s*FROM\s+([\w./:@-]{2,120})", line)) and found[1] != "scratch":
                yield source.fact("base-image", path, [found[1]], Shape.ONE, (number, number))
    elif re.search(r"(^|[.-])compose\b.*\.ya?ml$", name):
        for service, node in pairs(mapping(text).get("services")).items():
            yield from _service(source, service, node)
            published = pairs(node).get("ports")
            values = [scalar(one) for one in items(published)]
            if values and all(re.fullmatch(r"[\d.:${}\w/-]+", value) for value in values):
                yield source.fact("port", service, values, Shape.ALL, lines_of(published), how="publishes")
    elif name.endswith(".conf") and "listen" in text:
        listens = list(
            dict.fromkeys(re.findall(r"^[ \t]*listen[ \t]+(?:[\w.\[\]:]+:)?(\d{2,5})\b", text, re.MULTILINE))
        )
        if listens and "server" in text:
            numbers = [at for at, line in enumerate(text.split("\n"), 1) if re.match(r"\s*listen\s", line)]
            yield source.fact("port", path, listens, Shape.ALL, (numbers[0], numbers[-1]), how="listens on")
    elif source.root is not None:
        yield from _listening(source)


def _service(source: Source, name: str, node: Any) -> Iterator[Fact]:
    """What a service of a compose file runs, needs, publishes and keeps."""
    entries = pairs(node)
    build = scalar(entries.get("build")) or scalar(pairs(entries.get("build")).get("context"))
    said = []
    if image := scalar(entries.get("image")):
        said.append(f"`{name}` runs the image `{image}`.")
    elif build:
        said.append(f"`{name}` is built from `{build}`.")
    needed = [scalar(one) for one in items(entries.get("depends_on"))] or list(pairs(entries.get("depends_on")))
    for key, verb in (("ports", "publishes"), ("volumes", "mounts")):
        if listed := [scalar(one) for one in items(entries.get(key)) if scalar(one)]:
            said.append(f"It {verb} {in_words(listed)}.")
    if needed:
        said.append(f"It starts after {in_words(needed)}.")
    if command := scalar(entries.get("command")):
        said.append(f"Its command is `{' '.join(command.split())}`.")
    if len(said) > 1 and all("\n" not in one for one in said):
        first, last = lines_of(node)
        yield source.fact("service", name, said, Shape.PROSE, (max(1, first - 1), last), scope=source.path)


def _listening(source: Source) -> Iterator[Fact]:
    for match in _CODE_PORT.finditer(source.document.text):
        line = source.document.text.count("\n", 0, match.start()) + 1
        if re.match(r"\s*(//|#|\*)", source.lines[line - 1]):
            continue
        number = match[1]
        if match[2]:
            name = re.escape(match[2])
            pattern = rf"^[ \t]*(?:const |let |var )?[ \t]*{name}(?::[ \t]*\w+)?[ \t]*=[ \t]*(\d{{2,5}})[ \t]*;?$"
            bound = list(re.finditer(pattern, source.document.text, re.MULTILINE))
            number = bound[0][1] if len(bound) == 1 else None
            line = source.document.text.count("\n", 0, bound[0].start()) + 1 if number else line
        if number:
            yield source.fact("port", source.path, [number], Shape.ONE, (line, line), how="listens on")
