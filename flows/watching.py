"""What the Prefect UI shows of a running step beyond its state: a progress bar and a log line now and then.

Logs of the GPU child reach the server the same way, because the child's progress lines become events of its step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport
from tasks.base.progress import Event, listening
from tasks.base.steps import PENDING
from tasks.base.store import Store
from tasks.release.gate import Decision

EVERY_SECONDS: Final = 10.0
"""A step's progress is sent at most this often; a call costs about 10 ms."""

logger = logging.getLogger(__name__)


@contextmanager
def watched_in_prefect() -> Iterator[None]:
    """Sends the progress of this process's steps to the Prefect server for the duration of the block."""
    with listening(_Reporter()):
        yield


def show_markdown(store: Store, artifact: Artifact, name: str, key: str, description: str) -> None:
    """Adds a Markdown file of a finished artifact to the flow run, so that a *Cached* step shows it too.

    Args:
        store: of the artifact.
        artifact: finished; one that `explain` cannot know yet shows nothing.
        name: of the file in it.
        key: of the page in Prefect's UI.
        description: above it.
    """
    if FlowRunContext.get() is None or artifact.sha256 == PENDING:
        return
    create_markdown_artifact((store.checkout(artifact) / name).read_text("utf-8"), key=key, description=description)


def show_decision(decision: Decision, reasons: Sequence[str], page: RunReport) -> None:
    """Adds the gate's checks to the flow run, failed ones first, and where report and release are.

    Args:
        decision: the gate's.
        reasons: of a refusal, also a person's; none for what was published.
        page: the run's report.
    """
    lines = [
        f"**{'Refused: ' + '; '.join(reasons) if reasons else 'Allowed'}**",
        "",
        "| check | held | |",
        "|---|---|---|",
    ]
    for check in sorted(decision.checks, key=lambda check: check.passed):
        lines.append(f"| {check.name} | {'yes' if check.passed else '**no**'} | {check.detail} |")
    places = {"report": page.report, "release": page.release}
    lines += ["", *(f"- {name}: {_link(place)}" for name, place in places.items() if place)]
    create_markdown_artifact("\n".join(lines) + "\n", key="release-gate", description="May it be published?")


def _link(place: str) -> str:
    return f"[{place}]({place})" if place.startswith("http") else f"`{place}`"


class _Reporter:
    """One progress artifact per step that reports how far it is."""

    def __init__(self) -> None:
        self._artifacts: dict[str, UUID] = {}
        self._sent: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if event.kind == "progress" and time.monotonic() - self._sent.get(event.step, 0.0) >= EVERY_SECONDS:
            self._sent[event.step] = time.monotonic()
            self._send(event)
        elif event.kind == "finished" and event.step in self._artifacts:
            update_progress_artifact(self._artifacts.pop(event.step), progress=100.0)

    def _send(self, event: Event) -> None:
        facts = ", ".join(f"{name} {_short(value)}" for name, value in event.facts.items())
        total = f"/{event.total:g}" if event.total else ""
        logger.info("%s: %g%s %s %s", event.step, event.done, total, event.unit, facts)
        if not event.total:
            return
        about = f"{event.step}: {facts}" if facts else event.step
        percent = min(100.0, 100 * event.done / event.total)
        if event.step in self._artifacts:
            update_progress_artifact(self._artifacts[event.step], progress=percent, description=about)
            return
        made = create_progress_artifact(progress=percent, key=event.step.replace("/", "-"), description=about)
        assert isinstance(made, UUID)
        self._artifacts[event.step] = made


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
