"""Which names a file binds to something of another module, and which of its names others can import.

A module is written as the language has it: a path (JavaScript, TypeScript), dots (Python), a package (Java, Kotlin,
Scala, C#, PHP), an import path (Go), `crate::a::b` (Rust). Deterministic; other languages have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.text.languages import language_of
from tasks.text.syntax_tree import nodes_of, text_of

EVERYTHING: Final = "*"
"""As `local` of a binding: every name of the module. As `imported`: the module itself."""

BINDS: Final = re.compile(
    r"\b(?:const|let|var|function\*?|class|def|func|fn|interface|type|enum|struct|trait) {1,4}"
    r"([A-Za-z_$][\w$]{2,80})(?![\w$])"
)
"""A name that is bound, at whatever depth."""

_PUBLIC: Final = re.compile(r"^__all__\s*(?::[^=\n]{0,80})?\+?=\s*[\[(]([^\])]*)[\])]", re.MULTILINE)

_SCRIPT: Final = ("import_statement", "export_statement", "variable_declarator")
_DYNAMIC: Final = re.compile(
    r"\bimport\(\s*(?:/\*[^*]{0,400}\*/\s*)?['\"]([^'\"\n]{1,300})['\"]|\brequire\(\s*['\"]([^'\"\n]{1,300})['\"]"
)
_PATH: Final = re.compile(r"(?:static\s+|global\s+|unsafe\s+)*([\w.\\*]+)(?:\s+as\s+(\w+))?")


@dataclass(frozen=True)
class Binding:
    """One name that stands for something of another module."""

    local: str
    """The name in the file; `*` for every name of the module."""
    imported: str
    """The name in the module; `*` for the module itself, `default` for a default export."""
    module: str
    """As written; empty for the file itself."""
    line: int
    exported: bool = False
    """Whether others can import `local` from the file by this binding alone (`export … from`)."""


def bindings(path: str, root: Any) -> list[Binding]:
    """Bindings of a file in order of position.

    Args:
        path: decides the language.
        root: root of its syntax tree.
    """
    language = language_of(path) or ""
    found = _BY_LANGUAGE.get(language)
    return list(found(path, root)) if found else []


def public_names(path: str, text: str) -> tuple[str, ...] | None:
    """What a Python file lists in `__all__`, in order; None where it has no such list."""
    found = _PUBLIC.findall(text) if language_of(path) == "python" else []
    return tuple(name for listed in found for name in re.findall(r"[\"']([^\W\d]\w*)[\"']", listed)) if found else None


def package(path: str, root: Any) -> str:
    """The package or namespace that a file says it is in; empty if it says none."""
    for node in nodes_of(path, root, _PACKAGES):
        named = node.child_by_field_name("name") or next(
            (child for child in node.named_children if child.type.endswith("identifier")), None
        )
        return text_of(named).strip() if named is not None else ""
    return ""


_PACKAGES: Final = (
    "file_scoped_namespace_declaration",
    "namespace_declaration",
    "namespace_definition",
    "package_clause",
    "package_declaration",
    "package_header",
)


def _script(path: str, root: Any) -> Iterator[Binding]:
    for node in nodes_of(path, root, _SCRIPT):
        line = node.start_point.row + 1
        if node.type == "variable_declarator":
            yield from _dynamic(node, line)
            continue
        source = node.child_by_field_name("source")
        module = text_of(source).strip("'\"`") if source is not None else ""
        if node.type == "import_statement":
            for clause in node.named_children:
                if clause.type == "import_clause":
                    yield from _clause(clause, module, line)
        else:
            yield from _exported(node, module, line)


def _clause(clause: Any, module: str, line: int) -> Iterator[Binding]:
    for child in clause.named_children:
        if child.type == "identifier":
            yield Binding(text_of(child), "default", module, line)
        elif child.type == "namespace_import":
            yield Binding(text_of(child.named_children[-1]), EVERYTHING, module, line)
        elif child.type == "named_imports":
            for one in child.named_children:
                if one.type == "import_specifier":
                    name = text_of(one.child_by_field_name("name"))
                    alias = one.child_by_field_name("alias")
                    yield Binding(text_of(alias) if alias is not None else name, name, module, line)


def _exported(node: Any, module: str, line: int) -> Iterator[Binding]:
    children = [child.type for child in node.children]
    for child in node.named_children:
        if child.type == "export_clause":
            for one in child.named_children:
                if one.type == "export_specifier":
                    name = text_of(one.child_by_field_name("name"))
                    alias = one.child_by_field_name("alias")
                    yield Binding(text_of(alias) if alias is not None else name, name, module, line, True)
        elif child.type == "namespace_export":
            yield Binding(text_of(child.named_children[-1]), EVERYTHING, module, line, True)
    if module and EVERYTHING in children:
        yield Binding(EVERYTHING, EVERYTHING, module, line, True)
    if "default" in children:
        value = node.child_by_field_name("value") or node.child_by_field_name("declaration")
        named = value.child_by_field_name("name") if value is not None else None
        if value is not None and value.type == "identifier":
            named = value
        if named is not None:
            yield Binding("default", text_of(named), "", line, True)


def _dynamic(node: Any, line: int) -> Iterator[Binding]:
    """`const { a, b: c } = require("…")`, `const X = lazy(() => import("…"))`."""
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if name is None or value is None or value.type in ("arrow_function", "function_expression"):
        return
    if value.end_byte - value.start_byte > 2_000 or not (found := _DYNAMIC.search(text_of(value))):
        return
    module = found[1] or found[2]
    if name.type == "identifier":
        yield Binding(text_of(name), text_of(name) if found[1] else EVERYTHING, module, line)
    elif name.type == "object_pattern" and found[2]:
        for child in name.named_children:
            if child.type == "shorthand_property_identifier_pattern":
                yield Binding(text_of(child), text_of(child), module, line)
            elif child.type == "pair_pattern":
                key, bound = child.child_by_field_name("key"), child.child_by_field_name("value")
                if bound is not None and bound.type == "identifier":
                    yield Binding(text_of(bound), text_of(key), module, line)


def _python(path: str, root: Any) -> Iterator[Binding]:
    for node in nodes_of(path, root, ("import_statement", "import_from_statement")):
        line = node.start_point.row + 1
        module = node.child_by_field_name("module_name")
        if module is None:
            for child in node.named_children:
                name, alias = child.child_by_field_name("name"), child.child_by_field_name("alias")
                written = text_of(name or child)
                yield (
                    Binding(text_of(alias), EVERYTHING, written, line)
                    if alias is not None
                    else Binding(written.split(".")[0], EVERYTHING, written.split(".")[0], line)
                )
            continue
        for child in node.named_children:
            if child == module:
                continue
            name, alias = child.child_by_field_name("name"), child.child_by_field_name("alias")
            if child.type == "wildcard_import":
                yield Binding(EVERYTHING, EVERYTHING, text_of(module), line, True)
            elif child.type in ("dotted_name", "aliased_import"):
                imported = text_of(name or child)
                yield Binding(text_of(alias) if alias is not None else imported, imported, text_of(module), line, True)


def _go(path: str, root: Any) -> Iterator[Binding]:
    for node in nodes_of(path, root, ("import_spec",)):
        written = text_of(node.child_by_field_name("path")).strip('"`')
        name = node.child_by_field_name("name")
        parts = [part for part in written.split("/") if not re.fullmatch(r"v\d+", part)] or [written]
        local = text_of(name) if name is not None else parts[-1]
        if local not in ("_", "."):
            yield Binding(local, EVERYTHING, written, node.start_point.row + 1)


def _dotted(path: str, root: Any) -> Iterator[Binding]:
    """Java, Kotlin, Scala, C#, PHP: `import a.b.C`, `import a.b.*`, `using A.B`, `use A.B as C` with backslashes."""
    types = ("import_declaration", "import_header", "using_directive", "namespace_use_declaration")
    for node in nodes_of(path, root, types):
        line = node.start_point.row + 1
        text = " ".join(text_of(node)[:600].split()).removesuffix(";").strip()
        rest = re.sub(r"^(global )?(import|using|use) ", "", text)
        if node.type == "using_directive":
            alias, equals, target = rest.partition("=")
            if equals:
                yield _qualified(target.strip(), alias.strip(), line)
            elif not rest.startswith("static "):
                yield Binding(EVERYTHING, EVERYTHING, rest, line)
            continue
        head, brace, listed = rest.partition("{")
        for part in listed.rstrip("} ").split(",") if brace else [rest]:
            joined = (head + part.strip()) if brace else part.strip()
            if found := _PATH.fullmatch(joined.replace("_", "*") if joined.endswith("._") else joined):
                yield _qualified(found[1], found[2] or "", line)


def _qualified(written: str, alias: str, line: int) -> Binding:
    """`a.b.C` is the name C of the module a.b."""
    separator = "\\" if "\\" in written else "."
    module, _, name = written.strip(separator).rpartition(separator)
    return Binding(alias or name, name, module, line)


def _rust(path: str, root: Any) -> Iterator[Binding]:
    for node in nodes_of(path, root, ("use_declaration",)):
        argument = node.child_by_field_name("argument")
        exported = any(child.type == "visibility_modifier" for child in node.named_children)
        if argument is not None:
            yield from _used(argument, "", node.start_point.row + 1, exported)


def _used(node: Any, prefix: str, line: int, exported: bool) -> Iterator[Binding]:
    def under(written: str) -> str:
        return f"{prefix}::{written}" if prefix else written

    if node.type in ("scoped_use_list", "use_list"):
        head = node.child_by_field_name("path") if node.type == "scoped_use_list" else None
        inner = node.child_by_field_name("list") if node.type == "scoped_use_list" else node
        for child in inner.named_children if inner is not None else ():
            yield from _used(child, under(text_of(head)) if head is not None else prefix, line, exported)
        return
    alias = node.child_by_field_name("alias")
    written = under(text_of(node.child_by_field_name("path") if alias is not None else node))
    if written.endswith("::*"):
        yield Binding(EVERYTHING, EVERYTHING, written.removesuffix("::*"), line, exported)
        return
    module, _, name = written.rpartition("::")
    if name == "self":
        module, _, name = module.rpartition("::")
    if re.fullmatch(r"\w+", name):
        yield Binding(text_of(alias) if alias is not None else name, name, module, line, exported)


_BY_LANGUAGE: Final[dict[str, Callable[[str, Any], Iterator[Binding]]]] = {
    "csharp": _dotted,
    "go": _go,
    "java": _dotted,
    "javascript": _script,
    "kotlin": _dotted,
    "php": _dotted,
    "python": _python,
    "rust": _rust,
    "scala": _dotted,
    "tsx": _script,
    "typescript": _script,
}
