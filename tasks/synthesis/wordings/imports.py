"""Wordings of imports."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "import": Wording(
        questions=(
            "What does `{path}` in {repo} import from `{target}`?",
            "Which names does `{path}` take from `{target}` in {repo}?",
            "What of `{target}` is used by `{path}` in {repo}?",
            "In {repo}, `{path}` imports from `{target}`. What exactly?",
            "What does `{path}` need from `{target}` in {repo}?",
            "Why does `{path}` of {repo} depend on `{target}`? What does it take from it?",
            "Which things defined in `{target}` does `{path}` import in {repo}?",
            "How are `{path}` and `{target}` connected in {repo}?",
        ),
        answers=(
            "It imports {values}.",
            "{values}.",
            "`{path}` takes {values} from `{target}`.",
            "It uses {values}, imported from `{module}`.",
        ),
        explains=False,
    )
}
