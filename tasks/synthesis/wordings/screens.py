"""Wordings of user interfaces: pages and what renders what."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "ui-route": Wording(
        questions=(
            "Which component does the page `{address}` show?",
            "What is rendered at `{address}` in {repo}?",
            "A user opens `{address}`. Which component do they see?",
            "Which component is behind the address `{address}`?",
            "I want to change the page at `{address}` of {repo}. Which component is it?",
            "What does the router of {repo} show for `{address}`?",
            "The page `{address}` looks wrong. Where do I start?",
            "In {repo}, which component belongs to `{address}`?",
        ),
        answers=(
            "`{component}`.",
            "The component `{component}`.",
            "It shows `{component}`; the route is declared in `{path}`.",
            "`{component}` is rendered there, as `{path}` declares it.",
        ),
    ),
    "page-address": Wording(
        questions=(
            "At which address is the component `{subject}` shown?",
            "Where in the app do I see `{subject}`?",
            "Which page of {repo} shows `{subject}`?",
            "How do I get to `{subject}` in the browser?",
            "Which route leads to `{subject}` in {repo}?",
            "What is the path of the page that `{subject}` makes?",
            "I changed `{subject}` of {repo}. Which page do I open to see it?",
            "Under which address does {repo} render `{subject}`?",
        ),
        answers=(
            "{values}.",
            "At {values}.",
            "It is shown at {values}, as `{path}` declares it.",
            "Open {values}: that is where the router shows `{subject}`.",
        ),
    ),
    "renders": Wording(
        questions=(
            "Which components does {named} render?",
            "What is the component {named} made of?",
            "Which of its own components does {repo} use in {named}?",
            "What do I see inside {named} in {repo}?",
            "Which components are children of {named}?",
            "If I take {named} apart, which components of {repo} do I find?",
            "Which components does {named} of {repo} build on?",
            "What does {named} put on the screen, in terms of {repo}'s components?",
        ),
        answers=(
            "{values}.",
            "It renders {values}.",
            "It is made of {values}.",
            "The component in `{path}` renders {count:#component|components} of the repository: {values}.",
        ),
    ),
    "rendered-by": Wording(
        questions=(
            "Which component renders {named}?",
            "Where is {named} used in {repo}?",
            "Where in the interface of {repo} does {named} appear?",
            "If I change the look of {named}, where does it show?",
            "What renders the {thing} {named} in {repo}?",
            "Which parts of {repo} contain {named}?",
            "I want to see {named} in action. What uses it in {repo}?",
            "What would look different in {repo} if {named} changed?",
        ),
        answers=(
            "{values}.",
            "{values} {count:renders|render} it.",
            "It is rendered by {values}.",
            "{count:One place renders|These render} `{subject}`:\n\n{placed}",
        ),
    ),
    "rendered-by-some": Wording(
        questions=(
            "Where is {named} rendered, for example?",
            "Name some places of {repo} that render {named}.",
            "Is {named} used widely in {repo}, and by what?",
            "What are some users of the {thing} {named} in {repo}?",
            "Give me examples of where {named} appears in {repo}.",
            "Which components render {named}, to name a few?",
            "I want to see {named} at work. Which examples are there in {repo}?",
            "By what is {named} rendered, among others?",
        ),
        answers=(
            "Among others by {values}.",
            "{values}, among others.",
            "In several places, for example:\n\n{placed}",
            "It is rendered by {values}, to name some.",
        ),
    ),
}
