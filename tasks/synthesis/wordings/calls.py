"""Wordings of calls."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "calls": Wording(
        questions=(
            "Which functions of the repository does {named} call in {repo}?",
            "What does {named} rely on in {repo}?",
            "Which of {repo}'s own code is used inside {named}?",
            "What does the {thing} {named} in {repo} call?",
            "If I read {named} in {repo}, which other definitions do I need to know?",
            "Which helpers does {named} of {repo} make use of?",
            "In {repo}, what does {named} build on?",
            "What do I have to look at to understand {named} in {repo}?",
        ),
        answers=(
            "It calls {values}.",
            "{values}.",
            "It builds on {values}; you find it in `{path}`.",
            "The {thing} makes use of {count:#definition|definitions} of the repository: {values}.",
        ),
    )
}
