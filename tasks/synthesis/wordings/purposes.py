"""Wordings of what things are for."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "purpose": Wording(
        questions=(
            "What is {named} for?",
            "What does the {thing} {named} do in {repo}?",
            "What does {named} do?",
            "What do the docs in the code say about {named}?",
            "I came across {named} in {repo}. What is it good for?",
            "What is the job of the {thing} {named}?",
            "In {repo}, what is the idea behind {named}?",
            "In a sentence: what is {named} about?",
            "How do the authors of {repo} describe {named}?",
            "Tell me what {named} is for in {repo}.",
            "Describe {named} of {repo} in a sentence.",
            "I'd like to know what {named} of {repo} does.",
            "Purpose of {named} in {repo}?",
            "{named!c} of {repo} is there for what?",
            "In a review of {repo} somebody asks what {named} is for. What do I reply?",
        ),
        answers=(
            "{told!c}",
            "Its documentation says: {value!c}",
            "{told!c} (`{path}`)",
            "`{subject}` is {thing!a} in `{path}`. {told!c}",
        ),
    )
}
"""The value is a sentence of its own."""
