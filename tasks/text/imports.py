"""What a source file imports, by its syntax tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tasks.text.languages import IMPORTS
from tasks.text.syntax_tree import nodes_of, text_of, tree, walk

_IMPORTING: Final = (*sorted(IMPORTS), "call_expression", "export_statement")
"""Nodes that may import something."""


@dataclass(frozen=True)
class Import:
    """One imported module."""

    module: str
    """As written: `./productSwitch`, `a.b.C`, `<stdio.h>`."""
    names: tuple[str, ...]
    """Names taken from it, as far as the language has them in the statement."""
    line: int


def imports(path: str, text: str) -> list[Import]:
    """Imports of a file in order of their line; `require` and `export … from` included."""
    root = tree(path, text)
    return [found for node in nodes_of(path, root, _IMPORTING) for found in _imports(node)] if root is not None else []


def _imports(node: Any) -> Iterator[Import]:
    line = node.start_point.row + 1
    if node.type == "call_expression" and text_of(node)[:7] in ("require", "import("):
        quoted = re.match(r"(?:require|import)\s*\(\s*['\"]([^'\"]+)['\"]", text_of(node))
        if quoted:
            yield Import(quoted.group(1), (), line)
        return
    source = node.child_by_field_name("source") or node.child_by_field_name("module_name")
    if node.type not in IMPORTS and not (node.type == "export_statement" and source):
        return
    if source is not None:
        names = tuple(_imported_names(node, source))
        yield Import(text_of(source).strip("'\""), names, line)
    elif node.type == "import_statement":  # Python: import a, b as c
        for child in node.named_children:
            inner = child.child_by_field_name("name")
            yield Import(text_of(inner or child).strip("'\""), (), line)
    else:
        located = node.child_by_field_name("path") if node.type in ("import_spec", "preproc_include") else None
        text = text_of(located or node).splitlines()[0]
        if not (node.type == "import_declaration" and "(" in text):  # Go's block: its specs follow
            yield Import(re.sub(r"^(import|use|using|#include)\s+", "", text).rstrip("; \t\r").strip("'\""), (), line)


def _imported_names(node: Any, source: Any) -> Iterator[str]:
    for child in walk(node):
        if child.type in ("import_specifier", "export_specifier", "aliased_import"):
            yield text_of(child.child_by_field_name("name"))
        elif (child.parent == node and child.type == "dotted_name" and child != source) or (
            child.type == "identifier" and child.parent is not None and child.parent.type == "import_clause"
        ):
            yield text_of(child)
