"""What commands have in common: options that several take, progress while steps run, lines at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from tasks.base.errors import InputError
from tasks.base.ledger import RunReport
from tasks.base.progress import Event, listening

if TYPE_CHECKING:
    from tasks.base.store import Store

DEFAULT_STORE = "./.rawtune"

DIALOGUES = "synthesis/dialogues"
"""The step whose records people read one by one and edit."""

LEDGER = "ledger"
HISTORY = "history"
"""Not a room: what the runs of each month did and cost."""

StoreOption = Annotated[str | None, typer.Option("--store", help="Artifact store: a folder or s3://bucket/prefix.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

SYMBOLS = {"Completed": "[green]✔[/]", "Cached": "[blue]●[/]", "Skipped": "[dim]○[/]", "Failed": "[red]✘[/]"}

errors = Console(stderr=True, soft_wrap=True)
"""Progress and messages; standard output carries results only."""

output = Console(soft_wrap=not sys.stdout.isatty())


@contextmanager
def step_progress() -> Iterator[None]:
    """Shows the steps of this process while the block runs: bars on a terminal; in a pipe a line per finished step and
    per notice, on standard error.
    """
    if not errors.is_terminal:
        with listening(_print_line):
            yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=3)),
        BarColumn(bar_width=None, table_column=Column(min_width=8, ratio=2)),
        TextColumn("{task.fields[facts]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=5)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
    )
    with Progress(*columns, console=errors, transient=True, expand=True) as bars, listening(_View(bars)):
        yield


def _print_line(event: Event) -> None:
    if event.kind == "finished" and "/" in event.step:  # the laptop's own server is no step
        errors.print(_finished(event), highlight=False, soft_wrap=True)
    elif event.kind == "notice":
        errors.print(escape(_noticed(event)), highlight=False)


def _finished(event: Event) -> str:
    symbol = SYMBOLS.get(event.state, " ")
    made = f"  {escape(event.text)}" if event.text else ""
    return f"{symbol} {event.step:<28}{event.state:<10} {event.done:7.1f} s{made}"


def _noticed(event: Event) -> str:
    return f"… {event.step + ': ' if event.step else ''}{event.text}"


class _View:
    """Listens to step events and keeps one bar for each running step."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.running: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        if event.kind == "finished":
            bar = self.running.pop(event.step, None)
            if bar is not None:
                self.bars.remove_task(bar)
            self.bars.console.print(_finished(event), highlight=False, no_wrap=True, overflow="ellipsis")
            return
        if event.kind == "notice" and event.step not in self.running:
            self.bars.console.print(escape(_noticed(event)), highlight=False)
            return
        if event.step not in self.running:
            self.running[event.step] = self.bars.add_task(event.step, total=None, facts="")
        bar = self.running[event.step]
        if event.kind == "progress":
            self.bars.update(bar, completed=event.done, total=event.total, facts=_facts(event))
        elif event.kind == "notice":
            self.bars.update(bar, facts=escape(event.text))


def _facts(event: Event) -> str:
    amount = (
        f"{event.done:,.0f}"
        + (f"/{event.total:,.0f}" if event.total else "")
        + (f" {event.unit}" if event.unit else "")
    )
    return escape("  ".join([amount, *(f"{name} {_short(value)}" for name, value in event.facts.items())]))


def _short(value: float | int | str) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def fail(message: str) -> None:
    """One line on standard error."""
    errors.print(f"[bold red]rawtune:[/] {escape(' '.join(message.split()))}", highlight=False)


def warn(message: str) -> None:
    """One line on standard error about something that may go wrong."""
    errors.print(f"[bold yellow]rawtune:[/] {escape(' '.join(message.split()))}", highlight=False)


def print_json(report: RunReport) -> None:
    """The run's one JSON object on standard output."""
    sys.stdout.write(report.model_dump_json() + "\n")


def print_steps(report: RunReport) -> None:
    """How the steps ended, in one line."""
    states: dict[str, int] = {}
    for outcome in report.steps:
        states[outcome.state] = states.get(outcome.state, 0) + 1
    parts = ", ".join(f"{number} {state.lower()}" for state, number in sorted(states.items()))
    output.print(f"\n{len(report.steps)} steps in {report.seconds:.0f} s: {parts}", highlight=False)


def print_places(places: Mapping[str, str]) -> None:
    """Where things lie, one per line."""
    for label, place in places.items():
        output.print(f"  {label:<10}{escape(place)}", highlight=False)


def open_store(uri: str | None) -> Store:
    """The store that `--store` names, or the default one.

    Raises:
        InputError: it is at an address that cannot be read: no such protocol, bucket, credentials or network.
    """
    from tasks.base.store import Store

    try:
        store = Store(uri or DEFAULT_STORE)
        if not store.is_local:
            store.root.fs.exists(store.root.path)
    except Exception as error:  # every file system has its own error types; all of them mean the same to the user
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"--store {uri}: cannot be read ({reason}); check the address, and for s3:// AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        ) from error
    return store
