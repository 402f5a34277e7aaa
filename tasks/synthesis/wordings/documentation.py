"""Wordings of pages."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

_WHOLE: Final = ("{text}", "{text}", "{text}\n\n(From {page}.)")
"""Of what a page says in whole paragraphs; mostly without its name."""

WORDINGS: Final = {
    "section": Wording(
        questions=(
            "What do the docs of {repo} say about “{subject}”?",
            "Tell me about “{subject}” in {repo}.",
            "I'm reading about “{subject}” in {repo}. What should I know?",
            "Explain “{subject}” as it is documented in {repo}.",
            "What does {page} of {repo} explain under “{subject}”?",
            "In {repo}'s documentation on {topic}, what is said about “{subject}”?",
            "What is there to know about “{subject}” in {repo}?",
            "What is written in {page} of {repo} under “{subject}”?",
            "Can you summarise the part “{subject}” of {page} in {repo}?",
        ),
        answers=_WHOLE,
    ),
    "answered-question": Wording(
        questions=(
            "{subject}",
            "About {repo}: {subject}",
            "{subject} (in {repo})",
            "A question on {repo}: {subject}",
            "{subject} What do the docs of {repo} say?",
            "Someone asks about {repo}: {subject}",
            "What does {page} of {repo} answer to “{subject}”?",
            "I wonder about {repo}: {subject}",
        ),
        answers=_WHOLE,
    ),
    "section-place": Wording(
        questions=(
            "Where in the docs of {repo} can I read about “{subject}”?",
            "Which page of {repo} documents “{subject}”?",
            "Which document of {repo} has something on “{subject}”?",
            "I'm looking for “{subject}” in the docs of {repo}. Which page is it?",
            "Where is “{subject}” explained in {repo}?",
            "On which page of {repo} do I find “{subject}”?",
            "Which file do I read in {repo} for “{subject}”?",
            "Where did {repo} write down “{subject}”?",
        ),
        answers=("{value}.", "In {value}.", "{value} has a section on it.", "That is in {value}."),
        explains=False,
    ),
    "definition": Wording(
        questions=(
            "What {verb} {subject} in {repo}?",
            "How would you describe {subject} in the context of {repo}?",
            "What do the docs of {repo} say {subject} {verb}?",
            "In {repo}, what is meant by {subject}?",
            "Can you explain {subject} as {repo} uses the word?",
            "Someone new to {repo} asks about {subject}. What do you tell them?",
            "How does {page} of {repo} describe {subject}?",
            "What {verb} {subject}, according to the docs of {repo}?",
        ),
        answers=("{text}", "{text}", "{text} (From {page}.)"),
    ),
    "term": Wording(
        questions=(
            "What does {repo} say about {marked} under “{scope}”?",
            "What is {marked} in {repo} ({scope})?",
            "What is {marked} for in {repo}, going by “{scope}”?",
            "In {repo}, what does {marked} mean under “{scope}”?",
            "What do the docs of {repo} say of {marked}?",
            "Explain {marked} (“{scope}”) in {repo}.",
            "I read {marked} in the docs of {repo} on “{scope}”. What about it?",
            "How is {marked} described in “{scope}” of {repo}?",
        ),
        answers=("{text!c}", "{marked}: {text}", "{text!c} (From {page}.)"),
    ),
    "list": Wording(
        questions=(
            "What are the points under “{subject}” in the docs of {repo}?",
            "List what {repo} says under “{subject}”.",
            "What belongs to “{subject}” in {repo}?",
            "Give me the bullet points on “{subject}” in {repo}.",
            "What does {page} of {repo} enumerate under “{subject}”?",
            "In {repo}, what are the items of “{subject}”?",
            "Which points does {page} make about “{subject}”?",
            "“{subject}” in {repo}: what is on the list?",
        ),
        answers=("{bullets}", "{count:#point|points}:\n\n{bullets}", "{bullets}\n\n(From {page}.)"),
    ),
    "snippet": Wording(
        questions=(
            "What is the example under “{subject}” in the docs of {repo}?",
            "Show me the code of “{subject}” in {repo}'s docs.",
            "How does “{subject}” look in practice in {repo}?",
            "What do I type or write for “{subject}” in {repo}?",
            "Which commands or code do the docs of {repo} give for “{subject}”?",
            "Give me the snippet from “{subject}” ({page} of {repo}).",
            "In {repo}, what is the code block under “{subject}”?",
            "An example of “{subject}” from {page} in {repo}, please.",
        ),
        answers=("{lead}\n\n```{syntax}\n{value}\n```", "```{syntax}\n{value}\n```", "```\n{value}\n```"),
    ),
    "table-cell": Wording(
        questions=(
            "What is the {column} of `{subject}` in {repo}?",
            "For the {row} `{subject}` of {repo}, what do the docs give as {column}?",
            "Which {column} does {page} of {repo} state for `{subject}`?",
            "In the table “{section}” of {repo}, what stands for `{subject}` under {column}?",
            "In {repo}, what does the table in {page} say about `{subject}` ({column})?",
            "`{subject}` in {repo}: what is its {column}?",
            "What do the docs of {repo} tabulate as {column} of `{subject}`?",
            "Look up the {column} of `{subject}` in {page} of {repo}.",
        ),
        answers=("{value}", "{value} ({column} of `{subject}`).", "{column}: {value}", "{value}, says {page}."),
    ),
    "decision": Wording(
        questions=(
            "What was decided about “{subject}” in {repo}?",
            "What is {repo}'s decision on “{subject}”?",
            "How did the team of {repo} decide on “{subject}”?",
            "Sum up the decision record “{subject}” of {repo}.",
            "What does the decision “{subject}” in {repo} come down to?",
            "In {repo}, what did they choose to do about “{subject}”?",
            "“{subject}” in {repo}: what is the outcome?",
            "Which way did {repo} go with “{subject}”?",
        ),
        answers=_WHOLE,
    ),
    "decision-context": Wording(
        questions=(
            "Why did {repo} have to decide on “{subject}”?",
            "What is the context of the decision “{subject}” in {repo}?",
            "What led to the decision “{subject}” in {repo}?",
            "Which problem is behind “{subject}” in {repo}?",
            "What was the situation before “{subject}” in {repo}?",
            "Give me the background of the decision record “{subject}” of {repo}.",
            "Why is there a decision “{subject}” in {repo}?",
            "In {repo}, what made “{subject}” necessary?",
        ),
        answers=_WHOLE,
    ),
    "decision-consequence": Wording(
        questions=(
            "What follows from the decision “{subject}” in {repo}?",
            "What are the consequences of “{subject}” in {repo}?",
            "What does the decision “{subject}” mean for people who work on {repo}?",
            "Which price does {repo} pay for “{subject}”?",
            "What changes in {repo} because of “{subject}”?",
            "After deciding “{subject}”, what did {repo} expect to happen?",
            "Which effects does the record “{subject}” of {repo} name?",
            "What do I have to live with in {repo} since “{subject}”?",
        ),
        answers=_WHOLE,
    ),
    "changelog": Wording(
        questions=(
            "What was {group} in {repo} {subject}?",
            "{alone!h}What changed in version {subject} of {repo}?",
            "{alone!h}What is new in {repo} {subject}?",
            "What does the changelog of {repo} say about {subject} ({group})?",
            "{alone!h}I'm upgrading {repo} to {subject}. What do I have to know?",
            "Which entries does {repo} {subject} have under “{group}”?",
            "{alone!h}What did release {subject} of {repo} bring?",
            "{alone!h}List the changes of {repo} {subject}.",
            "{alone!h}Summarise {repo}'s release {subject}.",
            "Under “{group}”, what does {repo} list for {subject}?",
        ),
        answers=(
            "{lines}",
            "{group!c}:\n\n{lines}",
            "Version {subject} ({date}), {group}:\n\n{lines}",
            "{count:#entry|entries} under “{group}”:\n\n{lines}",
            "{whole!h}Version {subject} ({date}):\n\n{lines}",
        ),
    ),
    "changelog-version": Wording(
        questions=(
            "Since which version of {repo} does this hold: “{subject}”?",
            "Which release of {repo} has the entry “{subject}”?",
            "In which version of {repo} did this come: “{subject}”?",
            "“{subject}”: which version of {repo} was that?",
            "Which version of {repo} do I need for “{subject}”?",
            "When did {repo} change this: “{subject}”? Which release?",
            "The changelog of {repo} says “{subject}”. For which version?",
            "Which release of {repo} made this change: “{subject}”?",
        ),
        answers=("{value}.", "Version {value}.", "{value}, of {date}.", "In {value}; it is listed under “{group}”."),
        explains=False,
    ),
    "release-date": Wording(
        questions=(
            "When was {repo} {subject} released?",
            "What is the release date of version {subject} of {repo}?",
            "On which day did {repo} {subject} come out?",
            "How old is {repo} {subject}? When was it released?",
            "What date does the changelog of {repo} give for {subject}?",
            "Since when is {repo} {subject} out?",
            "When did version {subject} of {repo} appear?",
            "Which date stands beside {subject} in the changelog of {repo}?",
        ),
        answers=("{value}.", "On {value}.", "It came out on {value}.", "{subject} is of {value}."),
        explains=False,
    ),
}
