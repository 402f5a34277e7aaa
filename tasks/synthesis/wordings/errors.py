"""Wordings of errors and tests."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "error": Wording(
        questions=(
            "When does {named} raise {raised}?",
            "Under which condition does {named} fail with {raised}?",
            "Why does {named} of {repo} raise {raised}?",
            "I get {raised} from {named}. What did I do wrong?",
            "What makes {named} raise {raised} in {repo}?",
            "In which case does the {thing} {named} end in {raised}?",
            "What has to be true for {named} to raise {raised}?",
            "How can I provoke {raised} in {named}?",
        ),
        answers=(
            "If {condition}.",
            "It raises {raised} if {condition}.",
            "When {condition} holds, it raises {raised}: “{message}”",
            "{raised!c} is raised in `{path}` if {condition}.",
        ),
    ),
    "error-message": Wording(
        questions=(
            "When does {named} say “{message}”?",
            "What does the message “{message}” of {named} mean?",
            "Under which condition does {named} fail with “{message}”?",
            "I get “{message}” from {named}. Why?",
            "What makes {named} of {repo} raise “{message}”?",
            "In which case does {repo} complain “{message}” in {named}?",
            "What has to be true for {named} to raise “{message}”?",
            "Which check in {named} leads to “{message}”?",
        ),
        answers=(
            "If {condition}.",
            "It raises {raised} with that message if {condition}.",
            "The check is {condition}; if it holds, {raised} is raised.",
            "{raised!c} is raised with it in `{path}` if {condition}.",
        ),
    ),
    "error-origin": Wording(
        questions=(
            "Where does the error “{subject}” come from in {repo}?",
            "I get “{subject}”. Which code raises that?",
            "Which function of {repo} fails with “{subject}”?",
            "What raises the message “{subject}”?",
            "Who says “{subject}” in {repo}?",
            "“{subject}” is in my log. Where should I look in {repo}?",
            "Which part of {repo} produces the error “{subject}”?",
            "My run ends with “{subject}”. What is behind it?",
        ),
        answers=(
            "`{value}`.",
            "`{value}` raises it, in `{path}`.",
            "It comes from the {thing} `{value}`, which raises {raised} if {condition}.",
            "The {thing} `{value}` in `{path}` raises {raised} with it.",
        ),
    ),
    "error-translation": Wording(
        questions=(
            "What does {named} raise when {caught} is caught?",
            "What becomes of {caught} in {named}?",
            "Which error does {named} of {repo} turn {caught} into?",
            "If {caught} happens inside {named}, what does the caller see?",
            "How does the {thing} {named} deal with {caught} in {repo}?",
            "Which exception do I have to catch around {named} instead of {caught}?",
            "In {repo}, what comes out of {named} after {caught}?",
            "What does {named} answer to {caught} with?",
        ),
        answers=(
            "{raised!c}.",
            "It raises {raised} instead.",
            "{caught!c} is caught and {raised} is raised in its place.",
            "{raised!c}: `{path}` catches {caught} and raises that.",
        ),
    ),
    "raises": Wording(
        questions=(
            "Which errors can {named} raise by itself?",
            "What can go wrong in {named}?",
            "Which exceptions does the {thing} {named} of {repo} raise?",
            "For which errors should I be prepared when I call {named}?",
            "What does {named} raise in {repo}?",
            "Which kinds of failure does {named} tell apart?",
            "With which errors does {named} of {repo} end?",
            "Which exceptions are raised in the body of {named}?",
        ),
        answers=(
            "{values}.",
            "It raises {values}.",
            "{values} {count:is|are} raised in it.",
            "The {thing} in `{path}` raises {values}.",
        ),
    ),
    "message": Wording(
        questions=(
            "With which message does {named} raise {raised}?",
            "What does the {raised} of {named} say?",
            "Which text does {named} of {repo} put into {raised}?",
            "How does {named} word its {raised}?",
            "What will I read if {named} fails with {raised}?",
            "In {repo}, which message comes with the {raised} from {named}?",
            "What does {repo} tell the user when {named} raises {raised}?",
            "For which message do I search the log if {named} raised {raised}?",
        ),
        answers=(
            "“{value}”",
            "It says “{value}”.",
            "“{value}”, if {condition}.",
            "{raised!c} is raised in `{path}`, and it says “{value}”",
        ),
    ),
    "behaviour": Wording(
        questions=(
            "What do the tests demand of {asked} in {repo}?",
            "What is {asked} expected to do, according to its tests?",
            "Which cases of {asked} does {repo} test?",
            "What do the tests in `{scope}` cover?",
            "Which behaviour of {asked} is pinned down by tests?",
            "How should {asked} of {repo} behave?",
            "What would a test complain about if I broke {asked}?",
            "Which tests are there for {asked} in `{scope}`?",
        ),
        answers=(
            "The tests cover {count:#case|cases}:\n\n{lines}",
            "{lines}",
            "`{scope}` tests these cases:\n\n{lines}",
            "According to `{scope}`:\n\n{lines}",
        ),
    ),
    "test-checks": Wording(
        questions=(
            "What does the test “{subject}” of `{scope}` check?",
            "Which assertions does the test “{subject}” in `{scope}` make?",
            "When does the test “{subject}” of {repo} pass?",
            "What has to hold for “{subject}” in `{scope}` to pass?",
            "The test “{subject}” of `{scope}` fails. What does it expect?",
            "What is demanded by “{subject}” in `{scope}`?",
            "How does `{scope}` verify “{subject}”?",
            "In {repo}, what does “{subject}” (`{scope}`) assert?",
        ),
        answers=(
            "{values}.",
            "It asserts {values}.",
            "It checks {count:one thing|the following}:\n\n{lines}",
            "The test makes {count:#assertion|assertions}:\n\n{lines}",
        ),
    ),
}
