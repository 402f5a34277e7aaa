"""Wordings of values: constants, tables, defaults, environment variables, configuration."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "value": Wording(
        questions=(
            "What is the value of {named}?",
            "What is {named} set to in {repo}?",
            "Which value does {repo} use for {named}?",
            "Which value is behind {named} in {repo}?",
            "What does the constant {named} stand for?",
            "I see {named} used. What is it?",
            "To which value is {named} fixed in {repo}?",
            "In {repo}, what is behind the constant {named}?",
        ),
        answers=(
            "`{value}`.",
            "It is `{written}`.",
            "`{written}`, set in `{path}`.",
            "`{written}`. It is read by {readers}.",
            "`{subject}` is `{written}`; {readers} {readers_many:reads|read} it.",
        ),
    ),
    "list-value": Wording(
        questions=(
            "What is in the list {named}?",
            "Which entries does {named} have in {repo}?",
            "What does {named} list?",
            "Which values are in {named} in {repo}?",
            "Which elements does {repo} put into {named}?",
            "List what {named} contains.",
            "In {repo}, what belongs to {named}?",
            "Which items does the constant {named} hold?",
        ),
        answers=(
            "{values}.",
            "It contains {values}.",
            "It has {count:#entry|entries}: {values}.",
            "`{subject}` in `{path}` lists {values}.",
        ),
    ),
    "table-keys": Wording(
        questions=(
            "Which keys does {named} have?",
            "For what does {named} have an entry in {repo}?",
            "Which entries are in {named}?",
            "What is configured in {named} in {repo}?",
            "What does the object {named} contain?",
            "Which cases does {named} cover in {repo}?",
            "List the keys of {named}.",
            "In {repo}, what can I look up in {named}?",
        ),
        answers=(
            "{values}.",
            "It has entries for {values}.",
            "It has {count:#key|keys}: {values}.",
            "`{subject}` in `{path}` has entries for {values}.",
        ),
    ),
    "table-entry": Wording(
        questions=(
            "What is `{key}` in {named} set to?",
            "Which value does {named} have for `{key}`?",
            "What does {repo} set `{key}` of {named} to?",
            "In {repo}, what is the entry `{key}` of {named}?",
            "What do I get for `{key}` from {named}?",
            "Look up `{key}` in {named}: what is it in {repo}?",
            "How is `{key}` configured in {named}?",
            "Which setting does {repo} have for `{key}` in {named}?",
        ),
        answers=(
            "`{value}`.",
            "It is `{written}`.",
            "`{key}` is `{written}` in `{subject}`.",
            "`{written}`, as `{path}` sets it.",
        ),
    ),
    "default": Wording(
        questions=(
            "What is the default of `{parameter}` in {named}?",
            "What does {named} use if I leave out `{parameter}`?",
            "Which value has `{parameter}` when {named} is called without it?",
            "In {repo}, what does `{parameter}` of {named} default to?",
            "I call {named} without `{parameter}`. What happens to be used?",
            "Which default does {repo} give the parameter `{parameter}` of {named}?",
            "Do I have to pass `{parameter}` to {named}, or is there a default?",
            "What is assumed for `{parameter}` by the {thing} {named}?",
        ),
        answers=(
            "`{value}`.",
            "It defaults to `{written}`.",
            "`{written}` is used if you leave it out.",
            "The default of `{parameter}` is `{written}`, as `{path}` declares it.",
        ),
    ),
    "shared-default": Wording(
        questions=(
            "What does `{subject}` default to in the functions of `{scope}`?",
            "Which default do the functions in `{scope}` of {repo} share for `{subject}`?",
            "If I leave out `{subject}` when I call something from `{scope}`, what is used?",
            "Is the default of `{subject}` the same everywhere in `{scope}`?",
            "In {repo}, what do the functions of `{scope}` assume for `{subject}`?",
            "Do I ever have to pass `{subject}` to what `{scope}` defines?",
            "What happens in `{scope}` of {repo} if nobody gives `{subject}`?",
            "Which value stands for `{subject}` in the signatures of `{scope}`?",
        ),
        answers=(
            "`{written}`, in all {number} functions that have a default for it.",
            "It is `{written}` everywhere: {number} functions of the file declare it so, for example {examples}.",
            "They all use `{written}`: {givers}.",
            "`{written}`. All {number} functions of `{path}` with a default for `{subject}` agree on it.",
        ),
    ),
    "environment": Wording(
        questions=(
            "Where does {repo} read the environment variable `{subject}`?",
            "What is the environment variable `{subject}` used by?",
            "Which code of {repo} depends on `{subject}` being set?",
            "If I change the environment variable `{subject}`, what notices?",
            "Which file of {repo} reads `{subject}` from the environment?",
            "Who reads `{subject}` in {repo}?",
            "Is the environment variable `{subject}` used in {repo}, and where?",
            "What looks at `{subject}` when {repo} runs?",
        ),
        answers=(
            "{readers}.",
            "{readers} {readers_many:reads|read} it.",
            "It is read in {values}.",
            "It is read here:\n\n{placed}",
        ),
    ),
    "environment-default": Wording(
        questions=(
            "What does {repo} use if the environment variable `{subject}` is not set?",
            "What is the default of the environment variable `{subject}`?",
            "Do I have to set `{subject}` to run {repo}?",
            "What stands in for `{subject}` when it is missing?",
            "Which value does {repo} fall back to without `{subject}`?",
            "I have not set `{subject}`. What does {repo} assume?",
            "In {repo}, what does `{subject}` default to?",
            "What happens in {repo} if `{subject}` is unset?",
        ),
        answers=(
            "`{value}`.",
            "Without it `{value}` is used.",
            "It defaults to `{value}`.",
            "`{value}` stands in for it, as `{path}` says.",
        ),
    ),
    "config-value": Wording(
        questions=(
            "What is `{subject}` set to in `{scope}`?",
            "Which value does `{scope}` of {repo} give to `{subject}`?",
            "How is `{last}` configured in `{scope}`?",
            "What does {repo} set `{subject}` to in `{scope}`?",
            "In `{scope}`, what is the value of `{subject}`?",
            "What does the setting `{subject}` in `{scope}` of {repo} say?",
            "I want to change `{subject}` in `{scope}`. What is it now?",
            "Which `{last}` does {repo} use in `{scope}`?",
        ),
        answers=(
            "`{value}`.",
            "It is `{value}`.",
            "`{subject}` is set to `{value}`.",
            "`{value}`, as `{scope}` sets it.",
        ),
        explains=False,
    ),
    "port": Wording(
        questions=(
            "Which port does `{subject}` use in {repo}?",
            "On which port can I reach what `{subject}` of {repo} sets up?",
            "Which port is configured in {repo} for `{subject}`?",
            "What port belongs to `{subject}`?",
            "I can't connect to {repo}. Which port does `{subject}` use?",
            "Which port has to be free for `{subject}` of {repo}?",
            "In {repo}, which port does `{subject}` name?",
            "What is the port of `{subject}`?",
        ),
        answers=(
            "{values}.",
            "It {how} {values}.",
            "Port {values}: that is what `{subject}` {how}.",
            "`{subject}` {how} port {values}.",
        ),
    ),
    "service": Wording(
        questions=(
            "What does the service `{subject}` of `{scope}` do in {repo}?",
            "How is the service `{subject}` set up in {repo}?",
            "What is `{subject}` in the compose file of {repo}?",
            "What runs as `{subject}` when I start {repo} with compose?",
            "What does `{subject}` in `{scope}` need, and what does it offer?",
            "Explain the service `{subject}` of {repo}.",
            "I started {repo} with compose. What is the container `{subject}`?",
            "Which image, ports and dependencies does `{subject}` have in `{scope}`?",
        ),
        answers=("{text}", "{text} (`{path}`)", "{bullets}"),
    ),
    "base-image": Wording(
        questions=(
            "Which base image does `{subject}` start from?",
            "On what is the image of `{subject}` in {repo} based?",
            "Which image does `{subject}` build on?",
            "What does the image of {repo} inherit from?",
            "Which system does the container of `{subject}` run?",
            "In {repo}, what is the base of `{subject}`?",
            "From which image is `{subject}` of {repo} built?",
            "What would I update to get a newer base for `{subject}`?",
        ),
        answers=(
            "`{value}`.",
            "It starts from `{value}`.",
            "`{value}` is its base image.",
            "`{subject}` builds on `{value}`.",
        ),
    ),
}
