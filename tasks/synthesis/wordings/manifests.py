"""Wordings of package manifests: dependencies and scripts."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "dependency": Wording(
        questions=(
            "Which version of `{subject}` does {repo} use?",
            "Which version of `{subject}` does `{path}` in {repo} ask for?",
            "How is `{subject}` pinned in {repo}?",
            "{repo} depends on `{subject}`. In which version?",
            "What version of `{subject}` is in `{path}` of {repo}?",
            "Does {repo} depend on `{subject}`, and if so, on which version?",
            "In {repo}, what does `{path}` say about the version of `{subject}`?",
            "I'm checking `{subject}` for an update in {repo}. Which version is asked for now?",
            "Tell me the version of `{subject}` that `{path}` of {repo} asks for.",
            "Give me the version of `{subject}` in {repo}.",
            "Do you know which version of `{subject}` {repo} asks for in `{path}`?",
            "Version of `{subject}` in `{path}` of {repo}?",
            "`{subject}` is required by {repo} in which version?",
            "A security notice names `{subject}`. What does `{path}` of {repo} ask for?",
            "Which range of versions of `{subject}` does {repo} accept?",
            "State the version constraint on `{subject}` in `{path}`.",
            "What version range stands beside `{subject}` in `{path}` of {repo}?",
        ),
        answers=(
            "`{value}`.",
            "`{value}`, stated in `{path}`.",
            "`{path}` asks for `{subject}` `{value}` (under `{group}`).",
            "Version `{value}`; it is listed under `{group}` in `{path}`.",
        ),
        explains=False,
    ),
    "script": Wording(
        questions=(
            "What does the script `{subject}` run in {repo}?",
            "Which command is behind the `{subject}` script of {repo}?",
            "What happens when I run the `{subject}` script in {repo}?",
            "How is the script `{subject}` in `{path}` of {repo} defined?",
            "In {repo}, what does the `{subject}` script of `{path}` do?",
            "Show me the command of the `{subject}` script in {repo}.",
            "I ran the script `{subject}` of {repo}. What did it execute?",
            "Which command does `{subject}` stand for in `{path}` of {repo}?",
            "Tell me what `{subject}` in `{path}` of {repo} runs.",
            "Quote the script `{subject}` of {repo}.",
            "I'd like to know what the `{subject}` script of {repo} executes.",
            "Script `{subject}` in `{path}` of {repo}?",
            "By the script `{subject}` of {repo}, which command is run?",
            "The script `{subject}` of {repo} fails here. What would I type to run its command by hand?",
        ),
        answers=(
            "It runs `{value}`.",
            "`{value}`.",
            "It runs `{value}`, as `{path}` defines it.",
            "The script `{subject}` in `{path}` is `{value}`.",
        ),
    ),
}
