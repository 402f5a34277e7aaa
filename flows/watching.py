"""What a flow run leaves behind: its ledger, and what the Prefect UI shows beyond the steps' states.

Logs of the GPU child reach the server the same way, because the child's progress lines become events of its step.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from flows.resolve import Resolved, run_name, scheduled_start
from tasks.base.artifacts import Artifact
from tasks.base.ledger import RunReport, current_ledger, ledger
from tasks.base.progress import Event, listening
from tasks.base.runs import read_json
from tasks.base.steps import PENDING
from tasks.base.store import Store
from tasks.evaluation.page import markdown, run_costs
from tasks.model.child import staying
from tasks.release.gate import Decision
from tasks.training.search.report import table_rows
from tasks.training.search.study import Tried

EVERY_SECONDS: Final = 10.0
"""A step's progress is sent at most this often; a call costs about 10 ms."""

logger = logging.getLogger(__name__)


@contextmanager
def recorded(uri: str) -> Iterator[tuple[Store, RunReport]]:
    """The body of every flow: its store, and its report, which the ledger gets however the block ends.

    Progress of the steps inside goes to the Prefect server meanwhile. Their torch jobs share one child process, so that
    its imports (6 to 9 s on a CPU) are paid for once.

    Raises:
        InputError: the store cannot be written.
    """
    store = Store(uri)
    store.check_writable()
    started = time.monotonic()
    with ledger(store, str(flow_run.id)) as book, listening(_Reporter()), staying():
        book.report.resolved["scheduled"] = scheduled_start().isoformat()
        try:
            yield store, book.report
        finally:
            book.close(time.monotonic() - started)


def name_run(project: str, resolved: Resolved) -> None:
    """Names the flow run `project @ date commit`, after the first source."""
    if flow_run.id is not None:
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), name=run_name(project, resolved))


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


def show_evaluation(store: Store, artifact: Artifact) -> None:
    """Adds verdict, table and costs so far to the flow run, so that a *Cached* report is shown as well.

    Args:
        store: of the artifact.
        artifact: of `evaluation/report`.
    """
    if FlowRunContext.get() is None or artifact.sha256 == PENDING:
        return
    book = current_ledger()
    text = markdown(read_json(store, artifact, "summary.json"), run_costs(book) if book else {})
    create_markdown_artifact(text, key="evaluation-report", description="What the model learned and what it forgot")


def show_search(store: Store, artifact: Artifact) -> None:
    """Adds a search's trials, as a table and as lines over parallel axes, to the flow run.

    Args:
        store: of the artifact.
        artifact: of `training/search-report`.
    """
    if FlowRunContext.get() is None or artifact.sha256 == PENDING:
        return
    document = read_json(store, artifact, "trials.json")
    tried = [Tried.model_validate(trial) for trial in document["trials"]]
    line = f"{len(tried)} trials, of which trial {document['winner']['number']} won"
    create_table_artifact(table_rows(tried), key="search-trials", description=line)
    picture = base64.b64encode((store.checkout(artifact) / "search.svg").read_bytes()).decode()
    create_image_artifact(f"data:image/svg+xml;base64,{picture}", key="search-lines", description=line)


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
    lines += ["", *(f"- {name}: {_link(address)}" for name, address in places.items() if address)]
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
        elif event.kind == "finished":
            logger.info("%s: %s%s", event.step, event.state, f", {event.text}" if event.text else "")
            if event.step in self._artifacts:
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
        bar = create_progress_artifact(progress=percent, key=event.step.replace("/", "-"), description=about)
        assert isinstance(bar, UUID)
        self._artifacts[event.step] = bar


def _short(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
