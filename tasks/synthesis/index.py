"""What is where in the whole split: pages, definitions, headings, files. Dialogues about one document ask it about
the rest.

It holds names and places only, never texts, so its memory grows with the number of files and names; a document is
read again from the split by its offset. Edges (an import, a call) never cross the split: a trained dialogue must not
tell what a held-out document says.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from tasks.base.records import NUMBERED, Document, Kind, Split
from tasks.synthesis.drafts import pick, spread
from tasks.synthesis.pages import MARKDOWN_SUFFIXES, sections
from tasks.text.bindings import BINDS
from tasks.text.imports import Import, imports
from tasks.text.languages import language_of
from tasks.text.structure import Definition, definitions

FILES: Final = {Split.TRAIN: "train.jsonl", Split.HELD_OUT: "held_out.jsonl"}
"""Content files of the split artifact."""

SUFFIXES: Final = (
    "",
    ".ts",
    ".tsx",
    ".d.ts",
    ".js",
    ".jsx",
    ".mjs",
    ".cjs",
    ".py",
    ".pyi",
    ".scala",
    ".java",
    ".kt",
    ".rb",
)
NAMES: Final = 200
"""Names of a repository that lend their last words, spread over the alphabet."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]{3,80}")

INDEX_FILES: Final = ("index.ts", "index.tsx", "index.js", "index.jsx", "__init__.py", "mod.rs")


@dataclass(frozen=True)
class Structure:
    """A file's definitions and imports."""

    definitions: tuple[Definition, ...]
    imports: tuple[Import, ...]

    def named(self, name: str) -> Definition | None:
        """The file's one top-level definition of that name, or None."""
        found = [item for item in self.definitions if item.qualified == name]
        return found[0] if len(found) == 1 else None


@lru_cache(maxsize=1024)
def structure(path: str, text: str) -> Structure:
    """The structure of a file; parsing takes about a millisecond, and neighbours are asked for again and again."""
    return Structure(tuple(definitions(path, text)), tuple(imports(path, text)))


@dataclass(frozen=True)
class Place:
    """Where a document lies in the split."""

    id: str
    split: Split
    offset: int


class Index:
    """Built by one pass over both files of the split."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[tuple[str, str], Place] = {}
        self._paths: dict[tuple[str, Split], list[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._titles: Counter[tuple[str, str]] = Counter()
        self._pulls: dict[str, set[int]] = {}
        self._threads: dict[str, set[int]] = {}
        self._words: set[str] = set()
        pages: set[str] = set()
        for split, name in FILES.items():
            with (folder / name).open("rb") as reader:
                offset = 0
                for line in reader:
                    document = Document.model_validate_json(line)
                    self._add(document, Place(document.id, split, offset))
                    if document.is_page or is_markdown(document):
                        pages.add(document.id)
                    offset += len(line)
        self.pages = frozenset(pages)
        """Ids of the documents that are pages: those of wikis and the repositories' Markdown files."""

        self._headings: dict[str, list[str]] = {}
        for repo, title in sorted(self._titles):
            self._headings.setdefault(repo, []).append(title)
        self._lending: dict[str, tuple[str, ...]] = {}
        for repo, found in self._names.items():
            ordered = sorted(found)
            self._lending[repo] = tuple(ordered[place] for place in spread(len(ordered), NAMES))

    def _add(self, document: Document, place: Place) -> None:
        repo = document.repo
        self._words.update(_IDENTIFIER.findall(document.text))
        if document.kind in NUMBERED:
            number = document.meta.get("number")
            if isinstance(number, int):
                kept = self._pulls if document.kind == Kind.PULL else self._threads
                kept.setdefault(repo, set()).add(number)
            return
        if document.kind is Kind.FILE:
            self._places[repo, document.path] = place
            self._paths.setdefault((repo, place.split), []).append(document.path)
            if language_of(document.path):
                self._names.setdefault(repo, set()).update(BINDS.findall(document.text))
        if (document.is_page and not document.is_conversation) or is_markdown(document):
            self._titles.update((repo, section.title) for section in sections(document.text) if section.title)

    def last_pull(self, repo: str) -> int:
        """The highest number of a known pull request; 0 if none is known."""
        return max(self._pulls.get(repo, ()), default=0)

    def unknown_pulls(self, repo: str) -> list[int]:
        """Numbers between the first and the last pull request that is known, and about as many before and after, that
        are neither a known pull request's nor a known issue's or discussion's.
        """
        known = self._pulls.get(repo, set())
        if not known:
            return []
        first, last = min(known), max(known)
        margin = max(1, (last - first) // 10)
        known = known | self._threads.get(repo, set())
        return [number for number in range(max(1, first - margin), last + margin + 1) if number not in known]

    def speaks_of(self, name: str) -> bool:
        """Whether a name stands anywhere in a document, trained or held out."""
        return name in self._words

    def titles(self, repo: str) -> list[str]:
        """Headings of the repository's pages, sorted."""
        return self._headings.get(repo, [])

    def has_title(self, repo: str, title: str) -> bool:
        """Whether a page of the repository has a heading."""
        return self._titles[repo, title] > 0

    def file(self, repo: str, path: str, split: Split) -> Document | None:
        """A file of the repository, if it is on that side of the split."""
        place = self._places.get((repo, path))
        if place is None or place.split is not split:
            return None
        with (self._folder / FILES[split]).open("rb") as reader:
            reader.seek(place.offset)
            return Document.model_validate_json(reader.readline())

    def names(self, repo: str) -> tuple[str, ...]:
        """Names that the repository binds, sorted, some of them: last words for made-up names."""
        return self._lending.get(repo, ())

    def paths(self, document: Document, split: Split, number: int) -> list[str]:
        """Paths of the repository's files of a side, chosen by a hash of the document's id; its own may be there."""
        paths = self._paths.get((document.repo, split), [])
        return pick(paths, f"passages {document.id}", number) if paths else []

    def others(self, document: Document, split: Split, number: int) -> list[Document]:
        """Other files of the repository and side, chosen by a hash of the document's id."""
        found = [self.file(document.repo, path, split) for path in self.paths(document, split, number + 1)]
        return [one for one in found if one is not None and one.id != document.id and one.text.strip()][:number]

    def imported(self, document: Document, split: Split, item: Import) -> Document | None:
        """The file that an import leads to, if it is one of the repository's and on the same side of the split."""
        for path in candidates(document.path, item.module):
            if (document.repo, path) in self._places:
                return self.file(document.repo, path, split)
        return None


def is_markdown(document: Document) -> bool:
    """Whether a document is a Markdown file."""
    return document.kind is Kind.FILE and document.path.lower().endswith(MARKDOWN_SUFFIXES)


def candidates(path: str, module: str) -> list[str]:
    """Paths, best first, that an import in the file at `path` may mean: relative, from the root, dotted (Python,
    Java, Scala).

    `@/` and `~/` mean the root, as most TypeScript configurations have it.
    """
    folder = PurePosixPath(path).parent
    stems: list[str] = []
    if module.startswith((".", "/")) and "/" in module:
        stems.append(_joined(folder, module))
    elif module.startswith("."):  # Python: each further dot is one folder up
        dots = len(module) - len(module.lstrip("."))
        base = folder
        for _ in range(dots - 1):
            base = base.parent
        stems.append(_joined(base, module[dots:].replace(".", "/")))
    else:
        bare = module.removeprefix("@/").removeprefix("~/")
        stems.append(bare)
        if "/" not in bare and "." in bare:
            dotted = bare.replace(".", "/")
            stems += [dotted, f"src/{dotted}", f"lib/{dotted}"]
    found: list[str] = []
    for stem in filter(None, stems):
        found += [stem + suffix for suffix in SUFFIXES]
        found += [f"{stem}/{name}" for name in INDEX_FILES]
    return found


def _joined(folder: PurePosixPath, relative: str) -> str:
    parts: list[str] = [] if relative.startswith("/") else [part for part in folder.parts if part != "."]
    for part in relative.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
