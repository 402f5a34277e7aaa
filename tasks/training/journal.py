"""What a run writes down about itself: a line per optimizer step, and whether it should go on.

`loss.jsonl` holds facts that a repeated run has again bit for bit (on a CPU): `step`, `loss` (nats per target token),
`losses` and `targets_by_source` (per source), `learning_rate`, `grad_norm`, `targets`, `tokens`. Some steps have more:
the first one `base` (the base's loss by general stream), looks `general` (see `GeneralLoss.rise`) and in a search's
trials `held_out` (nats per token by stream), the one whose weights are the adapter `kept`. Times and rates go to the
progress events.

TensorBoard's event files, which the child writes while it trains, hold what `step` and `look` events hold. They lie in
the ledger (`ledger/tensorboard/<run>/<first 8 of the step's key>/`), never in an artifact, because they hold
wall-clock. `tensorboard --logdir STORE/ledger/tensorboard` shows all runs.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any, Final

from tasks.base.errors import BudgetError, TrainingError
from tasks.base.ledger import current_ledger
from tasks.base.runs import StepRun
from tasks.model.child_main import Report
from tasks.training.checkpoints import Checkpoints
from tasks.training.params import TrainingParams
from tasks.training.validation import GeneralLoss, Losses, Validation, mean_loss

SMOOTHING: Final = 0.9
DIVERGED_NATS: Final = 3.0
"""A smoothed loss this far above its best is divergence: sources of one run differ by up to about 2 nats, so less
would stop healthy runs.
"""

GIVEN_UP: Final = 10
"""Training stops once the general loss is this many times further above the base's than it may be. Up to there it goes
on, since a falling rate takes some of it back.
"""


class Journal:
    """Collects micro-batches' facts into a line per step, and keeps the lines for checkpoints."""

    def __init__(
        self,
        sources: tuple[str, ...],
        steps: int,
        params: TrainingParams,
        report: Report,
        flops_per_token: float = 0.0,
        peak_flops: float | None = None,
    ) -> None:
        """Begins with no lines.

        Args:
            sources: names, in the order of the sums.
            steps: optimizer steps of the whole run.
            params: the recipe and its limits.
            report: gets an event per step.
            flops_per_token: operations; 0 = not known.
            peak_flops: what all devices together could do; None = not known, as for a CPU.
        """
        self.sources, self.steps, self.params, self.report = sources, steps, params, report
        self.lines: list[dict[str, Any]] = []
        self.validation: Validation | None = None
        """Held-out rows to look at; null = none."""
        self.general: GeneralLoss | None = None
        """General text and samples of the base to look at; null = none."""
        self._base: dict[str, float] | None = None
        self._general_facts: dict[str, float | int | str] = {}
        self.spent_before = 0.0
        """Seconds that earlier, interrupted attempts took."""
        self._flops_per_token, self._peak_flops = flops_per_token, peak_flops
        self._sums = [0.0] * len(sources)
        self._counts = [0] * len(sources)
        self._tokens = 0
        self._divergence, self._held_near = 0.0, 0
        self._started = time.monotonic()
        self._first: tuple[float, int] | None = None

    def add(self, sums: list[float], counts: list[int], tokens: int) -> None:
        """Notes a micro-batch: per source the sum and number of its targets' losses, and the tokens."""
        self._sums = [old + new for old, new in zip(self._sums, sums, strict=True)]
        self._counts = [old + new for old, new in zip(self._counts, counts, strict=True)]
        self._tokens += tokens

    def add_divergence(self, total: float, tokens: int) -> None:
        """Notes a micro-batch's divergence from the base: its sum, and over how many tokens."""
        self._divergence, self._held_near = self._divergence + total, self._held_near + tokens

    def close_step(self, learning_rate: float, grad_norm: float, peak_bytes: int = 0) -> dict[str, Any]:
        """Ends an optimizer step: its line, also sent to the parent with rates and remaining time.

        Raises:
            TrainingError: the loss is not finite or has diverged.
            BudgetError: time or money is used up.
        """
        targets = sum(self._counts)
        line: dict[str, Any] = {
            "step": len(self.lines) + 1,
            "loss": sum(self._sums) / max(targets, 1),
            "losses": {
                name: total / count
                for name, total, count in zip(self.sources, self._sums, self._counts, strict=True)
                if count
            },
            "targets_by_source": {name: count for name, count in zip(self.sources, self._counts, strict=True) if count},
            "learning_rate": learning_rate,
            "grad_norm": grad_norm,
            "targets": targets,
            "tokens": self._tokens,
        }
        if self._base is not None and line["step"] == 1:
            line["base"] = self._base
        if self._held_near:
            line["kl"] = self._divergence / self._held_near
        self.lines.append(line)
        self._sums, self._counts, self._tokens = [0.0] * len(self.sources), [0] * len(self.sources), 0
        self._divergence, self._held_near = 0.0, 0
        self._tell(line, peak_bytes)
        reason = trouble([entry["loss"] for entry in self.lines]) or _not_finite("gradient", grad_norm, line["step"])
        if reason:
            raise TrainingError(reason)
        self._check_budget()
        return line

    def begin(self, losses: Losses) -> None:
        """Before the first step, when the model still is its base: measures what it will be compared with."""
        if self.general is not None:
            self._base = self.lines[0]["base"] if self.lines else self.general.measure(losses)

    def look_due(self, step: int) -> bool:
        """Whether something is to be measured after this step, once its line is closed."""
        return any(rows is not None and rows.is_due(step) for rows in (self.validation, self.general))

    def look(self, losses: Losses) -> None:
        """Measures what is due after the last closed step, notes it in the step's line and tells the parent.

        Raises:
            TrainingError: it is not finite.
        """
        line = self.lines[-1]
        facts: dict[str, float | int | str] = {}
        if self.validation is not None and self.validation.is_due(line["step"]):
            line["held_out"] = self.validation.measure(losses)
            facts["held_out_loss"] = self._finite("held-out loss", mean_loss(line["held_out"]))
            facts |= {f"loss {name}": round(value, 4) for name, value in line["held_out"].items()}
        if self.general is not None and self.general.is_due(line["step"]):
            assert self._base is not None
            line["general"] = self.general.rise(self._base, self.general.measure(losses))
            self._finite("general loss", line["general"]["above_base"])
            self._general_facts = _general_facts(line)
            facts |= self._general_facts
        self.report({"kind": "look", "done": line["step"], "total": self.steps, "facts": facts})

    @property
    def kept_step(self) -> int | None:
        """The step whose weights are the adapter: the last, or the last within `max_general_loss`; null = none."""
        bound = self.params.max_general_loss
        if bound is None or self.general is None:
            return len(self.lines)
        held = [line["step"] for line in self.lines if "general" in line and line["general"]["above_base"] <= bound]
        return held[-1] if held else None

    @property
    def is_given_up(self) -> bool:
        """Whether the last look leaves no hope that the general loss will come back within its bound."""
        bound = self.params.max_general_loss
        rises = [line["general"]["above_base"] for line in self.lines if "general" in line]
        return bound is not None and bool(rises) and rises[-1] > GIVEN_UP * bound

    def kept(self, checkpoints: Checkpoints) -> Path | None:
        """At the end: the checkpoint whose weights are the adapter; null = those that training ended with.

        Raises:
            TrainingError: no look was within the bound.
        """
        step, bound = self.kept_step, self.params.max_general_loss
        if step is not None:
            self.lines[step - 1]["kept"] = True
        if step == len(self.lines):
            return None
        last = next(line for line in reversed(self.lines) if "general" in line)
        rise = last["general"]["above_base"]
        above = f"the loss on general text is {rise:+.3f} nats above base at step {last['step']}"
        if step is None:
            raise TrainingError(
                f"training.max_general_loss: {above}, {bound:g} allowed, and no earlier look was within it; lower "
                "training.learning_rate, give dataset.replay a larger share, or set max_general_loss to null"
            )
        self.report({"kind": "note", "text": f"{above}, {bound:g} allowed: keeps the adapter of step {step}"})
        return checkpoints.at(step)

    def outcome(self) -> dict[str, Any]:
        """At the end: which step's weights are the adapter and what it forgot; empty without a look."""
        looks = [line for line in self.lines if "general" in line and line["step"] <= (self.kept_step or 0)]
        if not looks:
            return {}
        return {"kept_step": self.kept_step, "planned_steps": self.steps} | _general_facts(looks[-1])

    def seconds(self) -> float:
        """Time that this run has taken, interrupted attempts included."""
        return self.spent_before + time.monotonic() - self._started

    def resume(self, lines: list[dict[str, Any]], seconds: float) -> None:
        """Takes over what a checkpoint holds, and says so."""
        self.lines, self.spent_before = list(lines), seconds
        self._general_facts = next((_general_facts(line) for line in reversed(lines) if "general" in line), {})
        at = f"goes on from its checkpoint at step {len(lines)} of {self.steps}, {seconds:.0f} s of training done"
        self.report({"kind": "note", "text": at})

    def _tell(self, line: dict[str, Any], peak_bytes: int) -> None:
        now = time.monotonic()
        if self._first is None:  # the first step compiles and warms up, so rates are measured from its end
            self._first = (now, line["step"])
        since, first = self._first
        done = line["step"] - first
        facts: dict[str, float | int | str] = {
            "loss": round(line["loss"], 4),
            "learning_rate": line["learning_rate"],
            "grad_norm": round(line["grad_norm"], 4),
        }
        facts |= self._general_facts
        if "kl" in line:
            facts["kl"] = round(line["kl"], 5)
        facts |= {f"loss {name}": round(value, 4) for name, value in line["losses"].items()}
        if done:
            rate = sum(entry["tokens"] for entry in self.lines[first:]) / (now - since)
            facts["tokens_per_second"] = round(rate, 1)
            facts["eta"] = round((self.steps - line["step"]) * (now - since) / done, 1)
            if self._flops_per_token:
                flops = rate * self._flops_per_token
                facts["tflops"] = round(flops / 1e12, 3)
                facts["mfu"] = round(flops / self._peak_flops, 3) if self._peak_flops else "none"
        if self.params.usd_per_hour:
            facts["usd"] = round(self.seconds() / 3600 * self.params.usd_per_hour, 4)
        if peak_bytes:
            facts["peak_gib"] = round(peak_bytes / 2**30, 2)
        self.report({"kind": "step", "done": line["step"], "total": self.steps, "facts": facts})

    def _finite(self, what: str, value: float) -> float:
        reason = _not_finite(what, value, self.lines[-1]["step"])
        if reason:
            raise TrainingError(reason)
        return value

    def _check_budget(self) -> None:
        hours = self.seconds() / 3600
        usd = hours * self.params.usd_per_hour
        for name, used, limit in (("max_hours", hours, self.params.max_hours), ("max_usd", usd, self.params.max_usd)):
            if limit is not None and used > limit and len(self.lines) < self.steps:
                raise BudgetError(
                    f"training.{name}: {used:.2f} used of {limit:g} at step {len(self.lines)} of {self.steps}; "
                    "raise the limit and run again to go on from the last checkpoint"
                )


def trouble(losses: list[float]) -> str | None:
    """Why training must stop after these losses, or None.

    Not finite, or an exponential mean (factor 0.9) more than `DIVERGED_NATS` above the lowest it has been.
    """
    if not losses:
        return None
    reason = _not_finite("loss", losses[-1], len(losses))
    if reason:
        return reason
    mean = lowest = losses[0]
    for loss in losses:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        lowest = min(lowest, mean)
    if mean > lowest + DIVERGED_NATS:
        return (
            f"the loss diverges at step {len(losses)} (mean {mean:.2f}, lowest {lowest:.2f}); "
            "lower training.learning_rate"
        )
    return None


def last_good(losses: list[float]) -> int:
    """The last step whose weights are known to be good: the step after it had a sound loss.

    A loss is measured before its step's update, so the weights of step s show in the loss of step s + 1. Bad is what is
    not finite or lies more than `DIVERGED_NATS` above the lowest exponential mean before it.

    Args:
        losses: of steps 1, 2, …; the last ones bad.
    """
    mean = lowest = losses[0]
    for step, loss in enumerate(losses, 1):
        if not math.isfinite(loss) or loss > lowest + DIVERGED_NATS:
            return max(0, step - 2)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        lowest = min(lowest, mean)
    return len(losses) - 1


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """Writes the step lines as JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads them back."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _general_facts(line: dict[str, Any]) -> dict[str, float | int | str]:
    """What people see of a look beside the bar."""
    names = {"above_base": "general_loss_above_base", "kl_to_base": "kl_to_base"}
    return {told: round(line["general"][name], 4) for name, told in names.items() if name in line["general"]}


def _not_finite(what: str, value: float, step: int) -> str | None:
    if math.isfinite(value):
        return None
    return f"the {what} is not finite at step {step}; lower training.learning_rate or look at the rows of that step"


class EventFolder:
    """Where the parent has the files written: the ledger, or a folder of this machine.

    The folder is for stores of other machines; `keep` copies its files to the ledger.
    """

    def __init__(self, run: StepRun) -> None:
        book = current_ledger()
        self.path: Path | None = None
        """None outside a run, which has no ledger."""
        if book is not None:
            folders = ("ledger", "tensorboard", book.report.run, run.key[:8])
            self.path = run.store.local(*folders)
            self._remote = None if run.store.is_local else run.store.root.joinpath(*folders)

    def keep(self) -> None:
        """Copies what there is to the ledger of an object store; does nothing for a local one."""
        if self.path is None or self._remote is None:
            return
        for file in sorted(self.path.iterdir()):
            with file.open("rb") as reader, (self._remote / file.name).open("wb") as writer:
                shutil.copyfileobj(reader, writer)


def with_event_files(report: Report, folder: Path | None) -> Report:
    """The same report that also writes the numbers of steps and looks to `folder`; None = the same report."""
    if folder is None:
        return report
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary
    except ImportError:  # Unsloth's environment is its own
        report({"kind": "note", "text": "no event files: this environment has no tensorboardX"})
        return report
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventsWriter(str(folder / "events"))  # not SummaryWriter, whose thread would die with the child, unflushed

    def write(event: dict[str, Any]) -> None:
        if event["kind"] in ("step", "look"):
            values = [
                Summary.Value(tag=tag(name), simple_value=value)
                for name, value in event["facts"].items()
                if isinstance(value, int | float)
            ]
            writer.write_event(Event(wall_time=time.time(), step=event["done"], summary=Summary(value=values)))
            writer.flush()
        report(event)

    return write


def tag(fact: str) -> str:
    """A fact's name in TensorBoard: losses share a group, one chart per source."""
    if fact == "loss":
        return "loss/all"
    return f"loss/{fact.removeprefix('loss ')}" if fact.startswith("loss ") else f"training/{fact}"
