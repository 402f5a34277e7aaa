"""Wordings of pipelines and packages: what starts a workflow, what it does, who uses a dependency."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "ci": Wording(
        questions=(
            "When does the workflow “{workflow}” run?",
            "What starts “{workflow}” in {repo}?",
            "Which events trigger the workflow “{workflow}”?",
            "Does “{workflow}” of {repo} run on pull requests?",
            "I pushed a commit to {repo}. When is “{workflow}” started?",
            "On what does {repo} run “{workflow}”?",
            "How can I get “{workflow}” to run?",
            "What are the triggers of “{workflow}” in {repo}?",
        ),
        answers=(
            "On {triggers}.",
            "It runs on {triggers}.",
            "{triggers}, as `{path}` says.",
            "“{workflow}” is started by {triggers}.",
        ),
    ),
    "ci-jobs": Wording(
        questions=(
            "Which jobs does the workflow “{workflow}” have?",
            "What are the jobs of “{workflow}” in {repo}?",
            "Of which jobs does “{workflow}” consist?",
            "What runs in the workflow “{workflow}” of {repo}?",
            "Which jobs are started with “{workflow}”?",
            "List the jobs of the workflow “{workflow}”.",
            "How is “{workflow}” of {repo} divided up?",
            "What does “{workflow}” run, job by job?",
        ),
        answers=(
            "{values}.",
            "It has {count:#job|jobs}: {values}.",
            "{values}, declared in `{path}`.",
            "It runs {values}.",
        ),
    ),
    "ci-steps": Wording(
        questions=(
            "Which steps does `{subject}` go through in {workflow}?",
            "What does “{subject}” do, step by step?",
            "What happens in CI when “{subject}” runs in {repo}?",
            "In which order does “{subject}” of {repo} work?",
            "List the steps of “{subject}” in `{scope}`.",
            "What does {repo} do in “{subject}”?",
            "Walk me through “{subject}” in `{scope}`.",
            "Of which steps does “{subject}” consist in {repo}?",
        ),
        answers=(
            "{ordered}",
            "It has {count:#step|steps}:\n\n{ordered}",
            "`{scope}` runs these in order:\n\n{ordered}",
            "One after the other: {values}.",
        ),
    ),
    "ci-step": Wording(
        questions=(
            "What does the step “{step}” run in the workflow “{workflow}”?",
            "Which command is behind “{step}” in “{workflow}”?",
            "How does {repo} do “{step}” in CI?",
            "The step “{step}” of “{workflow}” failed. What does it run?",
            "I want to run “{step}” of {repo} by hand. Which command is it?",
            "What is executed by “{step}” in `{scope}`?",
            "In {repo}, which command does CI use for “{step}”?",
            "Show me the command of “{step}” in “{workflow}”.",
        ),
        answers=(
            "{command}",
            "It runs {command}",
            "In “{workflow}” it runs {command}",
            "`{scope}` says {command}",
        ),
    ),
    "ci-action": Wording(
        questions=(
            "Which action does the step “{step}” use in “{workflow}”?",
            "What is behind the step “{step}” of “{workflow}”?",
            "How is “{step}” done in the workflow “{workflow}” of {repo}?",
            "Which action and version does {repo} use for “{step}”?",
            "In `{scope}`, what does “{step}” use?",
            "The step “{step}” of “{workflow}” is outdated. Which action is it?",
            "Which action would I update to change “{step}” in {repo}?",
            "What carries out “{step}” in “{workflow}”?",
        ),
        answers=("`{value}`.", "It uses `{value}`.", "`{value}`, as `{scope}` says.", "The action `{value}` does it."),
    ),
    "ci-stages": Wording(
        questions=(
            "Which stages does the pipeline of {repo} have?",
            "In which order do the stages of {repo}'s pipeline run?",
            "What are the stages of the GitLab pipeline of {repo}?",
            "Through which stages does a commit of {repo} go?",
            "How is the pipeline of {repo} divided up?",
            "Which stage comes first in the pipeline of {repo}, and which follow?",
            "List the pipeline stages of {repo}.",
            "What does `{path}` of {repo} name as stages?",
        ),
        answers=(
            "{values}.",
            "In this order: {values}.",
            "It has {count:#stage|stages}: {values}.",
            "`{path}` names {values}.",
        ),
    ),
    "dependency-users": Wording(
        questions=(
            "Which files of {repo} use `{subject}`?",
            "Where is the package `{subject}` imported in {repo}?",
            "What would be affected by an update of `{subject}` in {repo}?",
            "Does {repo} still need `{subject}`, and for what?",
            "If I replace `{subject}`, which files of {repo} do I have to change?",
            "Which code of {repo} depends on the package `{subject}`?",
            "Why is `{subject}` a dependency of {repo}: what imports it?",
            "What uses `{subject}` in {repo}?",
        ),
        answers=(
            "{values}.",
            "It is imported in {values}.",
            "{values} {count:imports|import} it; `{path}` asks for version `{version}`.",
            "{count:#file imports|files import} it: {values}.",
        ),
    ),
}
