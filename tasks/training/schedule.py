"""The learning rate over the steps of a run."""

from __future__ import annotations

import math

from tasks.training.params import Schedule


def factor(step: int, steps: int, warmup_fraction: float, schedule: Schedule) -> float:
    """What the peak learning rate is multiplied by in a step.

    Linear rise over the first `ceil(steps * warmup_fraction)` steps, then 1, or a line or half a cosine from 1 to 0
    (as transformers' schedulers of these names do, but that they begin the rise at 0: a step that changes nothing).

    Args:
        step: 0 for the first.
        steps: of the whole run.
        warmup_fraction: share of the steps with a rising rate.
        schedule: what follows.
    """
    warmup = math.ceil(steps * warmup_fraction)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    if schedule is Schedule.COSINE:
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * done)))
    if schedule is Schedule.LINEAR:
        return max(0.0, 1.0 - done)
    return 1.0
