"""Changed files kept by the two trees they lie between, so that a later run compares only what changed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tasks.base.files import write_text
from tasks.harvest.diffs import Change, changed_files
from tasks.harvest.repository import Repository

EDITION: Final = "1"
"""Changed by hand when `diffs.py` makes other patches of the same trees."""

PAIRS_A_PROCESS: Final = 100

Trees = tuple[str, str]


class DiffCache:
    """The cache folder of diffs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / EDITION

    def missing(self, trees: Sequence[Trees]) -> list[Trees]:
        """Pairs that have to be compared, each once: those not kept, or kept with patches missing."""
        return [pair for pair in dict.fromkeys(trees) if not self._path(pair, whole=True).exists()]

    def fill(self, repository: Repository, trees: Sequence[Trees]) -> None:
        """Compares pairs of trees and keeps what changed; one git process a processor at a time."""

        def compare(pairs: Sequence[Trees]) -> None:
            for pair, changes in zip(pairs, changed_files(repository, pairs), strict=True):
                write_text(self._path(pair, changes.whole), json.dumps(changes.files, ensure_ascii=False))

        parts = [trees[start : start + PAIRS_A_PROCESS] for start in range(0, len(trees), PAIRS_A_PROCESS)]
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            for _ in workers.map(compare, parts):
                pass

    def changes(self, pair: Trees) -> list[Change]:
        """What changed between two trees, after `fill`."""
        path = self._path(pair, whole=True)
        text = (path if path.exists() else self._path(pair, whole=False)).read_text("utf-8")
        return [Change(*fields) for fields in json.loads(text)]

    def _path(self, pair: Trees, whole: bool) -> Path:
        before, after = pair
        return self.folder / after[:2] / f"{after}-{before}{'' if whole else '.partial'}.json"
