"""Which file is which language, and what its syntax tree calls a definition, an import and a call
(tree-sitter-language-pack 0.13.0, offline).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

LANGUAGES: Final = {
    "bash": (".bash", ".sh"),
    "c": (".c", ".h"),
    "cpp": (".cc", ".cpp", ".cxx", ".hh", ".hpp"),
    "csharp": (".cs",),
    "go": (".go",),
    "java": (".java",),
    "javascript": (".cjs", ".js", ".jsx", ".mjs"),
    "kotlin": (".kt", ".kts"),
    "php": (".php",),
    "python": (".py", ".pyi"),
    "ruby": (".rb", ".rake"),
    "rust": (".rs",),
    "scala": (".sc", ".scala"),
    "swift": (".swift",),
    "tsx": (".tsx",),
    "typescript": (".cts", ".mts", ".ts"),
}
MARKDOWN: Final = (".markdown", ".md", ".mdown", ".mdx", ".mkd", ".mkdn")

_BY_SUFFIX: Final = {suffix: language for language, suffixes in LANGUAGES.items() for suffix in suffixes}

FUNCTION, METHOD, CLASS, INTERFACE, TYPE, ENUM, CONSTANT, MODULE = (
    "function",
    "method",
    "class",
    "interface",
    "type",
    "enum",
    "constant",
    "module",
)

DEFINITIONS: Final = {
    "abstract_class_declaration": CLASS,
    "annotation_type_declaration": INTERFACE,
    "class": CLASS,
    "class_declaration": CLASS,
    "class_definition": CLASS,
    "class_specifier": CLASS,
    "const_item": CONSTANT,
    "constructor_declaration": METHOD,
    "enum_declaration": ENUM,
    "enum_definition": ENUM,
    "enum_item": ENUM,
    "enum_specifier": ENUM,
    "function_declaration": FUNCTION,
    "function_definition": FUNCTION,
    "function_item": FUNCTION,
    "function_signature": FUNCTION,
    "generator_function_declaration": FUNCTION,
    "impl_item": MODULE,
    "interface_declaration": INTERFACE,
    "internal_module": MODULE,
    "method": METHOD,
    "method_declaration": METHOD,
    "method_definition": METHOD,
    "mod_item": MODULE,
    "module": MODULE,
    "namespace_declaration": MODULE,
    "namespace_definition": MODULE,
    "object_declaration": CLASS,
    "object_definition": CLASS,
    "protocol_declaration": INTERFACE,
    "record_declaration": CLASS,
    "singleton_method": METHOD,
    "static_item": CONSTANT,
    "struct_declaration": CLASS,
    "struct_item": CLASS,
    "struct_specifier": CLASS,
    "trait_declaration": INTERFACE,
    "trait_definition": INTERFACE,
    "trait_item": INTERFACE,
    "type_alias_declaration": TYPE,
    "type_definition": TYPE,
    "type_item": TYPE,
    "type_spec": TYPE,
}
"""Syntax node → kind of definition, over all languages above."""

CONTAINERS: Final = frozenset({CLASS, INTERFACE, MODULE})
"""Kinds whose members are definitions of their own."""

WRAPPERS: Final = frozenset(
    {
        "ambient_declaration",
        "decorated_definition",
        "export_statement",
        "expression_statement",
        "template_declaration",
        "type_declaration",
    }
)
"""Nodes around a definition that belong to its text."""

BINDINGS: Final = frozenset(
    {
        "assignment",
        "const_declaration",
        "const_spec",
        "field_definition",
        "lexical_declaration",
        "property_declaration",
        "public_field_definition",
        "val_definition",
        "var_declaration",
        "variable_declaration",
    }
)
"""Nodes that bind a name to a value: a function if the value is one, else a constant."""

FUNCTION_VALUES: Final = frozenset({"arrow_function", "function_expression", "generator_function", "lambda"})

IMPORTS: Final = frozenset(
    {
        "import_declaration",
        "import_from_statement",
        "import_header",
        "import_spec",
        "import_statement",
        "namespace_use_declaration",
        "preproc_include",
        "use_declaration",
        "using_directive",
    }
)

COMMENTS: Final = frozenset({"block_comment", "comment", "line_comment", "multiline_comment"})


@lru_cache(maxsize=65536)
def language_of(path: str) -> str | None:
    """The language of a file by its name, or None if no grammar is used for it; remembered, since all ask it."""
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())


def is_markdown(path: str) -> bool:
    """Whether a file is Markdown by its name."""
    return PurePosixPath(path).suffix.lower() in MARKDOWN
