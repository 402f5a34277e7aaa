"""Wordings of what joins many facts: profiles, walkthroughs, overviews, differences, conventions."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "profile": Wording(
        questions=(
            "Explain the {thing} {named} of {repo} to me.",
            "What should I know about {named} in {repo}?",
            "Give me an overview of {named}.",
            "How does the {thing} {named} fit into {repo}?",
            "I have to work on {named} in {repo}. Where do I begin?",
            "Tell me about the {thing} {named}.",
            "What is {named}, and how is it connected to the rest of {repo}?",
            "Describe {named} of {repo} to somebody new.",
            "I came across {named}. What is it, what does it do and who needs it?",
        ),
        answers=("{text}", "{text}", "`{subject}` is {thing!a} in `{path}`:\n\n{lines}"),
    ),
    "difference": Wording(
        questions=(
            "How do `{subject}` and `{other}` of {repo} differ?",
            "What is the difference between `{subject}` and `{other}`?",
            "`{other}` or `{subject}` in {repo}: what has the one that the other has not?",
            "What do `{subject}` and `{other}` have in common, and what not?",
            "Compare `{subject}` with `{other}` in {repo}.",
            "Why does {repo} have both `{subject}` and `{other}`? What sets them apart?",
            "I mix up `{other}` and `{subject}`. How can I tell them apart?",
            "In {repo}, how does the {thing} `{other}` compare to `{subject}`?",
        ),
        answers=("{text}", "{text}", "{bullets}"),
    ),
    "route-walkthrough": Wording(
        questions=(
            "Walk me through what happens on `{subject}` in {repo}.",
            "What happens, step by step, when a request for `{subject}` comes in?",
            "How does `{subject}` work in {repo}?",
            "Explain the endpoint `{subject}` from end to end.",
            "Follow a request to `{subject}` through the code of {repo}.",
            "I have to debug `{subject}`. Which parts of {repo} are involved?",
            "From the route to the service behind it: how is `{subject}` put together?",
            "Which way does a call of `{subject}` take through {repo}?",
        ),
        answers=("{ordered}", "{prose}", "Step by step:\n\n{ordered}"),
    ),
    "page-walkthrough": Wording(
        questions=(
            "Walk me through the page `{subject}` of {repo}.",
            "How does the page at `{subject}` work in {repo}?",
            "What happens in the code when a user opens `{subject}`?",
            "Explain `{subject}` from the address down to the data.",
            "The page `{subject}` is broken. Which parts of {repo} do I have to look at?",
            "Which component makes the page `{subject}`, and what is it made of?",
            "From the router to what is on the screen: how does `{subject}` come about?",
            "What is behind the page `{subject}` of {repo}?",
        ),
        answers=("{ordered}", "{prose}", "From the outside in:\n\n{ordered}"),
    ),
    "call-walkthrough": Wording(
        questions=(
            "Walk me through what {named} does in {repo}.",
            "What happens inside when I call {named}?",
            "Follow a call of {named} through the code of {repo}.",
            "How does {named} work, in terms of what it calls?",
            "Which code runs when {named} of {repo} is called?",
            "I step into {named} with a debugger. Where do I get to?",
            "Explain how {named} is built up from other functions of {repo}.",
            "From {named} down: what calls what in {repo}?",
        ),
        answers=("{ordered}", "{prose}", "Call by call:\n\n{ordered}"),
    ),
    "folder": Wording(
        questions=(
            "What is in the folder `{subject}` of {repo}?",
            "Give me an overview of `{subject}` in {repo}.",
            "Which code lives in `{subject}`?",
            "I'm new to {repo}. What would I find in `{subject}`?",
            "What is `{subject}` in {repo} about?",
            "Walk me through the files of `{subject}` in {repo}.",
            "How is `{subject}` of {repo} laid out?",
            "Which files of `{subject}` define what?",
        ),
        answers=(
            "{whole!h}{lines}\n\n{around}",
            "{whole!h}{count:#file|files} of code:\n\n{lines}\n\n{around}",
            "{some!h}Among others:\n\n{lines}\n\n{around}",
            "{whole!h}{lines}",
            "{some!h}Of its files these, to name some:\n\n{lines}",
        ),
    ),
    "layout": Wording(
        questions=(
            "How is {repo} organised?",
            "What are the main folders of {repo}?",
            "Give me a tour of the repository {repo}.",
            "I just cloned {repo}. Where is what?",
            "How is the code of {repo} spread over its folders?",
            "Which parts does {repo} have, and how large are they?",
            "What does the top level of {repo} look like?",
            "Where do I find which kind of code in {repo}?",
        ),
        answers=("{lines}", "By the number of files:\n\n{lines}"),
    ),
    "convention": Wording(
        questions=(
            "Is there a convention for {subject} in {repo}?",
            "What does {repo} do about {subject}?",
            "What should I keep to in {repo} as to {subject}?",
            "How does {repo} usually handle {subject}?",
            "I'm adding code to {repo}. What is usual for {subject}?",
            "Which habit does the team of {repo} have about {subject}?",
            "How consistent is {repo} about {subject}?",
            "Somebody asks in a review of {repo} about {subject}. What is the rule?",
        ),
        answers=(
            "{rule} That holds for {kept} of {cases}.",
            "{rule} Counted over the repository: {kept} of {cases}.",
            "{rule} ({kept} of {cases})",
        ),
    ),
}
