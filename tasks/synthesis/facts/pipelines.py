"""Continuous integration: what starts a workflow, its jobs and steps in order, and the command behind a step. GitHub
Actions and GitLab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

import yaml

from tasks.synthesis.facts.source import Source, in_words
from tasks.text.facts import Fact, Shape

MAX_STEPS: Final = 20
MAX_COMMAND: Final = 300
MAX_BYTES: Final = 100_000
MAX_FLOW_DEPTH: Final = 100
"""Brackets in brackets; libyaml looks at all of them at each token."""

_BRACKETS: Final = re.compile(r"[\[\]{}]")
_CHAIN: Final = re.compile(r"(?:[-?:][ \t]+){100}")
"""Sequences in sequences on one line; libyaml's Python binding calls itself for each, until the stack ends."""
_WORKFLOW: Final = re.compile(r"(^|/)\.github/workflows/[^/]+\.ya?ml$")
_GITLAB: Final = re.compile(r"(^|/)\.gitlab-ci\.ya?ml$")
_RESERVED: Final = frozenset(
    {"stages", "variables", "default", "include", "workflow", "image", "services", "before_script", "after_script"}
    | {"cache", "pages"}
)


def facts(source: Source) -> Iterator[Fact]:
    """Facts of a workflow in order of lines; none for other files and broken ones."""
    if len(source.document.text) > MAX_BYTES:
        return
    if _WORKFLOW.search(source.path):
        yield from _actions(source)
    elif _GITLAB.search(source.path):
        yield from _gitlab(source)


def mapping(text: str) -> dict[str, Any]:
    """The top level of a YAML document, values as nodes with their lines; empty if it is broken or no mapping."""
    if _CHAIN.search(text) or _flow_depth(text) > MAX_FLOW_DEPTH:
        return {}
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return {}
    return pairs(root)


def _flow_depth(text: str) -> int:
    deepest = depth = 0
    for bracket in _BRACKETS.findall(text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def pairs(node: Any) -> dict[str, Any]:
    """Entries of a mapping node."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def items(node: Any) -> list[Any]:
    """Entries of a sequence node."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def scalar(node: Any) -> str:
    """Text of a scalar node; empty for others."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def lines_of(node: Any) -> tuple[int, int]:
    """First and last line of a node, 1-based."""
    first, last = node.start_mark.line + 1, node.end_mark.line + 1
    block = not isinstance(node, yaml.ScalarNode) and not node.flow_style  # its end mark is the next token
    return first, max(first, last - 1 if block or node.end_mark.column == 0 else last)


def _actions(source: Source) -> Iterator[Fact]:
    root = mapping(source.document.text)
    name = scalar(root.get("name")) or PurePosixPath(source.path).stem
    words = {"workflow": name}
    started = root.get("on")
    if started is not None and (triggers := _triggers(started)):
        yield source.fact("ci", name, triggers, Shape.ALL, lines_of(started), triggers=_listed(triggers), **words)
    jobs = pairs(root.get("jobs"))
    if len(jobs) > 1:
        yield source.fact("ci-jobs", name, list(jobs), Shape.ALL, lines_of(root["jobs"]), **words)
    for job, node in jobs.items():
        steps = items(pairs(node).get("steps"))
        label = scalar(pairs(node).get("name")) or job
        yield from _steps(source, name, label if "${{" not in label else job, steps, len(jobs))


def _steps(source: Source, workflow: str, job: str, steps: list[Any], jobs: int) -> Iterator[Fact]:
    told: list[str] = []
    for step in steps:
        entries = pairs(step)
        command, action = scalar(entries.get("run")).strip(), scalar(entries.get("uses"))
        name = scalar(entries.get("name")) or action or command.split("\n")[0]
        told.append(name)
        words = {"workflow": workflow, "job": job if jobs > 1 else "", "step": name}
        if scalar(entries.get("name")) and command and len(command) <= MAX_COMMAND:
            one_line = "\n" not in command
            yield source.fact(
                "ci-step",
                name,
                [command],
                Shape.ONE,
                lines_of(step),
                scope=source.path,
                command=f"`{command}`" if one_line else f"```\n{command}\n```",
                **words,
            )
        elif scalar(entries.get("name")) and action:
            yield source.fact("ci-action", name, [action], Shape.ONE, lines_of(step), scope=source.path, **words)
    if 1 < len(told) <= MAX_STEPS and len(set(told)) == len(told) and all(told):
        span = (lines_of(steps[0])[0], lines_of(steps[-1])[1])
        subject = job if jobs > 1 else workflow
        yield source.fact(
            "ci-steps",
            subject,
            told,
            Shape.ORDERED,
            span,
            scope=source.path,
            workflow=workflow,
            ordered="\n".join(f"{place}. {name}" for place, name in enumerate(told, 1)),
        )


def _triggers(node: Any) -> list[str]:
    """What starts a workflow, as one would say it: `push` to `main`."""
    if text := scalar(node):
        return [text]
    if isinstance(node, yaml.SequenceNode):
        return [scalar(one) for one in node.value if scalar(one)]
    found: list[str] = []
    for event, options in pairs(node).items():
        inner = pairs(options)
        branches = [scalar(one) for one in items(inner.get("branches"))] or [scalar(inner.get("branches"))]
        crons = [scalar(pairs(one).get("cron")) for one in items(options)]
        tags = [scalar(one) for one in items(inner.get("tags"))]
        detail = ""
        if any(branches):
            detail = f" on {in_words(branches)}"
        elif any(tags):
            detail = f" of tags {in_words(tags)}"
        elif any(crons):
            detail = f" at {in_words(crons)}"
        found.append(event + detail)
    return found


def _listed(triggers: list[str]) -> str:
    said = [re.sub(r"^([\w-]+)", r"`\1`", one) for one in triggers]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"


def _gitlab(source: Source) -> Iterator[Fact]:
    root = mapping(source.document.text)
    if stages := [scalar(one) for one in items(root.get("stages"))]:
        yield source.fact("ci-stages", "GitLab", stages, Shape.ORDERED, lines_of(root["stages"]))
    for job, node in root.items():
        script = [scalar(one) for one in items(pairs(node).get("script"))]
        if job in _RESERVED or job.startswith(".") or not all(script) or not 0 < len(script) <= MAX_STEPS:
            continue
        yield source.fact(
            "ci-steps",
            job,
            script,
            Shape.ORDERED,
            lines_of(node),
            scope=source.path,
            workflow="GitLab",
            ordered="\n".join(f"{place}. `{line}`" for place, line in enumerate(script, 1)),
        )
