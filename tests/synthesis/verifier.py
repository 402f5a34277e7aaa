"""Checks facts of every family from the other side, by searches in raw text and in what the harvest recorded. No syntax
tree, no graph, no code of the room: code is `code_verifier`'s, the rest stands here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import PurePosixPath

from tasks.base.records import Document
from tasks.text.facts import Fact
from tests.synthesis import code_verifier
from tests.synthesis.code_verifier import TEST, bare

Texts = Mapping[str, Document]
"""Documents of one repository by id, both sides."""

DEFINES = (
    r"\b(?:def|class|function\*?|interface|type|enum|const|let|var|struct|trait|fn|func|object|record)\s+"
    r"(?:\([^)]*\)\s*)?"
)
_VERSION = re.compile(r"^#+ \[?(?:[Vv]ersion )?v?(\d+(?:\.\d+)+[\w.-]*)\]?(.*)$")


def wrong(fact: Fact, documents: Texts) -> str:
    """Why a fact is not right by the documents' raw text; empty if it is."""
    source = documents[fact.document_id]
    lines = source.text.split("\n")
    first, last = fact.span
    if not 1 <= first <= last <= len(lines):
        return f"lines {first} to {last} of {len(lines)}"
    check = _CHECKS.get(fact.kind)
    if check is not None:
        return check(fact, source, "\n".join(lines[first - 1 : last]), documents)
    texts = {one.path: one.text for one in documents.values() if one.kind == "file"}
    return code_verifier.wrong(fact, texts)


def checked(kind: str) -> bool:
    """Whether there is a check of its own for a kind."""
    return kind in _CHECKS or code_verifier.checked(kind)


def _letters(text: str) -> str:
    return re.sub(r"\W+|_", "", re.sub(r"!?\[([^\]]*)\]\([^()\s]*\)", r"\1", text))


def _says(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    page = _letters(shown)
    missing = [value for value in fact.values if _letters(value) not in page]
    return f"{missing[0][:80]!r} is not in lines {fact.span} of {source.path}" if missing else ""


def _below_heading(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    return _says(fact, source, shown, documents) or _headed(fact.subject, source, fact.span[0])


def _headed(subject: str, source: Document, line: int) -> str:
    lines = source.text.split("\n")
    fences = [number for number, one in enumerate(lines) if re.match(r"\s*(```|~~~)", one)]
    outside = [one for number, one in enumerate(lines[:line]) if sum(fence < number for fence in fences) % 2 == 0]
    above = [one for one in outside if re.match(r"#{1,6} |<h\d", one)]
    underlined = [one for one, under in pairwise(lines) if re.fullmatch(r"[=-]{3,}\s*", under)]
    titled = [one for one in lines[:6] if one.startswith("title:")]
    if any(_letters(subject) in _letters(one) for one in [*above[-1:], *underlined, *titled]):
        return ""
    return "" if _letters(subject) in _letters(source.title) else f"no heading “{subject}” above line {line}"


def _place(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    pages = [one for one in documents.values() if one.kind == "wiki" or one.path.lower().endswith((".md", ".markdown"))]
    heading = re.compile(rf"^#{{1,6}} +{re.escape(fact.subject)}\s*#*$", re.MULTILINE)
    others = [one.path for one in pages if one.id != source.id and heading.search(one.text)]
    if others:
        return f"{others[0]} has that heading, too"
    return "" if source.path in fact.values[0] or source.title in fact.values[0] else "is another page"


def _versioned(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    version = fact.values[0] if fact.kind == "changelog-version" else fact.subject
    said = (fact.subject,) if fact.kind == "changelog-version" else fact.values
    lines = source.text.split("\n")
    above = [found[1] for line in lines[: fact.span[0]] if (found := _VERSION.match(line))]
    if above[-1:] != [version]:
        return f"stands below {above[-1:]}"
    page = _letters(shown)
    missing = [one for one in said if _letters(one) not in page]
    return f"{missing[0][:80]!r} is not in lines {fact.span}" if missing else ""


def _dated(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    return "" if fact.subject in shown and fact.values[0] in shown else f"{fact.values[0]} is not beside {fact.subject}"


def _cell(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    cells = [_letters(cell) for cell in re.split(r"(?<!\\)\|", shown.strip().strip("|"))]
    lines = source.text.split("\n")[: fact.span[0]]
    at = max(number for number, line in enumerate(lines) if re.fullmatch(r"[|:\-\s]+", line) and "-" in line)
    heads = [_letters(cell) for cell in re.split(r"(?<!\\)\|", lines[at - 1].strip().strip("|"))]
    column = _letters(fact.words["column"])
    right = (
        column in heads
        and cells[0] == _letters(fact.subject)
        and cells[heads.index(column)] == _letters(fact.values[0])
    )
    return "" if right else f"the row is {cells}"


def _patches(source: Document) -> list[tuple[str, list[str], list[str]]]:
    """(path, removed lines, added lines) of a pull request's files."""
    found = []
    for entry in source.meta.get("files") or []:
        lines = (entry.get("patch") or "").split("\n")
        found.append((entry["path"], [x[1:] for x in lines if x[:1] == "-"], [x[1:] for x in lines if x[:1] == "+"]))
    return found


def _defining(name: str, lines: list[str]) -> bool:
    return any(re.search(rf"^[^#/\"']*{DEFINES}{re.escape(name)}\b", line) for line in lines)


def _change(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    old, new = fact.values
    for path, minus, plus in _patches(source):
        was = any(fact.subject in line and old in line for line in minus)
        if path == fact.scope and was and any(fact.subject in line and new in line for line in plus):
            return ""
    return f"{fact.scope} has no line with {fact.subject} that changes {old} to {new}"


def _rename(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    for path, minus, plus in _patches(source):
        if path == fact.scope and _defining(fact.subject, minus) and _defining(fact.values[0], plus):
            return "is still defined" if _defining(fact.subject, plus) else ""
    return "no line defines the one or the other"


def _symbols(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    wanted, other = (2, 1) if fact.kind == "symbols-added" else (1, 2)
    found = [patch for patch in _patches(source) if patch[0].endswith(code_verifier.CODE)]
    for name in fact.values:
        if not any(_defining(name, patch[wanted]) and not _defining(name, patch[other]) for patch in found):
            return f"no patch has {name} on one side alone"
    return ""


def _introduction(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    if not any(_defining(fact.subject, plus) for _, _, plus in _patches(source)):
        return "does not add it"
    others = [
        one.path
        for one in documents.values()
        if one.kind == "pull" and one.id != source.id
        if any(_defining(fact.subject, plus) and not _defining(fact.subject, minus) for _, minus, plus in _patches(one))
    ]
    if others:
        return f"#{others[0]} adds it, too"
    file = [one for one in documents.values() if one.kind == "file" and one.path == fact.words["file"]]
    return "" if file and re.search(rf"{DEFINES}{re.escape(fact.subject)}\b", file[0].text) else "is gone"


def _reason(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    missing = [one for one in fact.values if _letters(one) not in _letters(source.text)]
    return f"{missing[0][:60]!r} is not in the description" if missing else ""


def _commits(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    heads = [str(one["message"]).split("\n")[0] for one in source.meta["commits"]]
    places = [next((at for at, head in enumerate(heads) if head.startswith(one)), -1) for one in fact.values]
    return "" if -1 not in places and places == sorted(places) else "no such commits in that order"


def _review(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    said = [
        _letters(str(one.get("body")))
        for topic in ("reviews", "review_comments")
        for one in source.meta.get(topic) or []
        if one.get("author") == fact.words["reviewer"]
    ]
    return "" if any(_letters(fact.values[0]) in one for one in said) else f"{fact.words['reviewer']} did not write it"


def _title(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    title = source.title.strip()
    asked = {f"#{source.path}", title.rstrip(".") if fact.kind == "pull" else title}
    gist = fact.words.get("gist", "")
    right = {fact.subject, fact.values[0]} == asked and _letters(gist) in _letters(source.text)
    return "" if right else f"is {source.path} {source.title}"


def _history(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    named = {found[1]: found[2] for value in fact.values if (found := re.search(r"^#(\d+) .* (\S+)$", value))}
    by_number = {one.path: one for one in documents.values() if one.kind == "pull"}
    for number, date in named.items():
        pull = by_number[number]
        if source.path not in {path for path, _, _ in _patches(pull)} or pull.meta["merged_at"][:10] != date:
            return f"#{number} does not change it or is not merged on {date}"
    return ""


def _taken(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    """What is imported stands in the lines; each file that it comes from says the names."""
    by_path = {one.path: one.text for one in documents.values() if one.kind == "file"}
    found = [(names, path) for names, path in re.findall(r"^- (.*) of `([^`]+)`$", fact.words.get("placed", ""), re.M)]
    for names, path in found or [(" ".join(f"`{value}`" for value in fact.values), fact.words["target"])]:
        stem = PurePosixPath(path).with_suffix("")
        if not re.search(
            rf"\b{re.escape((stem.parent if stem.name in ('index', '__init__') else stem).name)}\b|['\"]\.", shown
        ):
            return f"{path} is not imported in lines {fact.span}"
        for name in re.findall(r"`([^`]+)`", names):
            said = name in shown and (
                name in by_path[path] or "default" in by_path[path] or "export *" in by_path[path]
            )
            if not said and name != "*" and not path.endswith("__init__.py"):
                return f"{name} of {path} is not imported in lines {fact.span}"
    return ""


def _definition_text(name: str, text: str) -> str:
    """From a top-level definition to the next line that begins without white space and is no closing bracket."""
    head = re.search(
        rf"^(?:@.*\n)*(?:export )?(?:default )?(?:async )?(?:{DEFINES[2:]}){re.escape(name)}\b", text, re.M
    )
    if head is None:
        return ""
    rest = text[head.end() :]
    following = re.search(
        r"^(?:export|const|let|function|class|interface|type|enum|def|async|@|if|[A-Z_a-z]+ *[=:(])", rest, re.M
    )
    return rest[: following.start()] if following else rest


def _joined(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    """Every name in a sentence stands in a file that the fact rests on; callers name what they call."""
    texts = {one.path: one.text for one in documents.values() if one.id in {source.id, *fact.rests_on}}
    everything = "\n".join(texts.values())
    whole = "\n".join(one.text for one in documents.values())  # a route's mount is in another file
    for sentence in fact.values:
        names = re.findall(r"`([^`]+)`", sentence)
        for name in names:
            last = re.split(r"[.:# ]", name)[-1] if "/" not in name else name
            route = re.fullmatch(r"(?:[A-Z]+ )?(/.*)", name)
            if route:
                parts = [part for part in re.split(r"/|:\w+\??|\{\w+\}|\?", route[1]) if part]
                if any(part not in whole for part in parts):
                    return f"no file says {name}"
            elif (
                name not in texts and last not in everything and not any(path.startswith(name + "/") for path in texts)
            ):
                return f"no file says {name}"
        called = re.match(r"`(\w+)`.*? (?:calls|creates) (.*)", sentence)
        body = next((found for text in texts.values() if called and (found := _definition_text(called[1], text))), "")
        for name in re.findall(r"`([^`]+)`", re.sub(r" in `[^`]*`\.$", "", called[2])) if called and body else ():
            if not re.search(rf"\b{re.escape(name.split('.')[-1])}\b", body) and " as " not in everything:
                return f"{called[1]} does not say {name}"
    return ""


def _profile(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    own = bare(shown, source.path) if not source.path.endswith(".py") else shown
    for sentence in fact.values[1:]:
        names = [name.rsplit(".", 1)[-1] for name in re.findall(r"`([^`]+)`", sentence)]
        if re.match(r"It (takes|calls|renders|builds on) `|Its methods are|It has \w+ public methods", sentence):
            missing = [
                one for one in names if not re.search(rf"\b{re.escape(one)}\b", own) and " as " not in source.text
            ]
            if missing:
                return f"{fact.subject} does not say {missing[0]}"
    return _joined(fact, source, shown, documents)


def _difference(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    texts = [one.text for one in documents.values() if one.id in {source.id, *fact.rests_on}]
    body = {
        name: next(filter(None, (_definition_text(name, text) for text in texts)), "")
        for name in (fact.subject, fact.words["other"])
    }
    for sentence in fact.values:
        if not all(body.values()) or " is in `" in sentence or sentence.startswith("Both are in"):
            continue
        only = re.match(r"Only `([^`]+)` (.*)", sentence)
        if sentence.startswith("Both have") or (only and only[2].startswith("has ")):
            owners = [body[only[1]]] if only else list(body.values())
            others = [text for text in body.values() if text not in owners]
            for name in re.findall(r"`([^`]+)`", only[2] if only else sentence):
                field = re.compile(rf"^\s*(?:\w+ )*['\"]?{re.escape(name)}['\"]?\??(?:\s*:|\s+\w)", re.MULTILINE)
                if not all(map(field.search, owners)) or any(map(field.search, others)):
                    return f"the fields {name} are not so"
            continue
        if re.match(r"`[^`]+` is `", sentence):
            continue
        for name in re.findall(r"`([^`]+)`", only[2] if only else sentence):
            last = re.escape(name.split(".")[-1])
            used = re.compile(
                rf"\b{last}\s*(?:<[^<>()]*>)?\(|<{last}\b|[(,]\s*{last}\b(?=\s*[,)])|extends {last}\b|\b{last} = "
            )
            said = [one for one, text in body.items() if used.search(text)]
            head = any(
                re.search(rf"{re.escape(one)}\b[^\n]*\b{re.escape(name)}\b", text) for text in texts for one in body
            )
            if (only and said not in ([only[1]], []) and "define" not in sentence) or (
                not only and len(said) < 2 and not head
            ):
                return f"{name} is said by {said}"
    return ""


def _folder(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    by_path = {one.path: one.text for one in documents.values() if one.kind == "file"}
    beside = {one.rpartition("/")[2] for one in by_path if one.rpartition("/")[0] == fact.subject}
    code = {one for one in beside if one.endswith(code_verifier.CODE) and not TEST.search(f"{fact.subject}/{one}")}
    if fact.words.get("whole") and code - set(fact.values):
        return f"{sorted(code - set(fact.values))} is left out"
    for line in fact.words["lines"].split("\n"):
        name, *names = re.findall(r"`([^`]+)`", line)
        text = by_path.get(f"{fact.subject}/{name}")
        if text is None or any(not re.search(rf"\b{re.escape(one)}\b", text) for one in names):
            return f"{fact.subject}/{name} is not there or does not say {names}"
    return ""


def _layout(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    code = (
        *code_verifier.CODE,
        ".mjs",
        ".cjs",
        ".mts",
        ".cts",
        ".pyi",
        ".bash",
        ".c",
        ".h",
        ".cpp",
        ".scala",
        ".swift",
    )
    words = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
    for line in fact.values:
        name, said = re.match(r"`([^`]+)`: (\w+) file", line).groups()  # type: ignore[union-attr]
        inside = [one for one in documents.values() if one.kind == "file" and one.path.startswith(f"{name}/")]
        counted = sum(one.path.endswith(code) for one in inside)
        told = words.index(said) if said in words else int(said)
        if not 0.9 * counted <= told <= len(inside):
            return f"{name} has {counted} files of code"
    return ""


def _convention(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    kept, cases = int(fact.words["kept"]), int(fact.words["cases"])
    files = [one for one in documents.values() if one.kind == "file"]
    patterns: dict[str, Callable[[Document], bool]] = {
        "Modules begin with": lambda one: one.path.endswith(".py") and "from __future__ import annotations" in one.text,
        "Strings of imports": lambda one: (
            re.search(r"\.[tj]sx?$", one.path) is not None and "import " in one.text and "'" in one.text
        ),
        "Tests lie below a folder": lambda one: "tests/" in one.path and TEST.search(one.path) is not None,
        "A component's stories": lambda one: ".stories." in one.path,
    }
    found = next((check for start, check in patterns.items() if fact.words["rule"].startswith(start)), None)
    if found is not None and sum(map(found, files)) < kept:
        return f"only {sum(map(found, files))} do"
    return (
        "" if kept <= cases <= len(files) * 50 and fact.values == (f"{kept} of {cases}",) else "the counts do not fit"
    )


def _shared(fact: Fact, source: Document, shown: str, documents: Texts) -> str:
    declared = re.findall(
        rf"\b{re.escape(fact.subject)}\b\??\s*(?::[^=,()]*(?:\[[^\]]*\])?[^=,()]*)?=\s*([^,)\n]+)", shown
    )
    others = {one.strip() for one in declared} - {fact.words["written"], fact.subject}
    return "" if declared.count(fact.words["written"]) >= 4 else f"is declared as {declared[:4]} {others}"


_CHECKS: Mapping[str, Callable[[Fact, Document, str, Texts], str]] = {
    "answered-question": _says,
    "call-walkthrough": _joined,
    "change": _change,
    "changelog": _versioned,
    "changelog-version": _versioned,
    "commits": _commits,
    "convention": _convention,
    "decision": _says,
    "decision-consequence": _says,
    "decision-context": _says,
    "definition": _says,
    "depends-on": _taken,
    "difference": _difference,
    "file-history": _history,
    "folder": _folder,
    "import": _taken,
    "introduction": _introduction,
    "layout": _layout,
    "list": _below_heading,
    "merge-date": lambda fact, source, shown, documents: (
        ""
        if str(source.meta.get("merged_at")).startswith(fact.values[0])
        else f"was merged at {source.meta.get('merged_at')}"
    ),
    "page-walkthrough": _joined,
    "profile": _profile,
    "pull": _title,
    "pull-number": _title,
    "reason": _reason,
    "release-date": _dated,
    "service": lambda fact, source, shown, documents: next(
        (f"{one} is not there" for said in fact.values for one in re.findall(r"`([^`]+)`", said) if one not in shown),
        "",
    ),
    "rename": _rename,
    "review": _review,
    "route-walkthrough": _joined,
    "section": _below_heading,
    "section-place": _place,
    "shared-default": _shared,
    "snippet": _below_heading,
    "symbols-added": _symbols,
    "symbols-removed": _symbols,
    "table-cell": _cell,
    "term": _says,
}
