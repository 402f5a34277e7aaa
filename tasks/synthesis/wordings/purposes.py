"""Wordings of what things are for."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "purpose": Wording(
        questions=(
            "What is {named} for?",
            "What does the {thing} {named} do in {repo}?",
            "Explain {named} to me.",
            "Why does {repo} have {named}?",
            "I came across {named} in {repo}. What is it good for?",
            "What is the job of the {thing} {named}?",
            "In {repo}, what is the idea behind {named}?",
            "When would I use {named}?",
            "How do the authors of {repo} describe {named}?",
        ),
        answers=(
            "{value!c}",
            "Its documentation says: {value!c}",
            "{value!c} (`{path}`)",
            "`{subject}` is {thing!a} in `{path}`. {value!c}",
        ),
    )
}
"""The value is a sentence of its own."""
