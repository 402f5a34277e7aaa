"""Facts about folders and the whole repository: what is where, which parts build on which, and what people keep to
without saying so, with counts.

Names are told of one side of the split only; counts of the whole repository give no document away.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from tasks.base.records import Split
from tasks.synthesis.facts.definitions import is_style
from tasks.synthesis.facts.graph import Graph
from tasks.synthesis.facts.source import MIN_NAME, Source, in_words, noun
from tasks.synthesis.wordings.grammar import number, plural
from tasks.text.facts import Fact, Shape
from tasks.text.languages import language_of
from tasks.text.paths import is_test

MAX_FILES: Final = 14
"""Files of a folder that are told one by one."""
MIN_FILES: Final = 2
MIN_TOLD: Final = 0.5
"""Share of a folder's files without which it is not described."""
MIN_COUNTED: Final = 8
"""Of fewer cases nobody would speak of a convention."""
MIN_KEPT: Final = 0.8
"""Share of the cases that keep to something before it is called a convention."""
SPOKEN: Final = {
    "tsx": "TypeScript",
    "typescript": "TypeScript",
    "javascript": "JavaScript",
    "csharp": "C#",
    "php": "PHP",
}


@dataclass(frozen=True)
class Convention:
    """Something that most of the files keep to."""

    about: str
    """As a person would ask for it: “the stories of components”."""
    rule: str
    """One sentence."""
    kept: int
    cases: int
    """What is counted is said in `rule`."""


@dataclass(frozen=True)
class Folders:
    """The folders of a repository and the edges between them."""

    files: dict[str, list[str]]
    """Paths of code files by folder, sorted."""
    building_on: dict[str, Counter[str]]
    """Folder → folders whose definitions its files use, by how many of its files do."""
    used_by: dict[str, Counter[str]]
    firsts: dict[tuple[str, Split | None], str]
    """The first file of each folder on each side, which bears what is said of the folder."""
    first: str
    """The first file of the training side, which bears what is said of the whole repository."""
    conventions: list[Convention]


def folders(graph: Graph, texts: Iterable[tuple[str, str, str, object]]) -> Folders:
    """What is known of the folders of a repository.

    Args:
        graph: of the repository.
        texts: (document id, path, text, side) of its files.
    """
    files: dict[str, list[str]] = {}
    firsts: dict[tuple[str, Split | None], str] = {}
    for path in sorted(graph.modules):
        files.setdefault(folder_of(path), []).append(path)
        firsts.setdefault((folder_of(path), graph.modules[path].split), path)
    below: dict[str, set[tuple[str, str]]] = {}
    above: dict[str, set[tuple[str, str]]] = {}
    for path, edges in graph.uses.items():
        for edge in edges:
            own, other = folder_of(path), folder_of(edge.target.path)
            if (
                own != other
                and not is_test(path)
                and graph.modules[path].split is graph.modules[edge.target.path].split is not None
            ):
                below.setdefault(own, set()).add((path, other))
                above.setdefault(other, set()).add((path, own))
    return Folders(
        files,
        {folder: Counter(other for _, other in found) for folder, found in below.items()},
        {folder: Counter(other for _, other in found) for folder, found in above.items()},
        firsts,
        min((path for path, module in graph.modules.items() if module.split is Split.TRAIN), default=""),
        conventions(graph, texts),
    )


def folder_of(path: str) -> str:
    """The folder of a path, `.` for the repository's root."""
    return str(PurePosixPath(path).parent)


def facts(source: Source, known: Folders) -> Iterator[Fact]:
    """Facts that the first file of a folder, or of the repository, bears."""
    folder = folder_of(source.path)
    if known.firsts.get((folder, source.split)) == source.path:
        yield from _folder(source, folder, [path for path in known.files[folder] if source.here(path)], known)
    if source.path != known.first:
        return
    yield from _layout(source, known)
    for one in known.conventions:
        yield source.fact(
            "convention",
            one.about,
            [f"{one.kept} of {one.cases}"],
            Shape.ONE,
            (1, 1),
            rule=one.rule,
            kept=str(one.kept),
            cases=str(one.cases),
        )


def _folder(source: Source, folder: str, own: Sequence[str], known: Folders) -> Iterator[Fact]:
    told = [path for path in own if not is_test(path) and _contents(source.graph, path)]
    every = sum(not is_test(path) for path in known.files[folder])
    whole = len(told) == every
    if folder == "." or not MIN_FILES <= len(told) <= MAX_FILES or len(told) < MIN_TOLD * every:
        return
    names = [PurePosixPath(path).name for path in told]
    lines = [f"`{name}`: {_contents(source.graph, path)}" for name, path in zip(names, told, strict=True)]
    sentences = []
    if any(map(is_test, known.files[folder])):
        sentences.append("Beside them lie tests, stories or fixtures.")
    on = [name for name, _ in known.building_on.get(folder, Counter()).most_common(3) if name != "."]
    by = [name for name, _ in known.used_by.get(folder, Counter()).most_common(3) if name != "."]
    if on:
        sentences.append(f"Its code builds mostly on {in_words(on)}.")
    if by:
        sentences.append(f"It is used mostly by {in_words(by)}.")
    inner = sorted(name for name in known.files if folder_of(name) == folder and name != folder)
    if inner:
        sentences.append(
            f"Below it {'is' if len(inner) == 1 else 'are'} {in_words([PurePosixPath(one).name for one in inner[:8]])}."
        )
    yield source.fact(
        "folder",
        folder,
        names,
        Shape.ALL,
        (1, 1),
        rests_on=told,
        lines="\n".join(f"- {line}" for line in lines),
        around=" ".join(sentences),
        some="" if whole else "yes",
        whole="yes" if whole else "",
    )


def _contents(graph: Graph, path: str) -> str:
    """The main definitions of a file as one would name them: the component `Billing` and the hook `useInvoices`."""
    found = [
        one
        for one in graph.modules[path].symbols.values()
        if "." not in one.qualified and len(one.name) >= MIN_NAME and not is_style(path, one.name)
    ]
    sought = [one for one in found if any(edge.path != path for edge in graph.used(path, one.qualified))] or [
        one for one in found if one.kind in ("class", "function")
    ]
    things = [(noun(path, one), one.name) for one in sorted(sought, key=lambda one: one.first)]
    groups: dict[str, list[str]] = {}
    for thing, name in things:
        groups.setdefault(thing, []).append(name)
    parts = []
    for thing, names in list(groups.items())[:3]:
        shown = in_words(names) if len(names) <= 3 else f"{in_words(names[:3])} and {number(len(names) - 3)} more"
        parts.append(f"the {thing if len(names) == 1 else plural(thing)} {shown}")
    return "; ".join(parts)


def _layout(source: Source, known: Folders) -> Iterator[Fact]:
    """How the repository is organised: its top folders by number of files of code."""
    tops: dict[str, list[str]] = {}
    for paths in known.files.values():
        for path in paths:
            tops.setdefault(path.split("/")[0] if "/" in path else ".", []).append(path)
    tops.pop(".", None)
    if len(tops) < MIN_FILES:
        return
    lines = []
    for name, paths in sorted(tops.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_FILES]:
        spoken = Counter(spoken_language(path) for path in paths).most_common(1)[0][0]
        tests = sum(map(is_test, paths))
        files = f"{number(len(paths))} {'file' if len(paths) == 1 else 'files'} of code"
        kinds = "a test, story or fixture" if tests == 1 else "tests, stories or fixtures"
        said = f", {'all' if tests == len(paths) else number(tests)} of them {kinds}" if tests else ""
        lines.append(f"`{name}`: {files}, mostly {spoken}{said}")
    yield source.fact(
        "layout", "the repository", lines, Shape.PROSE, (1, 1), lines="\n".join(f"- {line}" for line in lines)
    )


def spoken_language(path: str) -> str:
    """The language of a file as people write it."""
    found = language_of(path) or "other files"
    return SPOKEN.get(found, found.title())


def conventions(graph: Graph, texts: Iterable[tuple[str, str, str, object]]) -> list[Convention]:
    """What at least four of five cases keep to, with counts over the whole repository."""
    paths = sorted(graph.modules)
    found = [*_of_places(paths), *_of_names(graph, paths), *_of_texts(graph, texts)]
    return [one for one in found if one.cases >= MIN_COUNTED and one.kept >= MIN_KEPT * one.cases]


def _of_places(paths: Sequence[str]) -> Iterator[Convention]:
    known = set(paths)
    stories = [path for path in paths if re.search(r"\.stories\.\w+$", path)]
    beside = sum(any(path.replace(".stories.", end) in known for end in (".", ".component.")) for path in stories)
    beside += sum(path.replace(".stories.ts", ".tsx") in known and path.endswith(".stories.ts") for path in stories)
    yield Convention(
        "the place of stories", "A component's stories lie beside it, in a file of the same name.", beside, len(stories)
    )
    tests = [path for path in paths if re.search(r"[._-](test|spec)\.\w+$|(^|/)test_[^/]*\.py$|_test\.go$", path)]
    for marker, rule in (
        ("__tests__", "Tests lie in folders called `__tests__`."),
        ("tests", "Tests lie below a folder called `tests`, apart from the code."),
    ):
        inside = sum(f"/{marker}/" in f"/{path}" for path in tests)
        yield Convention("the place of tests", rule, inside, len(tests))
    near = sum(re.sub(r"[._-](?:test|spec)(?=\.\w+$)", "", path) in known for path in tests)
    yield Convention("the place of tests", "A test lies beside the file that it tests.", near, len(tests))


def _of_names(graph: Graph, paths: Sequence[str]) -> Iterator[Convention]:
    components = [
        (path, symbol.name)
        for path in paths
        for symbol in graph.modules[path].symbols.values()
        if not is_test(path) and "." not in symbol.qualified and noun(path, symbol) == "component"
    ]
    holding = dict.fromkeys(path for path, _ in components)
    named = sum(any(name == PurePosixPath(path).stem for at, name in components if at == path) for path in holding)
    yield Convention(
        "the names of component files", "A file with components is called like one of them.", named, len(holding)
    )
    hooks = [
        (path, one.name)
        for path in paths
        for one in graph.modules[path].symbols.values()
        if noun(path, one) == "hook" and not is_test(path)
    ]
    own = sum(PurePosixPath(path).stem == name for path, name in hooks)
    yield Convention("the place of hooks", "A hook has a file of its own that is called like it.", own, len(hooks))
    python = [path for path in paths if path.endswith(".py") and not is_test(path) and not path.endswith("__init__.py")]
    private = sum(PurePosixPath(path).name.startswith("_") for path in python)
    yield Convention(
        "the names of Python modules",
        "Modules are private: their names begin with an underscore.",
        private,
        len(python),
    )
    scripts = [path for path in paths if language_of(path) in ("typescript", "tsx", "javascript")]
    typed = sum(language_of(path) != "javascript" for path in scripts)
    yield Convention(
        "TypeScript and JavaScript",
        "Scripts are written in TypeScript, not in JavaScript.",
        typed,
        len(scripts),
    )


_COUNTED: Final = (
    ("python", "annotations in Python", "Modules begin with `from __future__ import annotations`.",
     r"^from __future__ import annotations$", r"^import |^from "),
    ("script", "semicolons", "Statements end with a semicolon.", r"^import .*;$", r"^import .*['\"];?$"),
    ("script", "quotes", "Strings of imports stand in single quotes.", r"^import .*'", r"^import .*['\"]"),
    ("script", "indentation", "Code is indented with tabs.", r"^\t+\w", r"^(?:\t+| {2,})\w"),
    ("script", "indentation", "Code is indented with spaces.", r"^ {2,}\w", r"^(?:\t+| {2,})\w"),
    ("script", "default exports", "Files do without `export default`: names are exported as they are.",
     r"\A(?![\s\S]*^export default)", r"^export "),
)  # fmt: skip
"""(language, about, rule, pattern of a file that keeps to it, pattern of a file that could)."""


def _of_texts(graph: Graph, texts: Iterable[tuple[str, str, str, object]]) -> Iterator[Convention]:
    patterns = [
        (language, re.compile(kept, re.MULTILINE), re.compile(could, re.MULTILINE))
        for language, _, _, kept, could in _COUNTED
    ]
    counts = [[0, 0] for _ in _COUNTED]
    results = [0, 0]
    for _, path, text, _ in texts:
        if path not in graph.modules or is_test(path):
            continue
        language = language_of(path) or ""
        language = "script" if language in ("typescript", "tsx", "javascript") else language
        for count, (wanted, kept, could) in zip(counts, patterns, strict=True):
            if language == wanted and could.search(text):
                count[0] += kept.search(text) is not None
                count[1] += 1
        if language == "python":
            heads = re.findall(r"^ *(?:async )?def \w+\([^()]*(?:\([^()]*\)[^()]*)*\)( ->)?", text, re.MULTILINE)
            results[0] += sum(map(bool, heads))
            results[1] += len(heads)
    for (_, about, rule, _, _), (kept_by, cases) in zip(_COUNTED, counts, strict=True):
        yield Convention(about, rule, kept_by, cases)
    yield Convention("return types in Python", "Functions say what they return.", *results)
