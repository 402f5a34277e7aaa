"""`rawtune prune`: frees what no release and no recent run needs.

A store in which a run is at work is not pruned, because the run may have found what would go. Kept are: everything that
a release of the registry rests on, also one that came from the Hub; what people have corrected by hand; everything made
or read by a step of the last days; and what is younger than a day. A release that `rawtune release forget` has taken
from the registry is freed like any other artifact. The cache goes by age alone; it is made again when needed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from upath import UPath

from tasks.base.artifacts import Manifest
from tasks.base.errors import InputError
from tasks.base.locks import PRUNING, hold, is_held, runs_at_work
from tasks.base.store import Store
from tasks.release.registry import needed_blobs

DAY_SECONDS: Final = 86_400.0

BY_HAND: Final = ("synthesis/corrections",)
"""Steps whose own artifacts are kept for good: what people have written is not made again."""

CACHES: Final = ("cache", "prefect/results")
"""Folders whose files go by age alone; the second one is a laptop's Prefect, which only says that a step was done."""


@dataclass(frozen=True)
class Pruned:
    """What was freed, or would be."""

    manifests: int
    blobs: int
    cache_files: int
    bytes: int


def prune(store: Store, keep_days: float, dry: bool = False) -> Pruned:
    """Removes manifests, artifacts and cache files that are not kept; no run can begin meanwhile.

    Args:
        store: local or remote. Of a remote one this machine's own folders (cache, unfinished writes) are pruned too.
        keep_days: steps and cache files of the last so many days are kept.
        dry: only count.

    Raises:
        InputError: a run is at work in the store.
    """
    if dry:
        return _prune(store, keep_days, dry)
    with hold(store, PRUNING):
        busy = runs_at_work(store)
        if busy:
            raise InputError(f"prune: {', '.join(busy)} at work in {store.uri}; prune once this has ended")
        return _prune(store, keep_days, dry)


def _prune(store: Store, keep_days: float, dry: bool) -> Pruned:
    oldest = time.time() - keep_days * DAY_SECONDS
    manifests = list(_manifests(store))
    needed = needed_blobs(store)
    roots = {id(one) for path, one in manifests if one.sha256 in needed or _modified(path) >= oldest}
    kept = needed | _reachable([one for _, one in manifests], roots)
    kept |= {one.sha256 for _, one in manifests if one.step in BY_HAND}
    gone = [path for path, one in manifests if one.sha256 not in kept]
    blobs = [blob for blob in _children(store.root / "cas") if blob.name not in kept and _age_over(blob, DAY_SECONDS)]
    tmp = [
        place for place in _children(UPath(store.local("tmp"))) if not is_held(store, place.name.removesuffix(".work"))
    ]
    left = [place for place in [*_children(store.root / "suspect"), *tmp] if _age_over(place, DAY_SECONDS)]
    aged = [place for name in CACHES for place in _cached(UPath(store.local(*name.split("/"))))]
    cache = [place for place in aged if _age_over(place, keep_days * DAY_SECONDS)]
    size = sum(_size(place) for place in [*gone, *blobs, *left, *cache])
    if not dry:
        for path in gone:
            _remove(path.parent)
        for place in [*blobs, *left, *cache]:
            _remove(place)
    return Pruned(len(gone), len(blobs), len(cache), size)


def _reachable(manifests: list[Manifest], roots: set[int]) -> set[str]:
    """Hashes of the artifacts of the roots and of all that they were made from."""
    makers: dict[str, list[Manifest]] = {}
    for one in manifests:
        makers.setdefault(one.sha256, []).append(one)
    kept: set[str] = set()
    waiting = [one.sha256 for one in manifests if id(one) in roots]
    while waiting:
        sha256 = waiting.pop()
        if sha256 in kept:
            continue
        kept.add(sha256)
        for one in makers.get(sha256, ()):
            waiting.extend(reference["sha256"] for reference in _references(one.inputs.values()))
    return kept


def _references(values: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for value in values:
        yield from value if isinstance(value, list) else [value]


def _manifests(store: Store) -> Iterator[tuple[UPath, Manifest]]:
    for step in store.steps():
        for entry in _children(store.root / "steps" / step):
            manifest = store.manifest(step, entry.name)
            if manifest is not None:
                yield entry / "manifest.json", manifest


def _children(folder: UPath) -> list[UPath]:
    return sorted(folder.iterdir(), key=str) if folder.exists() else []


def _files(folder: UPath) -> Iterator[UPath]:
    for entry in _children(folder):
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _cached(folder: UPath) -> Iterator[UPath]:
    """What a cache can lose piece by piece: files, but a git repository or a checked-out artifact only as a whole."""
    for entry in _children(folder):
        if entry.is_dir() and not entry.name.endswith(".git") and folder.name != "checkout":
            yield from _cached(entry)
        else:
            yield entry


def _modified(path: UPath) -> float:
    try:
        return float(path.stat().st_mtime)
    except (OSError, TypeError, ValueError, AttributeError):
        return time.time()  # an object store that knows no date: never old


def _age_over(place: UPath, seconds: float) -> bool:
    files = list(_files(place)) if place.is_dir() else [place]
    return time.time() - max((_modified(file) for file in files), default=_modified(place)) > seconds


def _size(place: UPath) -> int:
    return sum(int(file.stat().st_size) for file in (_files(place) if place.is_dir() else [place]))


def _remove(place: UPath) -> None:
    if not place.is_dir():
        place.unlink(missing_ok=True)
    elif place.protocol in ("", "file", "local"):
        shutil.rmtree(place.path)
    else:
        place.fs.rm(place.path, recursive=True)
