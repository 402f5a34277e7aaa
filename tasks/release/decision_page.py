"""The gate's decision, put on top of the evaluation's page: a reader's first question is whether it may be released."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tasks.base.errors import ReleaseError
from tasks.figures.page import DECISION_SLOT, render

TEMPLATE: Final = Path(__file__).with_name("decision.html.jinja")


def with_decision(page: str, decision: dict[str, Any]) -> str:
    """The page with the decision in the slot that it left for it.

    Args:
        page: HTML of the evaluation's report.
        decision: content of decision.json.

    Raises:
        ReleaseError: the page has no such slot, or several.
    """
    if page.count(DECISION_SLOT) != 1:
        raise ReleaseError("the evaluation's page has no place for the gate's decision; make the report again")
    return page.replace(DECISION_SLOT, render(TEMPLATE, **decision).strip())
