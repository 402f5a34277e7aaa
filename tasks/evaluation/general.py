"""Fixed material that has nothing to do with any source: what a model may forget.

The text was written for this project, so no model has learned it by heart and no licence hinders its use.
"""

from __future__ import annotations

from importlib import resources


def general_texts() -> list[tuple[str, str]]:
    """(id, text) of the fixed paragraphs, in order."""
    text = (resources.files("tasks.evaluation") / "general_text.txt").read_text("utf-8")
    return [(f"general/text/{number:03d}", paragraph) for number, paragraph in enumerate(text.strip().split("\n\n"))]
