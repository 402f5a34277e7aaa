"""Parameter names out of a signature, as source code has it or as a model writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

NAME_LAST: Final = frozenset({"c", "cpp", "csharp", "java"})
"""Languages that write a parameter as `Type name`; the others write the name first."""

_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_MODIFIERS: Final = frozenset({"final", "mut", "private", "protected", "public", "readonly", "val", "var"})
_RECEIVERS: Final = frozenset({"cls", "self", "this"})


def parameters(signature: str, name: str, language: str) -> list[str]:
    """Names of the parameters in a signature, in order, without `self`, `cls` and `this`.

    Args:
        signature: text with the parameter list in parentheses somewhere after `name`.
        name: what is defined; empty if the list may begin at the first parenthesis.
        language: as `tasks.text.languages` names it; it decides where in `Type name` or `name: Type` the name stands.

    Returns:
        The names; empty if there is no list or one of its parameters has no name (a destructured one).
    """
    begin = signature.find("(", signature.find(name) + len(name))
    if begin < 0:
        return []
    found: list[str] = []
    for part in _split(signature[begin + 1 :]):
        bare = re.split(r"[:=]", re.sub(r"@\w+(\([^)]*\))?\s*", "", part.strip()), maxsplit=1)[0].strip(" *&.$?")
        if bare.startswith(("{", "[")):
            return []
        names = [one for one in _IDENTIFIER.findall(bare) if one not in _MODIFIERS]
        if names and not _RECEIVERS & set(names):
            found.append(names[-1] if language in NAME_LAST else names[0])
    return found


def _split(text: str) -> Iterator[str]:
    """Parts of a parameter list at top-level commas, up to its closing parenthesis."""
    depth, part = 0, ""
    for character in text:
        if character in "([{<":
            depth += 1
        elif character in ")]}>":
            if depth == 0 and character == ")":
                break
            depth = max(0, depth - 1)
        if character == "," and depth == 0:
            yield part
            part = ""
        else:
            part += character
    if part.strip():
        yield part
