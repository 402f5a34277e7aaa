"""Wordings of issues, discussions and conversations."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "issue": Wording(
        questions=(
            "What is issue {subject} of {repo} about?",
            "What was reported in issue {subject} of {repo}?",
            "Somebody mentioned {subject} of {repo}. Which issue is that?",
            "Summarise issue {subject} of {repo} for me.",
            "In {repo}, what does issue {subject} say?",
            "What does {repo}'s issue {subject} complain about or ask for?",
            "Which problem or wish stands in {repo}'s issue {subject}?",
            "I found a reference to {subject} in {repo}. What was it?",
        ),
        answers=(
            "“{value}”. {gist}",
            "“{value}”. {gist} It was closed on {closed}.",
            "“{value}”, labelled {labels}. {gist}",
            "“{value}”, closed on {closed}.",
            "“{value}”.",
        ),
    ),
    "issue-report": Wording(
        questions=(
            "What does the issue “{title}” of {repo} report?",
            "What exactly goes wrong in “{title}” ({repo})?",
            "Describe the problem of {repo}'s issue “{title}”.",
            "How does the reporter of “{title}” in {repo} describe it?",
            "What is known about “{title}” in {repo}?",
            "Under which circumstances does “{title}” happen in {repo}?",
            "Explain the report “{title}” (#{number} of {repo}).",
            "What did users of {repo} see in “{title}”?",
        ),
        answers=("{text}", "“{title}”: {text}", "{text}"),
    ),
    "issue-number": Wording(
        questions=(
            "Which issue of {repo} is “{subject}”?",
            "What is the number of the issue “{subject}” in {repo}?",
            "Under which number was “{subject}” reported to {repo}?",
            "I remember an issue “{subject}” in {repo}. Which one is it?",
            "Where was “{subject}” reported in {repo}?",
            "Has “{subject}” been reported to {repo} already?",
            "Find me the issue “{subject}” of {repo}.",
            "“{subject}”: which issue of {repo} was that?",
        ),
        answers=("{value}.", "That is {value}.", "Issue {value}.", "It was reported as {value}."),
        explains=False,
    ),
    "issue-cause": Wording(
        questions=(
            "What was the cause of issue {subject} (“{title}”) in {repo}?",
            "Why does “{title}” happen in {repo}?",
            "What did the investigation of {repo}'s issue {subject} find?",
            "How was “{title}” explained in {repo}?",
            "What is behind “{title}” ({subject} of {repo})?",
            "Why was {repo} wrong in “{title}”?",
            "What did people say about the cause of “{title}” in {repo}?",
            "Explain why {repo}'s issue {subject} occurred.",
        ),
        answers=("{text}", "{text}", "“{title}”: {text}"),
    ),
    "issue-fix": Wording(
        questions=(
            "Which pull request fixed issue {subject} (“{title}”) of {repo}?",
            "How was “{title}” fixed in {repo}?",
            "What closed issue {subject} of {repo}?",
            "Which change of {repo} resolved “{title}”?",
            "Is “{title}” of {repo} fixed, and by what?",
            "Where do I see the fix of {repo}'s issue {subject}?",
            "By which pull request was {subject} of {repo} resolved?",
            "What came of issue “{title}” in {repo}?",
        ),
        answers=(
            "Pull request {value}, “{fix}”.",
            "It was fixed by {value} (“{fix}”), merged on {merged}.",
            "“{fix}”, pull request {value}.",
            "{value}, merged on {merged}.",
        ),
    ),
    "issue-version": Wording(
        questions=(
            "In which version of {repo} is issue {subject} (“{title}”) fixed?",
            "Since which release of {repo} is “{title}” solved?",
            "To which version of {repo} do I upgrade to get rid of “{title}”?",
            "Which release of {repo} has the fix of {subject}?",
            "When did the fix of “{title}” come out, in which version of {repo}?",
            "Which version of {repo} resolves issue {subject}?",
            "Is there a release of {repo} with “{title}” fixed?",
            "From which version on is {repo} free of “{title}”?",
        ),
        answers=("{value}.", "In {value}.", "Version {value}.", "It is fixed in {value}."),
        explains=False,
    ),
    "thread-answer": Wording(
        questions=(
            "What is the answer to “{subject}” in {repo}?",
            "{subject} ({repo})\n\n{detail}",
            "A question about {repo}: {subject}\n\n{detail}",
            "{repo}: {subject} {asked}",
            "Somebody asks about {repo}: “{subject}”. What is the answer?",
            "“{subject}”: how is that answered in {repo}?",
            "I have a question about {repo}. {subject}",
            "What helps with “{subject}” in {repo}?",
        ),
        answers=("{text}", "{text}\n\nSee {source} of {repo}."),
    ),
}
