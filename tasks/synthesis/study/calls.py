"""Step `synthesis/calls`: documents of the training side in, out what a model is to be shown and asked about them.

Needs no model and no GPU. An unchanged document makes the same record next month, so its answers are found again.
"""

from __future__ import annotations

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.synthesis.index import FILES, Index
from tasks.synthesis.study.materials import Material, left_out, materials
from tasks.synthesis.study_params import CallParams

VERSION = "2026.11.30"


@step("synthesis/calls", VERSION)
def calls(run: StepRun, documents: Artifact, params: CallParams) -> None:
    """Writes a `Material` for whatever a model is shown; never of a held-out document, nor with a line of one.

    Args:
        run: this execution.
        documents: the split.
        params: what is asked, how much is shown.
    """
    trained = list(run.read(documents, Document, FILES[Split.TRAIN]))
    found = list(materials(trained, Index(run.checkout(documents)), params))
    shown = {part.document_id for one in found for part in one.parts}
    for document in trained:
        if document.id not in shown:
            run.verdict(document.id, *(left_out(document) or ("too-short", "nothing to show")))
    for one in found:
        run.count(f"form:{one.form}")
        run.count("listings", len(one.manners))
    run.write(found)


def materials_of(run: StepRun, made: Artifact) -> dict[str, Material]:
    """The materials of `synthesis/calls` by id, in order."""
    return {one.id: one for one in run.read(made, Material)}
