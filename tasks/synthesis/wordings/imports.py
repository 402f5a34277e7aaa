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
            "List all that `{path}` of {repo} imports from `{target}`.",
            "Tell me what `{path}` takes from `{target}` in {repo}.",
            "I'd like to know what `{path}` of {repo} gets out of `{target}`.",
            "Imports of `{path}` from `{target}` in {repo}?",
            "From `{target}`, what is imported by `{path}` in {repo}?",
            "I'm splitting `{target}` of {repo}. What does `{path}` import from it?",
            "List what `{path}` of {repo} takes from `{target}`.",
            "Which names out of `{target}` does {repo}'s `{path}` need?",
            "Name what `{path}` imports from the repository's own `{target}`.",
        ),
        answers=(
            "It imports {values}.",
            "{values}.",
            "`{path}` takes {values} from `{target}`.",
            "It uses {values}, imported from `{module}`.",
        ),
        explains=False,
    ),
    "depends-on": Wording(
        questions=(
            "What does `{path}` depend on within {repo}?",
            "Which other files of {repo} does `{path}` need, and what for?",
            "What does `{path}` take from the rest of {repo}?",
            "Before I read `{path}` of {repo}: which other files should I know?",
            "On which code of {repo} does `{path}` build?",
            "If I move `{path}` out of {repo}, what has to come with it?",
            "Which definitions of other files does `{path}` use in {repo}?",
            "How is `{path}` connected to the rest of {repo}?",
            "List everything within {repo} that `{path}` imports, with its file.",
            "Show me what `{path}` of {repo} builds on.",
            "I'd like to know what `{path}` imports from other files of {repo}.",
            "Internal imports of `{path}` in {repo}?",
            "By `{path}`, what of the rest of {repo} is imported?",
            "I want to test `{path}` of {repo} alone. Which other files does it bring with it?",
            "List the files of {repo} from which `{path}` imports something.",
            "Where within {repo} do the imports of `{path}` lead?",
            "Name the repository's files that `{path}` of {repo} needs.",
        ),
        answers=(
            "{values}.",
            "It imports:\n\n{placed}",
            "It builds on {count:#file|files} of the repository:\n\n{placed}",
            "{placed}",
        ),
        explains=False,
    ),
}
