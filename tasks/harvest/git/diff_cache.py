"""Changed files kept by the two trees they lie between, so that a later run compares only what changed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from tasks.base.kept import Kept
from tasks.harvest.git.diffs import Change, Trees, changed_files
from tasks.harvest.git.repository import Repository

EDITION: Final = "3"
"""Changed by hand when `diffs.py` makes other patches of the same trees."""

PAIRS_A_PROCESS: Final = 100
KEPT_AT_ONCE: Final = 500


class DiffCache:
    """The cache's file; what is damaged there is compared again. Use as a context manager.

    Args:
        folder: where the file lies.
        repository: has the trees.
    """

    def __init__(self, folder: Path, repository: Repository) -> None:
        self._kept = Kept(folder, f"diffs-{EDITION}")
        self._repository = repository

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.__exit__()

    def missing(self, trees: Sequence[Trees]) -> list[Trees]:
        """Pairs that have to be compared, each once: those not kept, or damaged."""
        pairs = list(dict.fromkeys(trees))
        missing: list[Trees] = []
        for start in range(0, len(pairs), KEPT_AT_ONCE):
            some = pairs[start : start + KEPT_AT_ONCE]
            kept = self._kept.get(map(_key, some))
            missing += [pair for pair in some if _key(pair) not in kept]
        return missing

    def fill(self, trees: Sequence[Trees], oversized: AbstractSet[str] = frozenset()) -> None:
        """Compares pairs of trees and keeps what changed, except where a blob is absent; one git process a processor.

        Args:
            trees: the pairs.
            oversized: blobs that are too large for a patch.
        """

        def compare(pairs: Sequence[Trees]) -> list[tuple[bytes, bytes]]:
            compared = zip(pairs, changed_files(self._repository, pairs, oversized), strict=True)
            return [(_key(pair), json.dumps(changes.files).encode()) for pair, changes in compared if changes.whole]

        parts = [trees[start : start + PAIRS_A_PROCESS] for start in range(0, len(trees), PAIRS_A_PROCESS)]
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for values in workers.map(compare, parts):
                self._kept.put(values)

    def changes(self, pair: Trees) -> list[Change]:
        """What changed between two trees, after `fill`; compared here if it is not kept."""
        kept = self._kept.get([_key(pair)]).get(_key(pair))
        if kept is None:
            return next(changed_files(self._repository, [pair])).files
        return [Change(*fields) for fields in json.loads(kept)]


def _key(pair: Trees) -> bytes:
    return bytes.fromhex("".join(pair))
