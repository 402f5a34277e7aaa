"""Which name space, a file or a package, a module means as it is written in a file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final

from tasks.text.languages import language_of

PACKAGED: Final = frozenset({"csharp", "go", "java", "kotlin", "php", "ruby", "rust", "scala"})
"""Languages whose files share a name space; in the others a file is its own."""

FAMILIES: Final = {"java": "jvm", "kotlin": "jvm", "scala": "jvm"}

_SUFFIXES: Final = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts", ".py", ".pyi")
_INDEXES: Final = ("index.ts", "index.tsx", "index.js", "index.jsx", "__init__.py")


class NameSpaces:
    """The files and packages of a repository.

    Args:
        paths: of its code files.
        keys: of its name spaces.
    """

    def __init__(self, paths: Collection[str], keys: Collection[str]) -> None:
        self.paths, self.keys = paths, keys
        self.go_module = ""

    def meant(self, path: str, key: str, written: str) -> str | None:
        """The name space that a module, as written in a file, means: a path or a package; None for others'."""
        language = language_of(path) or ""
        if language == "go":
            return self._go_space(written)
        if language == "rust":
            return self._rust_space(key, written)
        if language in PACKAGED:
            wanted = f"{FAMILIES.get(language, language)}:{written}"
            return wanted if wanted in self.keys else None
        if language == "python":
            return self._python_path(path, written)
        return self._script_path(path, written)

    def _script_path(self, path: str, written: str) -> str | None:
        if written.startswith("."):
            return self.path_of(_joined(PurePosixPath(path).parent, written))
        for prefix in ("@/", "~/"):
            if written.startswith(prefix):
                bare = written.removeprefix(prefix)
                return self.path_of(bare) or self.path_of(f"src/{bare}")
        if "/" in written and not written.startswith("@"):
            return self.path_of(written) or self.path_of(f"src/{written}")
        return None

    def _python_path(self, path: str, written: str) -> str | None:
        folder = PurePosixPath(path).parent
        if written.startswith("."):
            dots = len(written) - len(written.lstrip("."))
            for _ in range(dots - 1):
                folder = folder.parent
            return self.path_of(_joined(folder, written[dots:].replace(".", "/")) or str(folder))
        stem = written.replace(".", "/")
        for root in ("", "src/", "lib/", f"{folder}/"):
            if found := self.path_of(root.removeprefix("./") + stem):
                return found
        return None

    def path_of(self, stem: str) -> str | None:
        """The file that a path without its suffix means."""
        if stem in self.paths:
            return stem
        for suffix in _SUFFIXES:
            if stem + suffix in self.paths:
                return stem + suffix
        without = stem.rsplit(".", 1)[0] if stem.endswith((".js", ".jsx", ".mjs")) else ""
        for suffix in (".ts", ".tsx") if without else ():
            if without + suffix in self.paths:
                return without + suffix
        prefix = "" if stem in ("", ".") else f"{stem}/"
        return next((prefix + name for name in _INDEXES if prefix + name in self.paths), None)

    def _go_space(self, written: str) -> str | None:
        if not self.go_module or not (written + "/").startswith(self.go_module + "/"):
            return None
        key = f"go:{written[len(self.go_module) :].strip('/') or '.'}"
        return key if key in self.keys else None

    def _rust_space(self, own_key: str, written: str) -> str | None:
        own = own_key.removeprefix("rust:")
        crate = own.split("::", 1)[0]
        written = written.replace(".", "::")
        parts = written.split("::")
        at = own
        if parts[0] == "crate":
            at, parts = crate, parts[1:]
        elif parts[0] == "self":
            parts = parts[1:]
        while parts and parts[0] == "super":
            at, parts = at.rpartition("::")[0], parts[1:]
        key = "rust:" + "::".join([at, *parts])
        return key if key in self.keys else None


def package_of(path: str, language: str, said: str) -> str:
    """Name of the package of a file, by its place or by what it says."""
    parent = PurePosixPath(path).parent
    if language == "go":
        return str(parent)
    if language == "ruby":
        return ""
    if language != "rust":
        return said
    parts = list(PurePosixPath(path).with_suffix("").parts)
    at = parts.index("src") if "src" in parts else -1
    crate, inner = "/".join(parts[: at + 1]) or ".", parts[at + 1 :]
    if inner and inner[-1] in ("lib", "main", "mod"):
        inner = inner[:-1]
    return "::".join([crate, *inner])


def go_module_of(text: str) -> str:
    """The module that a `go.mod` names."""
    for line in text.splitlines():
        if line.startswith("module "):
            return line.split()[1].strip('"')
    return ""


def _joined(folder: PurePosixPath, relative: str) -> str:
    parts = [part for part in folder.parts if part != "."]
    for part in relative.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
