"""`rawtune explain`: which steps of a preset would be hits, and why the others would not."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

from rich.markup import escape

from deployments import console
from deployments.console import open_store

if TYPE_CHECKING:
    from flows.params import RetrainParams


def explain_preset(params: RetrainParams, as_json: bool) -> None:
    """Resolves the sources, then walks the workflow without running anything.

    Raises:
        InputError: as for a run.
    """
    from flows.resolve import resolve, scheduled_start
    from flows.retrain import workflow
    from tasks.base.steps import explaining

    store = open_store(params.store)
    resolved = resolve(store, params, scheduled_start())
    with explaining() as explanations:
        workflow(store, params, resolved)
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(explanation) for explanation in explanations]) + "\n")
        return
    for explanation in explanations:
        mark = console.SYMBOLS["Cached"] + " hit " if explanation.hit else "[yellow]▷[/] miss"
        console.output.print(
            f"{mark} {explanation.step:<26}{escape('; '.join(explanation.differences))}", highlight=False
        )
