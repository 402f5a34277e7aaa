"""Every function of the code that is handed a document or its text, found by its signature."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from tasks.base.params import Params
from tasks.base.records import Document
from tests.corpus.documents import file, page, pull

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("harvest", "corpus", "text", "synthesis", "evaluation", "mixture", "llm")
TEXTS: Final = frozenset(
    (
        *("answer", "body", "caption", "code", "content", "data", "joined", "line", "lines", "markdown", "markup"),
        *("message", "page", "patch", "quote", "quoted", "repeated", "said", "source", "stderr", "subject"),
        *("target", "text", "title", "value", "wording", "written"),
    )
)
"""What parameters are called that take a text somebody else wrote."""
HEAVY: Final = ("inspect_ai", "peft", "torch", "transformers", "triton", "unsloth")
"""What such a module imports is not loaded for a look at its patterns, or is not installed for the tests."""
CHILDREN: Final = ("tasks.harvest.documents.convert._pdf", "tasks.harvest.wiki.markup.by_pandoc")
"""What another process reads, within limits of its own that other tests try."""
PATHS: Final = ("a.py", "A.tsx", "a.go", "A.java", "a.md", "a.yaml", "package.json", ".env")


def kinds(text: str, paths: Iterable[str] = PATHS) -> list[Document]:
    """A text as a document of every kind, a file for every path."""
    said = {"author": "mona", "created_at": "2023-12-01T10:00:00Z", "body": text}
    patch = "@@ -1,1 +1,9 @@\n" + "\n".join(f"+{line}" for line in text.split("\n"))
    entries = {
        "comments": [said],
        "reviews": [said | {"state": "COMMENTED"}],
        "review_comments": [said | {"path": "a.py", "line": 1, "in_reply_to": None}],
        "commits": [{"sha": "0" * 40, "message": text}],
    }
    return [
        *(file(path, text) for path in paths),
        page("Home.md", text),
        pull(1, title="Change the cart", text=text),
        pull(2, patches=[("a.py", patch), ("a.md", patch)]),
        pull(3, **entries),
        pull(4, title=text[:4000], text="It is a change of the cart that we wanted."),
    ]


@dataclass(frozen=True)
class Reader:
    """A function and how a text becomes its arguments."""

    name: str
    function: Callable[..., Any]
    types: Mapping[str, Any]
    """Of the parameters that must be given, in order."""

    @property
    def takes_documents(self) -> bool:
        """Whether it is handed whole documents."""
        return any(_is_document(kind) for kind in self.types.values())

    def read(self, text: str, document: Document | None = None) -> None:
        """Calls the function and takes all that it yields. A text that it refuses is fine."""
        document = document or page("Home.md", text)
        given = [_value(name, kind, text, document) for name, kind in self.types.items()]
        try:
            made = self.function(*given)
            if inspect.isgenerator(made) or isinstance(made, Iterator):
                deque(made, maxlen=0)
        except Exception:
            return


def readers() -> list[Reader]:
    """All functions of modules without torch that need nothing but texts, documents and what can be made of nothing."""
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / "tasks" / room).rglob("*.py")):
            module = imported(path)
            if module is None:
                continue
            for name, function in vars(module).items():
                is_own = inspect.isfunction(function) and function.__module__ == module.__name__
                whole = f"{module.__name__}.{name}"
                if is_own and whole not in CHILDREN and (needed := _needed(function)) is not None:
                    found.append(Reader(whole, function, needed))
    return found


def imported(path: Path) -> types.ModuleType | None:
    """A module by its file, unless it imports torch."""
    if _imports(path) & set(HEAVY):
        return None
    return import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    named = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    named += [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in named}


def _needed(function: Callable[..., Any]) -> dict[str, Any] | None:
    """Types of the parameters that have no default; None unless one is a text and all can be made."""
    try:
        hints = typing.get_type_hints(function)
    except NameError:
        return None
    needed = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if (
            parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            or parameter.default is not parameter.empty
        ):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY:
            return None
        needed[name] = hints.get(name)
    document = page("Home.md", "a")
    try:
        for name, kind in needed.items():
            _value(name, kind, "a", document)
    except (TypeError, ValidationError):
        return None
    is_text = any(_is_document(kind) or (name in TEXTS and _is_text(kind)) for name, kind in needed.items())
    return needed if is_text else None


def _is_document(kind: Any) -> bool:
    return kind is Document or any(argument is Document for argument in typing.get_args(kind))


def _is_text(kind: Any) -> bool:
    return kind in (str, bytes) or any(argument in (str, bytes) for argument in typing.get_args(kind))


def _value(name: str, kind: Any, text: str, document: Document) -> Any:
    """A value of a type that a parameter names: the text where a text belongs, else the least there is.

    Raises:
        TypeError: nothing can be made of nothing.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _value(name, arguments[0], text, document)
    if kind is Document:
        return document
    if kind in (str, bytes):
        written = text if name in TEXTS else document.path
        return written if kind is str else written.encode("utf-8", "surrogatepass")
    if origin in (list, tuple, Sequence, Iterable, set, frozenset) and arguments:
        if arguments[0] is Document:
            return [document]
        if arguments[0] is str and name in TEXTS:
            return text.split("\n")
        return origin() if isinstance(origin, type) and origin in (list, tuple, set, frozenset) else ()
    if origin in (dict, Mapping):
        return {}
    if kind in (int, float, bool):
        return kind(1)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, Params) and issubclass(kind, BaseModel):
        return kind()
    raise TypeError(name)
