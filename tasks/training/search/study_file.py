"""Where a study's database lies: at the address that the parameters give, or in an SQLite file of the store's cache.

With an object store the file is copied there after every trial, so that another machine can go on with the search. It
is a cache: a study that was lost is drawn again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.base.errors import InputError
from tasks.base.locks import hold
from tasks.base.store import Store
from tasks.training.params import SearchParams, TrainingParams
from tasks.training.search.study import Study, Tried


@contextmanager
def study(
    store: Store, params: SearchParams, base: TrainingParams, name: str
) -> Iterator[tuple[Study, Callable[[], None]]]:
    """The study, held by this process alone, and what is to be called after each trial.

    Raises:
        InputError: the database cannot be opened.
    """
    with hold(store, f"search/{name}"):
        if params.storage:
            yield _opened(params, base, params.storage, name), lambda: None
            return
        file = store.local("cache", "search") / f"{name}.sqlite"
        remote = store.root / "cache" / "search" / file.name

        def keep() -> None:
            remote.parent.mkdir(parents=True, exist_ok=True)
            remote.write_bytes(file.read_bytes())

        if store.is_local:
            yield _opened(params, base, f"sqlite:///{file}", name), lambda: None
            return
        if remote.exists():
            with remote.open("rb") as reader, file.open("wb") as writer:
                shutil.copyfileobj(reader, writer)
        yield _opened(params, base, f"sqlite:///{file}", name), keep


def tried_in_full(store: Store, params: SearchParams, base: TrainingParams, name: str) -> list[Tried] | None:
    """Every trial of a search that is over, by number; None if there is something left to try.

    Takes no lock and changes nothing, so that it does not wait for a machine that is at work on the search: a search
    that is over stays as it is.

    Raises:
        InputError: the database cannot be opened.
    """
    with tempfile.TemporaryDirectory() as folder:
        address = params.storage
        if address is None:
            kept = store.root / "cache" / "search" / f"{name}.sqlite"
            if not kept.exists():
                return None
            copy = Path(folder) / kept.name
            if not store.is_local:
                copy.write_bytes(kept.read_bytes())
            address = f"sqlite:///{kept.path if store.is_local else copy}"
        searched = _opened(params, base, address, name)
        return searched.tried() if searched.is_over() else None


def _opened(params: SearchParams, base: TrainingParams, address: str, name: str) -> Study:
    from sqlalchemy.exc import SQLAlchemyError

    failures: tuple[type[Any], ...] = (SQLAlchemyError, ImportError, OSError)
    try:
        return Study(params, base, address, name)
    except failures as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"search.storage: the study cannot be opened ({type(error).__name__}: {reason})") from error
