"""`rawtune doctor`: whether everything that a run needs is there, each with what to do if not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

from rich.markup import escape

from deployments import console
from deployments.console import open_store
from tasks.base.errors import RawtuneError

DISK_GIB: Final = 10
CLOCK_SECONDS: Final = 60
PINNED: Final = ("prefect", "transformers", "trl", "peft", "datasets")
TIMEOUT_SECONDS: Final = 10.0


class Trouble(Exception):
    """What is wrong, and what to do."""


def examine(store: str | None, pool: str | None) -> bool:
    """Prints one line per check; whether all of them are well."""
    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        "versions": _versions,
        "store": lambda: _store(store),
        "disk": lambda: _disk(store),
        "gpu": _gpu,
        "server": lambda: _server(pool),
        "github": _github,
        "hub": _hub,
    }
    well = True
    for name, check in checks.items():
        try:
            console.output.print(f"[green]✔[/] {name:<10}{escape(check())}", highlight=False)
        except (Trouble, RawtuneError, OSError) as trouble:
            well = False
            console.output.print(f"[red]✘[/] {name:<10}{escape(str(trouble))}", highlight=False)
    return well


def _python() -> str:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise Trouble(f"Python {sys.version.split()[0]}; rawtune wants 3.11 to 3.13")
    return sys.version.split()[0]


def _versions() -> str:
    wanted = {
        name: requirement.split("==")[1].split(";")[0].strip()
        for requirement in importlib.metadata.requires("rawtune") or ()
        for name in PINNED
        if requirement.startswith(f"{name}==")
    }
    wrong = [f"{name} {importlib.metadata.version(name)}, not {version}" for name, version in wanted.items()
             if importlib.metadata.version(name) != version]  # fmt: skip
    if wrong:
        raise Trouble(f"{'; '.join(wrong)}; install with -c constraints.txt")
    return f"rawtune {importlib.metadata.version('rawtune')}, pins as tested"


def _store(uri: str | None) -> str:
    store = open_store(uri)
    store.check_writable()
    return f"{store.uri} can be written"


def _disk(uri: str | None) -> str:
    free = shutil.disk_usage(open_store(uri).local()).free / 2**30
    if free < DISK_GIB:
        raise Trouble(f"{free:.1f} GiB free; {DISK_GIB} are wanted, rawtune prune frees some")
    return f"{free:.0f} GiB free"


def _gpu() -> str:
    from tasks.training.plan.cards import CPU, this_machines

    card = this_machines()
    return "none here; training needs compute.pool, or the stub" if card == CPU else card


def _server(pool: str | None) -> str:
    if not os.environ.get("PREFECT_API_URL"):
        if pool:
            raise Trouble("PREFECT_API_URL is not set, so there are no pools")
        return "none named; every command starts its own"
    from deployments.cli.running import check_server

    check_server()
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        pools = {found.name: found for found in client.read_work_pools()}
        if pool and pool not in pools:
            raise Trouble(f"there is no work pool {pool}; python -m deployments.prefect.pools makes it")
        told = [f"{name} {found.status.value.lower() if found.status else '?'}" for name, found in pools.items()]
        if pool and (status := pools[pool].status) and status.value != "READY":
            raise Trouble(f"no worker takes pool {pool} ({status.value.lower()}); start one")
    return f"answers; pools {', '.join(told) or 'none'}"


def _github() -> str:
    token = os.environ.get("GITHUB_TOKEN")
    answer = _answer("https://api.github.com/rate_limit", token)
    if answer is None:
        return "out of reach; local repositories need none"
    status, headers = answer
    if status == 401:
        raise Trouble("GITHUB_TOKEN is not accepted; make a new one")
    date = headers.get("date")
    off = abs(time.time() - parsedate_to_datetime(date).timestamp()) if date else 0.0
    if off > CLOCK_SECONDS:
        raise Trouble(f"this machine's clock is off by {off:.0f} s; set it")
    return f"answers, {'with a token' if token else 'no GITHUB_TOKEN: public repositories only, 60 requests an hour'}"


def _hub() -> str:
    token = os.environ.get("HF_TOKEN")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    answer = _answer(f"{endpoint}/api/whoami-v2", token)
    if answer is None:
        return "out of reach; the stub and folders need none"
    if token and answer[0] == 401:
        raise Trouble("HF_TOKEN is not accepted; make a new one")
    return f"answers, {'with a token' if token else 'no HF_TOKEN: open models only, nothing is published there'}"


def _answer(url: str, token: str | None) -> tuple[int, dict[str, str]] | None:
    """Status and headers; None if nobody answers."""
    import httpx

    try:
        given = httpx.get(url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=TIMEOUT_SECONDS)
    except httpx.HTTPError:
        return None
    return given.status_code, dict(given.headers)
