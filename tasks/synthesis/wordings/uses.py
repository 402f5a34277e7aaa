"""Wordings of uses: who calls what, and what a change touches."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "caller": Wording(
        questions=(
            "Who calls {named}?",
            "Which code of {repo} calls the {thing} {named}?",
            "What depends on {named} in {repo}?",
            "If I change the parameters of {named}, which callers do I have to change?",
            "Where is {named} called in {repo}?",
            "Which functions would notice if {named} returned something else?",
            "Is {named} still called in {repo}, and by what?",
            "What uses the {thing} {named} of {repo}?",
            "Before I touch {named}: who relies on it?",
        ),
        answers=(
            "{values}.",
            "{values} {count:calls|call} it.",
            "It is called by {values}.",
            "{count:It has one caller|These call it}:\n\n{placed}",
        ),
    ),
    "caller-some": Wording(
        questions=(
            "Name some callers of {named} in {repo}.",
            "Where is {named} called, for example?",
            "What are some of the places of {repo} that call {named}?",
            "Is the {thing} {named} used widely in {repo}, and by what?",
            "Give me examples of code that calls {named}.",
            "How is {named} used in {repo}? Name a few callers.",
            "Which code of {repo} calls {named}, among others?",
            "I want to see {named} in use. Where should I look?",
        ),
        answers=(
            "{values}, among others.",
            "Among others it is called by {values}.",
            "It is called in several places, for example:\n\n{placed}",
            "It is called by {values}, to name some.",
        ),
    ),
    "reverse-use": Wording(
        questions=(
            "What uses {named} in {repo}?",
            "What breaks if I remove {named}?",
            "Which code of {repo} depends on the {thing} {named}?",
            "Who relies on {named}?",
            "If I rename {named}, what has to follow in {repo}?",
            "Where does {repo} make use of {named}?",
            "What is affected by a change of the {thing} {named}?",
            "Is {named} used anywhere in {repo}, and where?",
        ),
        answers=(
            "{values}.",
            "{values} {count:uses|use} it.",
            "It is used by {values}.",
            "{count:One place uses|These use} `{subject}`:\n\n{placed}",
        ),
    ),
    "reverse-use-some": Wording(
        questions=(
            "Name some code of {repo} that uses {named}.",
            "Is {named} used widely in {repo}, and by what?",
            "What would a change of the {thing} {named} affect, for example?",
            "Give me examples of what depends on {named} in {repo}.",
            "Who uses {named}, among others?",
            "Which parts of {repo} rely on {named}? A few are enough.",
            "If {named} changed, what should I look at first in {repo}?",
            "Where can I see {named} in use in {repo}?",
        ),
        answers=(
            "{values}, among others.",
            "Among others {values}.",
            "It is used in several places, for example:\n\n{placed}",
            "It is used by {values}, to name some.",
        ),
    ),
    "affected-files": Wording(
        questions=(
            "Which files do I have to look at when I change {named}?",
            "What breaks if I change {named} in {repo}?",
            "Which other files of {repo} use the {thing} {named}?",
            "How far does a change of {named} reach in {repo}?",
            "I'm about to rename {named}. Which files are touched?",
            "Outside of its own file, where is {named} used in {repo}?",
            "Which files depend on {named}?",
            "If {named} went away, which files of {repo} would no longer work?",
        ),
        answers=(
            "{values}.",
            "{values} {count:uses|use} it.",
            "A change reaches {count:#file|files}: {values}.",
            "Outside of `{path}` it is used in {values}.",
        ),
    ),
    "tested-by": Wording(
        questions=(
            "Which tests cover {named}?",
            "Where is {named} tested in {repo}?",
            "Is there a test for the {thing} {named} in {repo}?",
            "I changed {named}. Which tests should I run?",
            "Which test files of {repo} use {named}?",
            "Where do I find examples of {named} in the tests of {repo}?",
            "Which tests would fail if {named} broke?",
            "Does {repo} test {named}, and in which file?",
        ),
        answers=(
            "{values}.",
            "It is used in {values}.",
            "The {count:test|tests} in {values} {count:uses|use} it.",
            "Run {values}: {count:it exercises|they exercise} `{subject}`.",
        ),
    ),
    "calls": Wording(
        questions=(
            "Which functions of the repository does {named} call?",
            "What does {named} rely on in {repo}?",
            "Which of {repo}'s own code is used inside {named}?",
            "What does the {thing} {named} call in {repo}?",
            "If I read {named}, which other definitions do I need to know?",
            "Which functions does {named} of {repo} make use of?",
            "In {repo}, what does {named} build on?",
            "What do I have to look at to understand {named}?",
        ),
        answers=(
            "{values}.",
            "It calls {values}.",
            "It builds on {values}.",
            "The {thing} calls {count:#definition|definitions} of the repository:\n\n{placed}",
        ),
    ),
}
