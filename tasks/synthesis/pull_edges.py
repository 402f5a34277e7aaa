"""Edges from a pull request to the files that it touches, as they are in the snapshot: the pull's part of `multi_hop`.

A question names the pull request and asks for what stands in the file; whoever answers must know both. Only files on
the pull request's side of the split are followed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tasks.base.records import Document
from tasks.synthesis.drafts import spread
from tasks.synthesis.facts.source import MIN_NAME
from tasks.synthesis.index import structure
from tasks.synthesis.methods import Subject
from tasks.text.structure import Definition

MAX_TOUCHED: Final = 6
"""Files of one pull request that are followed, spread over its list."""

PATCH_CHARACTERS: Final = 3_000
"""Of a file's patch a model sees the beginning."""


@dataclass(frozen=True)
class Touch:
    """A file that a pull request touches."""

    patch: str
    target: Document
    named: Definition | None
    """The file's one top-level definition that an added line names; null if there is none or there are several."""


def touches(subject: Subject) -> list[Touch]:
    """The touched files that the split has on the same side, in the pull request's order."""
    document = subject.document
    found: list[Touch] = []
    for entry in document.meta.get("files") or []:
        target = subject.index.file(document.repo, entry.get("path") or "", subject.split)
        if target is not None:
            patch = entry.get("patch") or ""
            found.append(Touch(patch, target, _named(patch, target)))
    return [found[place] for place in spread(len(found), MAX_TOUCHED)]


def _named(patch: str, target: Document) -> Definition | None:
    added = "\n".join(line[1:] for line in patch.split("\n") if line.startswith("+"))
    words = set(re.findall(r"[\w$]+", added))
    tree = structure(target.path, target.text)
    top = {item.name for item in tree.definitions if "." not in item.qualified and len(item.name) >= MIN_NAME}
    named = [tree.named(name) for name in sorted(top & words)]
    return named[0] if len(named) == 1 else None


def shown_touch(document: Document, touch: Touch) -> str:
    """What a model sees of the pull request: title, description and the file's patch."""
    parts = (document.title, document.text, f"{touch.target.path}\n{touch.patch}")
    return "\n\n".join(part.strip()[:PATCH_CHARACTERS] for part in parts if part.strip())
