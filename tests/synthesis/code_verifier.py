"""Checks facts of code from the other side: plain searches in raw text for every language, and for Python its own
parser (`python_verifier.py`). No syntax tree of tree-sitter, no graph, no code of the room.
"""

from __future__ import annotations

import io
import re
import tokenize
from functools import lru_cache

from tasks.text.facts import Fact
from tests.synthesis.python_verifier import Texts, by_ast, hands_on

CODE = (".py", ".ts", ".tsx", ".js", ".jsx", ".go", ".java", ".kt", ".rs", ".cs", ".php", ".rb", ".sh")
TEST = re.compile(
    r"(^|/)(tests?|__tests__|__mocks__|spec|cypress|e2e|fixtures|testdata|stories|mocks)/|[._-](test|tests|spec|stories|cy)\."
    r"|(^|/)(test_[^/]*|conftest)\.py$|_test\.go$|Tests?\.(java|kt|cs|php)$|_spec\.rb$"
)


def wrong(fact: Fact, texts: Texts) -> str:
    """Why a fact is not right by the raw text; empty if it is, or if its kind is checked elsewhere."""
    path = fact.document_id.split("/file/", 1)[1]
    lines = texts[path].split("\n")
    first, last = fact.span
    if not 1 <= first <= last <= len(lines):
        return f"lines {first} to {last} of {len(lines)}"
    shown = "\n".join(lines[first - 1 : last])
    check = _CHECKS.get(fact.kind)
    found = check(fact, path, shown, texts) if check else ""
    return found or (by_ast(fact, path, texts) if path.endswith(".py") else "")


def checked(kind: str) -> bool:
    """Whether this module has a check of its own for a kind."""
    return kind in _CHECKS


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", re.sub(r",(\s*[)\]])", r"\1", text))


@lru_cache(maxsize=4096)
def bare(text: str, path: str) -> str:
    """Code without comments and strings; templates keep what is filled in."""
    if path.endswith(".py"):
        return _bare_python(text)
    if path.endswith(".rb"):
        text = re.sub(r'"""(?:[^"\\]|\\.|"(?!""))*"""' + r"|'''(?:[^'\\]|\\.|'(?!''))*'''", '""', text)
        text = re.sub(r"#[^\n{]*", "", text)
    else:
        text = re.sub(r"/\*(?:[^*]|\*(?!/))*\*/", "", text)
        text = re.sub(r"(?<![:\\'\"`])//[^\n]*", "", text)
    return re.sub(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", '""', text)


def _bare_python(text: str) -> str:
    """By Python's tokenizer; of strings only what f-strings fill in."""
    found: list[str] = []
    row = 1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        found.append("\n" * (token.start[0] - row))
        row = token.end[0]
        if token.type == tokenize.STRING and token.string[:2].lower().strip("'\"").startswith(("f", "rf")):
            found += [f" {{{inner}}} " for inner in re.findall(r"\{([^{}]*)\}", token.string)]
        elif token.type == tokenize.STRING:
            found.append('""')
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            glued = token.string in (".", "(", ")", ",", ":", "]", "[") or (found and found[-1] == ".")
            found.append(token.string if glued else f" {token.string}")
    return "".join(found)


def _stands(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    """Every value stands in the lines, and so does what it belongs to."""
    squeezed = _squeezed(shown.replace('\\"', '"') if path.endswith(".json") else shown)
    for word in (
        *fact.values,
        *(fact.words[name] for name in ("field", "member", "key", "parameter", "error") if name in fact.words),
    ):
        if _squeezed(word) not in squeezed:
            return f"{word!r} is not in lines {fact.span} of {path}"
    return ""


def _last(name: str) -> str:
    return re.split(r"[.:#]", name)[-1]


def _places(fact: Fact) -> list[tuple[str, str]]:
    """(name, path) of what a list with places names."""
    found = []
    for line in fact.words.get("placed", "").split("\n"):
        names = re.findall(r"`([^`]+)`", line)
        found.append((names[0], names[-1]))
    return found


def _user(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    """Each user names the subject below its own name; and every file that imports the subject and says it is named."""
    name = _last(fact.subject)
    places = _places(fact)
    for user, where in places:
        text = bare(texts[where], where)
        said = re.search(rf"\b{re.escape(name)}\b", text) or _renamed(name, texts[where])
        if not said and not hands_on(where, name, texts):
            return f"{where} does not say {name}"
        if user != where and not re.search(rf"\b{re.escape(_last(user))}\b", text):
            return f"{where} does not define {user}"
    if fact.kind.endswith("-some") or fact.scope:
        return ""
    return _unnamed(fact, name, path, {where for _, where in places}, texts)


def _unnamed(fact: Fact, name: str, path: str, named: set[str], texts: Texts) -> str:
    handing = re.compile(
        rf"^from \.\S* import (?:\([^()]*\b{re.escape(name)}\b[^()]*\)|[^\n(]*\b{re.escape(name)}\b)", re.MULTILINE
    )
    for other, text in texts.items():
        handed = other.endswith("__init__.py") and (handing.search(text) or hands_on(other, name, texts))
        if handed and not TEST.search(other) and fact.kind == "affected-files" and other not in (*named, path):
            return f"{other} hands {name} on"
        if other in named or other == path or TEST.search(other) or not other.endswith(CODE) or name not in text:
            continue
        if not re.search(rf"\bimport\b[^;=]{{0,2000}}?\b{re.escape(name)}\b[^;]{{0,2000}}?(\bfrom\b|$)", text):
            continue
        said = re.findall(rf"(?<![\w.]){re.escape(name)}\b(?!\s*:)", bare(_without_imports(text), other))
        called = re.search(
            rf"(?<![\w.]){re.escape(name)}\s*(?:<[^<>()]*>)?\(|<{re.escape(name)}\b",
            bare(_without_imports(text), other),
        )
        if (
            said
            and (called or fact.kind not in ("caller", "rendered-by"))
            and not re.search(
                rf"\b(const|let|var|def|class)\s+{re.escape(name)}\b|[({{,]\s*{re.escape(name)}\s*[,}})=:]",
                _without_imports(text),
            )
        ):
            return f"{other} uses {name}, too"
    return ""


def _without_imports(text: str) -> str:
    text = re.sub(r"^import\b[^;]{0,4000}?;\s*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\s*from\s+\S+\s+import\s+(\([^()]*\)|[^\n]*)$", "", text, flags=re.MULTILINE)
    return re.sub(r"^export\s*(type\s*)?\{[^{}]*\}[^;\n]*;?\s*$", "", text, flags=re.MULTILINE)


def _renamed(name: str, text: str) -> bool:
    return bool(re.search(rf"\b{re.escape(name)}\s+as\s+\w+|default as|import \w+", text))


def _calls(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    """Each called name stands in the definition, and in the file that is said to define it."""
    body = shown if path.endswith(".py") else bare(shown, path)
    for name, where in _places(fact):
        plain = re.escape(_last(name))
        if not re.search(rf"\b{plain}\b", body) and not re.search(rf"\b{plain}\s+as\s+\w+", texts[path]):
            return f"{fact.subject} does not say {name}"
        if not re.search(rf"\b{plain}\b", bare(texts[where], where)):
            return f"{where} does not define {name}"
    return ""


def _renders(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    tags = set(re.findall(r"<([A-Z]\w*)(?![\w.])", bare(shown, path)))
    missing = [name for name in fact.values if name not in tags and not _renamed(name, texts[path])]
    if missing:
        return f"{fact.subject} has no <{missing[0]}>"
    for tag in tags - set(fact.values) - {_last(fact.subject)}:
        relative = re.search(rf"import[^;]*\b{tag}\b[^;]*from\s*['\"](\.{{1,2}}/|@/)[^'\"]*['\"]", texts[path])
        local = re.search(rf"^(export )?(const|function|class) {tag}\b", texts[path], re.MULTILINE)
        if (
            (relative or local)
            and f" as {tag}" not in texts[path]
            and not re.search(rf"import type[^;]*\b{tag}\b", texts[path])
        ):
            return f"{fact.subject} renders {tag}, too"
    return ""


def _files(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    name = _last(fact.subject)
    for value in fact.values:
        said = re.search(rf"\b{re.escape(name)}\b", bare(texts[value], value)) or _renamed(name, texts[value])
        if not said and not hands_on(value, name, texts):
            return f"{value} does not say {name}"
    return "" if fact.scope else _unnamed(fact, name, path, set(fact.values), texts)


def _route(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    method, _, address = fact.subject.rpartition(" ")
    own = address if address in shown else "/" + "/".join(address.strip("/").split("/")[1:])
    parts = [part for part in address.strip("/").split("/") if part]
    if parts and parts[-1] not in shown and own not in shown and parts[-1].lower() not in shown.lower():
        return f"{parts[-1]} is not in lines {fact.span} of {path}"
    if method and method.lower() not in shown.lower():
        return f"{method} is not in lines {fact.span} of {path}"
    if fact.kind == "route-file":
        return "" if fact.values == (path,) else f"{fact.values} is not {path}"
    words = [word for value in fact.values for word in re.split(r"::|#", value)]
    missing = [word for word in words if word not in shown]
    return f"{missing[0]} is not in lines {fact.span} of {path}" if missing else ""


def _endpoint(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    """Each caller's file has the address's literal head and the method."""
    method, address = fact.subject.split(" ", 1)
    parts = re.split(r"/:\w+\??|/\{\w+\}", address)
    for _, where in _places(fact):
        text = texts[where]
        if parts[0].rstrip("/") not in text:
            return f"{where} does not say {parts[0]}"
        if method != "GET" and method.lower() not in text.lower():
            return f"{where} does not say {method}"
    return ""


def _endpoint_use(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    heads = [re.split(r"/:\w+\??|/\{\w+\}", value.split(" ", 1)[1])[0].rstrip("/") for value in fact.values]
    missing = [head for head in heads if head not in texts[path]]
    return f"{missing[0]} is not in {path}" if missing else ""


def _importers(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    name = fact.subject
    spelled = {name, name.replace("-", "_").lower(), name.replace("_", "-")}
    pattern = re.compile(
        "|".join(
            rf"(?:from|import|require|use)\b[^\n;]*?['\"\s(]{re.escape(one)}(?=['\"/.:;\s,]|$)"
            rf"|from ['\"]{re.escape(one)}(?=['\"/])|^\s*(?:\w+ )?\"{re.escape(one)}\""
            for one in spelled
        ),
        re.MULTILINE,
    )
    found = {
        other
        for other, text in texts.items()
        if other.endswith(CODE) and pattern.search(text) and not TEST.search(other)
    }
    if name.startswith("@types/"):
        return ""
    strict = re.compile(
        "|".join(
            rf"^\s*(?:import|from) {re.escape(one)}(?=[\s.,]|$)|^(?:import|\}} from)\b[^\n]*['\"]{re.escape(one)}['\"/]"
            for one in spelled
        ),
        re.MULTILINE,
    )
    beside = sorted(
        one
        for one in found - set(fact.values)
        if strict.search(bare(texts[one], one) if one.endswith(".py") else texts[one])  # a string is no import
    )
    if beside:
        return f"{beside[0]} imports {name}, too"
    lacking = set(fact.values) - found
    return f"{sorted(lacking)[0]} does not import {name}" if lacking else ""


def _test(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    missing = [value for value in fact.values if _squeezed(value) not in _squeezed(shown)]
    return f"{missing[0]!r} is not in lines {fact.span} of {path}" if missing else ""


def _purpose(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    plain = re.sub(r"^\s*(/\*\*?|\*/|\*|///?|//!|#+!?)\s?|\*/\s*$", "", shown, flags=re.MULTILINE)
    if _squeezed(fact.values[0]) not in _squeezed(plain):
        return f"{fact.values[0][:60]!r} is not in lines {fact.span} of {path}"
    return "is no sentence" if re.search(r"[-=*#_]{4,}|\bTODO\b|^@|eslint", fact.values[0]) else ""


def _environment(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    found = {
        other
        for other, text in texts.items()
        if other.endswith(CODE)
        and not TEST.search(other)
        and re.search(rf"(env|ENV|Env)\w*\W.{{0,40}}\b{fact.subject}\b", text)
    }
    return "" if set(fact.values) <= found else f"{set(fact.values) - found} do not read {fact.subject}"


def _base(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    """The bases stand beside the class's name before its body, or in an `impl … for`."""
    name = _last(fact.subject)
    head = re.search(rf"\b{re.escape(name)}\b[^\n{{]*(\n[^\n{{]*){{0,8}}", shown)
    missing = [value for value in fact.values if _last(value) not in (head[0] if head else shown)]
    return f"{missing[0]} is not at the head of {name}" if missing else ""


def _below(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    name = _last(fact.subject)
    for below, where in _places(fact):
        if not re.search(
            rf"\b{re.escape(_last(below))}\b[^;]{{0,400}}?\b{re.escape(name)}\b"
            rf"|\b{re.escape(name)}\b for {re.escape(_last(below))}\b",
            texts[where],
        ):
            return f"{below} in {where} does not extend {name}"
    return ""


def _error(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    missing = [value for value in fact.values if _squeezed(value).strip("()") not in _squeezed(shown)]
    if missing:
        return f"{missing[0]!r} is not in lines {fact.span} of {path}"
    error = _last(fact.words.get("error", ""))
    return "" if error in shown else f"{error} is not in lines {fact.span} of {path}"


def _origin(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    if _squeezed(fact.subject) not in _squeezed(shown.replace("\\", "")) and _squeezed(fact.subject) not in _squeezed(
        shown
    ):
        return f"{fact.subject!r} is not in lines {fact.span} of {path}"
    others = [
        other
        for other, text in texts.items()
        if other != path and f"{fact.subject}" in text and not TEST.search(other) and other.endswith(CODE)
    ]
    raised = [
        other
        for other in others
        if re.search(rf"(raise|throw|Errorf?|New)\b[^\n]{{0,80}}{re.escape(fact.subject)}", texts[other])
    ]
    return f"{raised[0]} raises it, too" if raised else ""


def _location(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    name = re.escape(fact.subject)
    bound = rf"|^{name}\s*(?::[^=\n]*)?=[^=]" if path.endswith((".py", ".rb")) else ""  # elsewhere `NAME=…` is text
    defined = re.compile(
        rf"^\s*(?:export )?(?:default )?(?:declare )?(?:pub )?(?:abstract )?(?:async )?(?:public |static |final )*"
        r"(?:def|class|function\*?|interface|type|enum|const|let|var|func|fn|struct|trait|object|data class)"
        rf"\s+{name}\b{bound}",
        re.MULTILINE,
    )
    others = [
        other
        for other, text in texts.items()
        if other != path
        and other.endswith(CODE)
        and fact.subject in text
        and (found := defined.search(bare(text, other)))
        and not found[0].startswith((" ", "\t"))
        and not re.search(rf"\b{name}\s*=\s*(?:React\.)?lazy\(", text)
    ]
    return f"{others[0]} defines {fact.subject}, too" if others else ""


def _config(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    last = fact.words["last"]
    return (
        ""
        if last.split(".")[-1] in shown and fact.values[0] in shown
        else f"{last} = {fact.values[0]} is not in line {fact.span[0]}"
    )


def _page(fact: Fact, path: str, shown: str, texts: Texts) -> str:
    address = fact.words["address"].rstrip("/")
    last = re.sub(r"\{\w+\}", "", address.rsplit("/", 1)[-1])
    index = "index" in shown
    if last and last not in shown and not index:
        return f"{last} is not in lines {fact.span} of {path}"
    return (
        "" if fact.words["component"] in shown else f"{fact.words['component']} is not in lines {fact.span} of {path}"
    )


_CHECKS = {
    "affected-files": _files,
    "ancestors": lambda fact, path, shown, texts: "" if _last(fact.values[0]) in shown else "has another base",
    "base-image": _stands,
    "behaviour": _test,
    "caller": _user,
    "caller-some": _user,
    "calls": _calls,
    "ci-action": _test,
    "ci-step": _test,
    "ci-steps": _test,
    "config-value": _config,
    "default": _stands,
    "dependency": _stands,
    "endpoint-use": _endpoint_use,
    "error-translation": _stands,
    "dependency-users": _importers,
    "endpoint-caller": _endpoint,
    "enum": _stands,
    "enum-value": _stands,
    "environment": _environment,
    "environment-default": _stands,
    "error": _error,
    "error-message": _error,
    "error-origin": _origin,
    "field": _stands,
    "handler-route": lambda fact, path, shown, texts: "" if _last(fact.subject) in shown else "is no handler there",
    "hierarchy": _base,
    "list-value": _stands,
    "location": _location,
    "parameters": _stands,
    "props": _stands,
    "route-methods": lambda fact, path, shown, texts: next(
        (f"{one} is not there" for one in fact.values if one.lower() not in shown.lower()), ""
    ),
    "script": _stands,
    "signature": _stands,
    "ci": lambda fact, path, shown, texts: next(
        (f"{one} is not there" for one in fact.values if one.split()[0] not in shown), ""
    ),
    "message": _test,
    "optional-fields": _stands,
    "page-address": _page,
    "port": _test,
    "purpose": _purpose,
    "raises": _stands,
    "rendered-by": _user,
    "rendered-by-some": _user,
    "renders": _renders,
    "reverse-use": _user,
    "reverse-use-some": _user,
    "route": _route,
    "route-file": _route,
    "route-guard": _route,
    "route-upstream": _route,
    "subclasses": _below,
    "table-entry": _stands,
    "table-keys": _stands,
    "test-checks": _test,
    "tested-by": lambda fact, path, shown, texts: next(
        (
            f"{value} does not say it"
            for value in fact.values
            if not re.search(rf"\b{re.escape(_last(fact.subject))}\b", texts[value])
        ),
        "",
    ),
    "type": _stands,
    "ui-route": _page,
    "union": _stands,
    "value": _stands,
}
