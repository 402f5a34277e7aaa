"""Wordings of pull requests."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "pull": Wording(
        questions=(
            "What did pull request {subject} of {repo} do?",
            "What is pull request {subject} in {repo} about?",
            "Summarise pull request {subject} of {repo} for me.",
            "In {repo}, what changed with {subject}?",
            "Which part of {repo} did pull request {subject} work on, and what for?",
            "I came across {subject} in the history of {repo}. What was it?",
            "What does PR {subject} of {repo} change?",
            "What came of pull request {subject} in {repo}?",
        ),
        answers=(
            "“{value}”. {gist} The changes are in {areas}.",
            "“{value}”. {gist} The changes are mostly in {most}.",
            "“{value}”. {gist} It adds {added}.",
            "“{value}”. It changes {files:#file|files} in {areas}.",
            "“{value}”. It changes {files:#file|files}, mostly in {most}.",
            "“{value}”, merged on {merged}. It works on {areas}.",
            "“{value}”, by {author}. It adds {added} and touches {areas}.",
            "“{value}”. It removes {removed}; the changes are in {areas}.",
            "“{value}”. The changes are in {areas}.",
        ),
    ),
    "pull-number": Wording(
        questions=(
            "Which pull request of {repo} is “{subject}”?",
            "What is the number of the pull request “{subject}” in {repo}?",
            "In which pull request of {repo} was “{subject}” proposed?",
            "I remember a pull request “{subject}” in {repo}. Which one is it?",
            "Where can I look up the change “{subject}” of {repo}?",
            "Which PR in {repo} has the title “{subject}”?",
            "Find me the pull request “{subject}” of {repo}.",
            "“{subject}”: which pull request of {repo} was that?",
        ),
        answers=("{value}.", "That is {value}.", "{value}; it changes {areas}.", "Pull request {value}."),
        explains=False,
    ),
    "change": Wording(
        questions=(
            "How did pull request {pull} of {repo} change `{subject}` in `{scope}`?",
            "What was `{subject}` in `{scope}` before {pull}, and what is it after?",
            "Which value did {pull} of {repo} give `{subject}`, and what was it before?",
            "In {repo}, from what to what did {pull} change `{subject}`?",
            "What did “{title}” ({pull}) do to `{subject}` in {repo}?",
            "To which value did pull request {pull} of {repo} set `{subject}` (in `{scope}`)?",
            "`{subject}` in `{scope}` of {repo} was changed by {pull}. How?",
            "What is the old and the new value of `{subject}` in pull request {pull} of {repo}?",
        ),
        answers=(
            "From `{old}` to `{new}`.",
            "It was `{old}` and became `{new}`.",
            "To `{new}`; before, it was `{old}`. The change is part of “{title}”.",
            "{pull} (“{title}”) changed it from `{old}` to `{new}` in `{scope}`.",
        ),
    ),
    "rename": Wording(
        questions=(
            "What did pull request {pull} of {repo} rename `{subject}` to?",
            "`{subject}` is gone from `{scope}` in {repo}. What is it called since {pull}?",
            "What became of `{subject}` in {repo} with {pull}?",
            "Which new name did {pull} give `{subject}` in {repo}?",
            "In {repo}, what is the former `{subject}` called now?",
            "I can't find `{subject}` in {repo} any more. What did “{title}” do with it?",
            "How is `{subject}` of `{scope}` called after pull request {pull} in {repo}?",
            "Under which name does `{subject}` live on in {repo} after {pull}?",
        ),
        answers=(
            "`{new}`.",
            "It was renamed to `{new}`.",
            "{pull} (“{title}”) renamed it to `{new}` in `{scope}`.",
            "Since {pull} it is called `{new}`.",
        ),
    ),
    "symbols-added": Wording(
        questions=(
            "What does pull request {subject} add to {repo}?",
            "Which definitions came into {repo} with {subject}?",
            "What is new in {repo} since pull request {subject}?",
            "Which functions, classes or types does {subject} introduce in {repo}?",
            "“{title}” ({subject}) brought new code into {repo}. What does it define?",
            "What can I use in {repo} that was not there before {subject}?",
            "In {repo}, which names appear for the first time in pull request {subject}?",
            "List what {subject} of {repo} newly defines.",
        ),
        answers=(
            "{values}.",
            "It adds {values}.",
            "{count:#new definition|new definitions}: {values}, as part of “{title}”.",
            "“{title}” adds {values}.",
        ),
    ),
    "symbols-removed": Wording(
        questions=(
            "What does pull request {subject} remove from {repo}?",
            "Which definitions are gone from {repo} since {subject}?",
            "What did {subject} take out of {repo}?",
            "“{title}” ({subject}) deleted code of {repo}. What was it?",
            "Which functions, classes or types did pull request {subject} of {repo} drop?",
            "In {repo}, what can I no longer use after {subject}?",
            "What was thrown out by pull request {subject} in {repo}?",
            "List what {subject} of {repo} no longer defines.",
        ),
        answers=(
            "{values}.",
            "It removes {values}.",
            "“{title}” takes out {values}.",
            "{values}: {count:it is|they are} gone since “{title}”.",
        ),
    ),
    "introduction": Wording(
        questions=(
            "Which pull request introduced `{subject}` in {repo}?",
            "Since when does {repo} have `{subject}`? Which pull request added it?",
            "Where does `{subject}` in {repo} come from? Which change brought it?",
            "With which change did `{subject}` come into {repo}?",
            "Which PR of {repo} do I read to understand why `{subject}` exists?",
            "`{subject}` in `{file}` of {repo}: which pull request added it?",
            "What was the change that added `{subject}` to {repo}?",
            "In {repo}, as part of what work was `{subject}` written?",
        ),
        answers=(
            "{value}, “{title}”.",
            "It came with {value} (“{title}”).",
            "“{title}”, pull request {value}, added it to `{file}`.",
            "Pull request {value}. It is called “{title}”.",
        ),
    ),
    "reason": Wording(
        questions=(
            "Why was pull request {subject} (“{title}”) made in {repo}?",
            "What is the reasoning behind “{title}” in {repo}?",
            "What is the background of {subject} in {repo}?",
            "Which problem does “{title}” ({subject}) address in {repo}?",
            "How does the author of {subject} explain the change to {repo}?",
            "Explain the change “{title}” of {repo}.",
            "What do I have to know to understand pull request {subject} of {repo}?",
            "Why does {repo} have the change “{title}”?",
        ),
        answers=("{text}", "{text}", "“{title}”: {text}"),
    ),
    "commits": Wording(
        questions=(
            "What are the steps of pull request {subject} (“{title}”) in {repo}?",
            "How was “{title}” built up, commit by commit?",
            "What did the commits of {subject} in {repo} do?",
            "Walk me through the commits of pull request {subject} of {repo}.",
            "In which steps was “{title}” done in {repo}?",
            "What is in pull request {subject} of {repo}, in detail?",
            "Which changes make up “{title}” in {repo}?",
            "What work went into {subject} in {repo}?",
        ),
        answers=("{bullets}", "In this order:\n\n{bullets}", "“{title}” consists of:\n\n{bullets}"),
    ),
    "review": Wording(
        questions=(
            "What did {reviewer} say about `{file}` in the review of {subject} in {repo}?",
            "Which remark did {reviewer} make in the review of “{title}” in {repo}, and what came of it?",
            "What did the review of pull request {subject} of {repo} bring up about `{file}`?",
            "Did {reviewer} object to anything in {subject} of {repo}?",
            "What did {reviewer} think of “{title}” in {repo}?",
            "What was discussed when {subject} of {repo} was reviewed by {reviewer}?",
            "In the review of {subject} in {repo}, what was {reviewer}'s point?",
            "How was {reviewer}'s comment on pull request {subject} of {repo} dealt with?",
        ),
        answers=(
            "{reviewer} wrote: {value} {answered}",
            "{value} ({reviewer}) {answered}",
            "{reviewer}: {value} {outcome}",
            "{reviewer} wrote: {value}",
        ),
    ),
    "merge-date": Wording(
        questions=(
            "When was pull request {subject} of {repo} merged?",
            "On which date did “{title}” land in {repo}?",
            "Since when is “{title}” part of {repo}?",
            "What is the merge date of {subject} in {repo}?",
            "When did {subject} get into {repo}?",
            "How old is the change “{title}” in {repo}? When was it merged?",
            "When was the work on “{title}” in {repo} finished?",
            "On what day was {subject} of {repo} merged, and by whom was it written?",
        ),
        answers=("On {value}.", "{value}.", "“{title}” was merged on {value}.", "On {value}; {author} wrote it."),
        explains=False,
    ),
    "file-history": Wording(
        questions=(
            "Which pull requests merged since {first} changed `{subject}` in {repo}?",
            "From {first} on, which merged pull requests of {repo} touched `{subject}`?",
            "What has been merged into `{subject}` of {repo} since pull request {first}?",
            "Which changes went into `{subject}` of {repo} since pull request {first}?",
            "I want to know the history of `{subject}` in {repo} since {first}.",
            "Counting from {first}, which merged pull requests of {repo} change `{subject}`?",
            "As part of which work was `{subject}` in {repo} edited since pull request {first}?",
            "What happened to `{subject}` in {repo} in the pull requests from {first} on?",
        ),
        answers=(
            "{bullets}",
            "{count:#pull request|pull requests} changed it:\n\n{bullets}",
            "It was changed by:\n\n{bullets}",
        ),
        explains=False,
    ),
}
