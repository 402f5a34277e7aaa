"""A finished run's figures in MLflow or Weights & Biases, where their own variables are set.

`MLFLOW_TRACKING_URI` names MLflow's server (`MLFLOW_EXPERIMENT_NAME` the experiment, else the project).
`WANDB_API_KEY`, or `WANDB_MODE` as `offline` or `online`, turns Weights & Biases on (`WANDB_PROJECT`, else the project;
`WANDB_DIR`). Sent are parameters, scores by suite, kind and arm, losses, seconds, dollars and the loss curve; no text
of the sources, no question and no answer. Their libraries are the extra `trackers` and are imported only then.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from flows.params import RetrainParams
from flows.resolve import Resolved, release_facts, run_name
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.ledger import Ledger
from tasks.base.runs import read_json
from tasks.evaluation.page import run_costs
from tasks.evaluation.params import Arm
from tasks.training.search.trial import loss_lines

MLFLOW: Final = "MLFLOW_TRACKING_URI"
QUIET: Final = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}
"""Neither library reports on its use; what the user has set stays."""

MLFLOW_PARAMS: Final = 100
MLFLOW_METRICS: Final = 1_000
"""Most of one request (mlflow.utils.validation)."""
MLFLOW_CHARACTERS: Final = 6_000
"""Longest value of a parameter."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tracked:
    """What is told of a run."""

    project: str
    name: str
    """`project @ date commit`."""
    run: str
    """Of the ledger."""
    decision: str
    """The gate's: `allow`, `refuse`; empty where it was not asked."""
    params: Mapping[str, Any]
    figures: Mapping[str, float]
    curve: Sequence[tuple[int, Mapping[str, float]]]
    """(training step, its figures), ascending."""


def check_trackers() -> None:
    """Looks before anything is spent whether what the variables ask for can be done.

    Raises:
        InputError: a library is missing, or MLflow's server does not answer.
    """
    for tracker in _asked_for():
        if find_spec(tracker) is None:
            raise InputError(
                f"{_variable(tracker)}: {tracker} is not installed; install rawtune[trackers], or unset the variable"
            )
    if os.environ.get(MLFLOW):
        from mlflow.exceptions import MlflowException

        try:
            _mlflow_client().search_experiments(max_results=1)
        except (MlflowException, OSError) as error:
            raise InputError(f"{MLFLOW}: {_first_line(error)}; correct it, or unset it") from error


def track(book: Ledger, params: RetrainParams, resolved: Resolved) -> None:
    """Sends the figures of a run; nothing of one that ended before its evaluation.

    A tracker that fails by now ends nothing: the model is made and perhaps published. It is logged as an error and
    stands in the run's report, `resolved.trackers`.

    Args:
        book: of the run.
        params: as they were run.
        resolved: sources at their commits.
    """
    senders, page = _asked_for(), book.report
    made = {one.step: Artifact(step=one.step, version="", **one.artifact) for one in page.steps if one.artifact}
    if not senders or "evaluation/report" not in made:
        return
    told = Tracked(
        project=params.name,
        name=run_name(params.name, resolved),
        run=page.run,
        decision=page.decision or "",
        params=dict(flat(release_facts(params, resolved).params)),
        figures=figures(read_json(book.store, made["evaluation/report"], "summary.json")) | run_costs(book),
        curve=list(curve(loss_lines(book.store, made["training/train"]))),
    )
    for tracker, send in senders.items():
        try:
            place = send(told)
        except Exception as error:  # each library has errors of its own, and all of them leave the run as it is
            logger.error("%s did not take the run's figures: %s", tracker, _first_line(error))
            place = f"failed: {_first_line(error)}"
        else:
            logger.info("figures in %s: %s", tracker, place)
        page.resolved.setdefault("trackers", {})[tracker] = place


def figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """Scores and losses of an evaluation's summary.json: `recall/tuned`, `recall/difference-low`,
    `kind/value/tuned`, `loss/general_loss/tuned`; what was not measured is left out.
    """
    found: dict[str, float | None] = {}
    for arm, suites in summary["arms"].items():
        found |= {f"{suite}/{arm}": row["estimate"] for suite, row in suites.items()}
    for suite, row in summary["differences"].items():
        found |= {f"{suite}/difference": row["estimate"]}
        found |= {f"{suite}/difference-{bound}": row[bound] for bound in ("low", "high")}
    for kind, arms in summary["kinds"].items():
        found |= {f"kind/{kind}/{Arm.TUNED}": arms[Arm.TUNED]["estimate"]} if Arm.TUNED in arms else {}
    for arm, streams in summary["losses"].items():
        found |= {f"loss/{stream}/{arm}": row["loss"] for stream, row in streams.items()}
    return {metric(name): float(value) for name, value in found.items() if value is not None}


def curve(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, float]]]:
    """The training steps of a `loss.jsonl`: loss, loss by source, learning rate and gradient norm."""
    for line in lines:
        if "loss" in line:
            whole = {f"training/{name}": line[name] for name in ("learning_rate", "grad_norm") if name in line}
            whole["training/loss/all"] = line["loss"]
            by_source = {metric(f"training/loss/{name}"): value for name, value in line["losses"].items()}
            yield int(line["step"]), whole | by_source


def metric(name: str) -> str:
    """A name that MLflow takes: `loss/general_loss:code-c++/base` → `loss/general_loss/code-c--/base`. None may be a
    folder of another, since a file store keeps them as files.
    """
    return re.sub(r"[^\w\-. /]", "-", name.replace(":", "/"), flags=re.ASCII)


def flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`section.key` of every value; lists stay whole."""
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _asked_for() -> dict[str, Callable[[Tracked], str]]:
    """The trackers whose variables are set, by the names of their libraries."""
    asked: dict[str, Callable[[Tracked], str]] = {}
    if os.environ.get(MLFLOW):
        asked["mlflow"] = _to_mlflow
    mode = os.environ.get("WANDB_MODE", "online" if os.environ.get("WANDB_API_KEY") else "disabled")
    if mode in ("online", "offline"):
        asked["wandb"] = _to_wandb
    for name, value in QUIET.items() if asked else ():
        os.environ.setdefault(name, value)
    return asked


def _variable(tracker: str) -> str:
    return MLFLOW if tracker == "mlflow" else "WANDB_MODE or WANDB_API_KEY"


def _mlflow_client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient(os.environ[MLFLOW])


def _to_mlflow(told: Tracked) -> str:
    from mlflow.entities import Metric, Param, RunStatus, RunTag

    client = _mlflow_client()
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or told.project
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name)
    run = client.create_run(number, run_name=told.name).info.run_id
    params = [Param(key, str(value)[:MLFLOW_CHARACTERS]) for key, value in told.params.items()]
    for first in range(0, len(params), MLFLOW_PARAMS):
        client.log_batch(run, params=params[first : first + MLFLOW_PARAMS])
    now = round(1000 * time.time())
    metrics = [Metric(key, value, now, step) for step, found in told.curve for key, value in found.items()]
    metrics += [Metric(key, value, now, 0) for key, value in told.figures.items()]
    for first in range(0, len(metrics), MLFLOW_METRICS):
        client.log_batch(run, metrics=metrics[first : first + MLFLOW_METRICS])
    client.log_batch(run, tags=[RunTag("rawtune.run", told.run), RunTag("rawtune.decision", told.decision)])
    client.set_terminated(run, RunStatus.to_string(RunStatus.FINISHED))
    return f"{name}/{run}"


def _to_wandb(told: Tracked) -> str:
    import wandb

    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT") or told.project,
        name=told.name,
        config={**told.params, "rawtune.run": told.run},
        tags=[told.decision] if told.decision else None,
        settings=settings,
    )
    for step, found in told.curve:
        run.log(dict(found), step=step)
    run.summary.update(dict(told.figures))
    run.finish()
    return str(run.url or run.dir)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
