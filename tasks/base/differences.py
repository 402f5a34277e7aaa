"""Why a step is not a hit: what is missing, or which part of its key differs from the last one made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tasks.base.artifacts import Manifest
from tasks.base.store import Store


def why_missed(store: Store, document: dict[str, Any], manifest: Manifest | None) -> tuple[str, ...]:
    """One line per reason.

    Args:
        store: where the step's artifact was looked for.
        document: the key document of the step that is to run.
        manifest: what the store has under that key, with a blob that is not whole; null if it has nothing.
    """
    if manifest is not None:
        return ("its artifact is missing or has wrong bytes",)
    last = next(store.manifests(document["step"]), None)
    if last is None:
        return ("never run in this store",)
    return tuple(_differences(last.key_document, document))


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield f"{path}: {_short(old)} → {_short(new)}"


def _short(value: Any) -> str:
    text = value[:12] if isinstance(value, str) and len(value) == 64 else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
