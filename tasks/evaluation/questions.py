"""How facts are asked: two wordings a kind, none of which any training method uses, and what marks the answers.

The first wording is asked by most suites, the second by the suite `paraphrase`. Each asks for the shortest answer that
can be checked, and the same words are used for every arm. Wordings name `{repo}`, `{subject}`, `{within}` (where the
subject alone would be ambiguous) and what the kind's facts bring in `words`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

VERSION: Final = "2026.11.30.4"
"""Part of each item's `prompt_version`, which reads `<kind>/<VERSION>`."""

PATH: Final = "path"
LITERAL: Final = "literal"
LIST: Final = "list"
SEQUENCE: Final = "sequence"
PROSE: Final = "prose"
NUMBER: Final = "number"

_ONE: Final = " Reply with that alone."
_NAMES: Final = " Reply with the names alone, separated by commas."
_FILES: Final = " Reply with the paths alone, separated by commas."
_NO_TESTS: Final = "Tests, stories and fixtures aside: "
_FILE: Final = " Reply with the path only."


class Asked(NamedTuple):
    """How a kind of fact is asked and marked."""

    wording: str
    other: str
    """The second wording; empty: the kind is not asked in other words."""
    marked: str
    """`path`, `literal`, `number`, `list` (in any order), `sequence` (in this order), `prose`."""


def _asked(wording: str, other: str, ending: str, marked: str, opening: str = "") -> Asked:
    return Asked(opening + wording + ending, opening + other + ending if other else "", marked)


FACTS: Final = {
    "location": _asked(
        "Name the file in which {repo} defines `{subject}`.", "Whoever edits `{subject}` in {repo} opens which file?",
        _FILE, PATH,
    ),
    "parameters": _asked(
        "In {repo}, with which parameters is `{subject}`{within} declared?",
        "Somebody writes a call of {repo}'s `{subject}`{within}: what are its parameters called?",
        " Reply with their names in order, separated by commas.", SEQUENCE,
    ),
    "purpose": _asked(
        "State in one sentence the job of `{subject}`{within} within {repo}.",
        "For a newcomer to {repo}: one sentence on what `{subject}`{within} is good for.", "", PROSE,
    ),
    "default": _asked(
        "Left out of a call to {repo}'s `{subject}`{within}, `{parameter}` counts as what?",
        "Which value has `{parameter}` of `{subject}`{within} in {repo} until a caller gives another?", _ONE, LITERAL,
    ),
    "value": _asked(
        "State the value that {repo} gives to `{subject}`{within}.",
        "If I print `{subject}`{within} of {repo}, what appears?", _ONE, LITERAL,
    ),
    "enum-value": _asked(
        "State the value behind `{member}` of {repo}'s enumeration `{subject}`{within}.",
        "`{subject}.{member}`{within} in {repo} stands for which value?", _ONE, LITERAL,
    ),
    "table-entry": _asked(
        "In {repo}'s table `{subject}`{within}, state the entry under `{key}`.",
        "Looking up `{key}` in `{subject}`{within} of {repo} gives what?", _ONE, LITERAL,
    ),
    "field": _asked(
        "State the type of the member `{field}` of {repo}'s `{subject}`{within}.",
        "`{field}` in `{subject}`{within} of {repo} is declared with which type?", _ONE, LITERAL,
    ),
    "config-value": _asked(
        "State what {repo} sets `{subject}`{within} to.", "Which setting does {repo} have for `{subject}`{within}?",
        _ONE, LITERAL,
    ),
    "dependency": _asked(
        "State the version range of `{subject}` that {repo} asks for in `{within_path}`.",
        "Within which versions may `{subject}` lie, going by `{within_path}` of {repo}?", _ONE, LITERAL,
    ),
    "script": _asked(
        "State the command behind the script `{subject}` of {repo}.",
        "In {repo}, `{subject}` is short for which command?", _ONE, LITERAL,
    ),
    "ci-step": _asked(
        "State the command that the step “{subject}” of {repo}'s workflow “{workflow}” executes.",
        "“{workflow}” of {repo} comes to “{subject}”: which command is it?", _ONE, LITERAL,
    ),
    "ci-action": _asked(
        "State the action behind the step “{subject}” of {repo}'s workflow “{workflow}”.",
        "“{workflow}” of {repo} comes to “{subject}”: which action is it?", _ONE, LITERAL,
    ),
    "route": _asked(
        "Name the function of {repo} that answers `{subject}`.",
        "A request `{subject}` reaches {repo}: into which function does it go?", _ONE, LITERAL,
    ),
    "route-file": _asked(
        "Name the file of {repo} that registers `{subject}`.", "Whoever changes the route `{subject}` of {repo} opens"
        " which file?", _FILE, PATH,
    ),
    "route-upstream": _asked(
        "Name the upstream address to which {repo} passes `{subject}` on.",
        "Behind `{subject}` of {repo} another service is asked: at which address?", _ONE, LITERAL,
    ),
    "route-guard": _asked(
        "Name, in order, the middleware of {repo} that `{subject}` passes first.",
        "Before its handler runs, what does `{subject}` of {repo} go through, in order?", _NAMES, SEQUENCE,
    ),
    "route-methods": _asked(
        "List the HTTP methods under which {repo} answers `{subject}`.",
        "With which HTTP verbs may I call `{subject}` of {repo}?", _NAMES, LIST,
    ),
    "handler-route": _asked(
        "List the routes of {repo} that end in `{subject}`.", "`{subject}` of {repo} answers which requests?", _NAMES,
        LIST,
    ),
    "ui-route": _asked(
        "Name the component that {repo} shows under the address `{subject}`.",
        "Opening `{subject}` in {repo} brings up which component?", _ONE, LITERAL,
    ),
    "page-address": _asked(
        "Name the address under which {repo} shows the component `{subject}`.",
        "Where in the browser does one find `{subject}` of {repo}?", _ONE, LIST,
    ),
    "endpoint-caller": _asked(
        "Name the functions of {repo} that send `{subject}`.", "`{subject}` is asked for by which functions of {repo}?",
        _NAMES, LIST, _NO_TESTS,
    ),
    "endpoint-use": _asked(
        "Name the requests that `{subject}`{within} of {repo} sends.", "Which requests leave `{subject}`{within} of"
        " {repo}?", _NAMES, LIST,
    ),
    "rendered-by": _asked(
        "Name the components of {repo} in whose markup `{subject}` stands.",
        "`{subject}` of {repo} is put on the screen by which components?", _NAMES, LIST, _NO_TESTS,
    ),
    "rendered-by-some": _asked(
        "Name one component of {repo} in whose markup `{subject}` stands.",
        "Give one component of {repo} that puts `{subject}` on the screen.", _ONE, LITERAL, _NO_TESTS,
    ),
    "renders": _asked(
        "Name the repository's own components in the markup of {repo}'s `{subject}`{within}.",
        "`{subject}`{within} of {repo} is put together from which of its own components?", _NAMES, LIST,
    ),
    "caller": _asked(
        "Name what in {repo} calls `{subject}`{within}.", "`{subject}`{within} of {repo} is invoked from which"
        " functions?", _NAMES, LIST, _NO_TESTS,
    ),
    "caller-some": _asked(
        "Name one place in {repo} that calls `{subject}`{within}.",
        "Give one function of {repo} from which `{subject}`{within} is invoked.", _ONE, LITERAL, _NO_TESTS,
    ),
    "calls": _asked(
        "Name the repository's own functions that `{subject}`{within} of {repo} invokes.",
        "Inside `{subject}`{within} of {repo}, which of its own functions are run?", _NAMES, LIST,
    ),
    "reverse-use": _asked(
        "Name everything in {repo} that would have to be looked at if `{subject}`{within} changed.",
        "`{subject}`{within} of {repo} is relied upon by what?", _NAMES, LIST, _NO_TESTS,
    ),
    "reverse-use-some": _asked(
        "Name one thing in {repo} that would have to be looked at if `{subject}`{within} changed.",
        "Give one thing in {repo} that relies upon `{subject}`{within}.", _ONE, LITERAL, _NO_TESTS,
    ),
    "affected-files": _asked(
        "List the files of {repo} that would have to be looked at if `{subject}`{within} changed.",
        "In which files of {repo} might a new version of `{subject}`{within} do harm?", _FILES, LIST, _NO_TESTS,
    ),
    "tested-by": _asked(
        "List the test files of {repo} in which `{subject}`{within} appears.",
        "Which test files should one run after touching `{subject}`{within} of {repo}?", _FILES, LIST,
    ),
    "hierarchy": _asked(
        "Name what `{subject}`{within} of {repo} directly derives from.",
        "Directly above `{subject}`{within} in {repo} stands what?", _NAMES, LIST,
    ),
    "ancestors": _asked(
        "Name, from the nearest on, everything within {repo} that `{subject}`{within} descends from.",
        "Climbing up from `{subject}`{within} in {repo}, what does one meet, in order?", _NAMES, SEQUENCE,
    ),
    "subclasses": _asked(
        "List what in {repo} directly derives from `{subject}`{within}.",
        "Directly below `{subject}`{within} in {repo} stands what?", _NAMES, LIST, _NO_TESTS,
    ),
    "type": _asked(
        "List the members of {repo}'s `{subject}`{within}.", "A value of {repo}'s `{subject}`{within} holds which"
        " members?", _NAMES, LIST,
    ),
    "optional-fields": _asked(
        "List the members of {repo}'s `{subject}`{within} that may be missing.",
        "What may be left out of a `{subject}`{within} in {repo}?", _NAMES, LIST,
    ),
    "union": _asked(
        "List what {repo}'s type `{subject}`{within} may be.", "A `{subject}`{within} in {repo} is one of what?",
        _NAMES, LIST,
    ),
    "enum": _asked(
        "List the members of {repo}'s enumeration `{subject}`{within}.",
        "Between what does {repo}'s `{subject}`{within} distinguish?", _NAMES, LIST,
    ),
    "table-keys": _asked(
        "List the keys of {repo}'s `{subject}`{within}.", "Under which keys has `{subject}`{within} of {repo} entries?",
        _NAMES, LIST,
    ),
    "list-value": _asked(
        "List, in order, what {repo} puts into `{subject}`{within}.",
        "Going through `{subject}`{within} of {repo}, what comes by, in order?", _NAMES, SEQUENCE,
    ),
    "raises": _asked(
        "List the errors that `{subject}`{within} of {repo} itself raises.",
        "The body of {repo}'s `{subject}`{within} has statements that raise which errors?", _NAMES, LIST,
    ),
    "error": _asked(
        "State the condition under which `{subject}`{within} of {repo} raises `{error}`.",
        "`{subject}`{within} of {repo} ended with `{error}`: what had to hold?", _ONE, LITERAL,
    ),
    "message": _asked(
        "Quote the message of the `{error}` that `{subject}`{within} of {repo} raises.",
        "`{error}` from `{subject}`{within} of {repo} carries which words?", _ONE, LITERAL,
    ),
    "error-origin": _asked(
        "Name the function of {repo} that fails with “{subject}”.",
        "The log of {repo} says “{subject}”: which function wrote that?", _ONE, LITERAL,
    ),
    "error-translation": _asked(
        "Name what `{subject}`{within} of {repo} raises in place of {caught}.",
        "When {caught} occurs inside `{subject}`{within} of {repo}, what comes out?", _ONE, LITERAL,
    ),
    "import": _asked(
        "List the names that {repo}'s `{subject}` takes from its own `{target}`.",
        "Of `{target}` in {repo}, `{subject}` needs which names?", _NAMES, LIST,
    ),
    "environment": _asked(
        "List the files of {repo} that look at the environment variable `{subject}`.",
        "Setting `{subject}` reaches {repo} through which files?", _FILES, LIST, _NO_TESTS,
    ),
    "dependency-users": _asked(
        "List the files of {repo} that import `{subject}`.", "Without `{subject}`, which files of {repo} would break?",
        _FILES, LIST, _NO_TESTS,
    ),
    "port": _asked(
        "State each port that `{subject}` of {repo} {how}.",
        "Whoever looks into `{subject}` of {repo} finds that it {how} which port?", _ONE, LIST,
    ),
    "ci": _asked(
        "List what starts {repo}'s workflow “{subject}”.", "“{subject}” of {repo} runs upon which events?", _NAMES,
        LIST,
    ),
    "ci-steps": _asked(
        "List, in order, the steps of {repo}'s workflow “{subject}”.",
        "“{subject}” of {repo} goes through which steps, in order?", _NAMES, SEQUENCE,
    ),
    "ci-jobs": _asked(
        "Name the jobs of {repo}'s workflow “{subject}”.", "Between which jobs is the work of “{subject}” shared in"
        " {repo}?", _NAMES, LIST,
    ),
    "ci-stages": _asked(
        "Name, in order, the stages of {repo}'s pipeline.", "A commit to {repo} passes which stages, in order?",
        _NAMES, SEQUENCE,
    ),
    "base-image": _asked(
        "Name the image that `{subject}` of {repo} builds upon.", "At the bottom of `{subject}` in {repo} lies which"
        " image?", _ONE, LITERAL,
    ),
    "shared-default": _asked(
        "State the default that all functions of {within_path} in {repo} give to their `{subject}`.",
        "No caller of {within_path} in {repo} names `{subject}`: what holds?", _ONE, LITERAL,
    ),
    "changelog-version": _asked(
        "State the release of {repo} whose notes say “{subject}”.", "“{subject}” is news of which release of {repo}?",
        _ONE, LITERAL,
    ),
    "issue-fix": _asked(
        "Ticket {subject} of {repo} was settled by which proposal?",
        "Name the proposal that put an end to {repo}'s ticket {subject}.", " Reply with its number alone.", NUMBER,
    ),
    "issue-version": _asked(
        "State the first release of {repo} without the fault of ticket {subject}.",
        "Ticket {subject} of {repo} no longer troubles users of which release?", _ONE, LITERAL,
    ),
    "issue-number": _asked(
        "“{subject}” stands under which number in the tracker of {repo}?",
        "State the ticket of {repo} that is headed “{subject}”.", " Reply with its number alone.", NUMBER,
    ),
    "introduction": _asked(
        "State the number of the proposal that first brought `{subject}` into {repo}.",
        "Since which proposal does {repo} have `{subject}`?", " Reply with its number alone.", NUMBER,
    ),
    "symbols-added": _asked(
        "List the names that proposal {subject} brought into {repo}.",
        "Before proposal {subject}, which names did {repo} still lack that it has since?", _NAMES, LIST,
    ),
    "symbols-removed": _asked(
        "List the names that proposal {subject} took out of {repo}.",
        "Which names did {repo} lose by proposal {subject}?", _NAMES, LIST,
    ),
    "decision": _asked(
        "State in one sentence what {repo} settled under the heading “{subject}”.",
        "A newcomer to {repo} reads “{subject}”: one sentence on what was settled there.", "", PROSE,
    ),
    "term": _asked(
        "State what the pages of {repo} say of “{subject}”{within}.",
        "A newcomer to {repo} meets “{subject}”{within}: what do its pages say of that?", "", PROSE,
    ),
    "props": _asked(
        "List the props that the component `{subject}`{within} of {repo} takes.",
        "Whoever puts `{subject}`{within} of {repo} into markup may give it which props?", _NAMES, LIST,
    ),
    "depends-on": _asked(
        "List the repository's own files from which `{subject}` of {repo} imports.",
        "`{subject}` of {repo} could not do without which of the repository's own files?", _FILES, LIST,
    ),
    "folder": _asked(
        "List the files of code directly in `{subject}` of {repo}.",
        "Opening the folder `{subject}` of {repo}, which files of code does one see?", _NAMES, LIST, _NO_TESTS,
    ),
    "environment-default": _asked(
        "State what {repo} takes when the environment variable `{subject}` is not set.",
        "Without `{subject}` in the environment, {repo} goes on with which value?", _ONE, LITERAL,
    ),
    "table-cell": _asked(
        "State what the pages of {repo} have as {column} of “{subject}” (“{section}”).",
        "Under “{section}”, “{subject}” of {repo} has which {column}?", _ONE, LITERAL,
    ),
}  # fmt: skip
"""Kind of a fact of `synthesis/facts` → how it is asked."""

NOT_ASKED: Final = frozenset(
    {
        "section",
        "snippet",
        "signature",
        "list",
        "changelog",
        "test-checks",
        "behaviour",
        "commits",
        "file-history",
        "pull",
    }
    | {"profile", "difference", "layout", "route-walkthrough", "page-walkthrough", "call-walkthrough"}
    | {"merge-date", "release-date", "pull-number", "convention", "section-place", "service"}
    | {"reason", "review", "definition", "decision-context", "decision-consequence", "answered-question"}
    | {"error-message"}
    | {"issue", "issue-report", "issue-cause", "thread-answer"}
    | {"change", "rename"}
)
"""Kinds that are left out on purpose: whole texts, which no scorer of short answers can mark; what joins facts that are
asked one by one; trivia that nobody asks and that would weigh as much as any other kind; what reads badly too often
to be a reference; what people say in threads; and what the suite `dated` asks in two questions.
"""

OWN: Final = {
    "heading": _asked(
        "Name the document of {repo} that contains a part headed “{subject}”.",
        "“{subject}” is a part of which document of {repo}?", _FILE, PATH,
    ),
    "pull-file": Asked(
        "Name one file that proposal number {number} (“{subject}”) to {repo} touches. Reply with the path only.", "",
        PATH,
    ),
    "pull-title": Asked("Name the title of proposal number {number} to {repo}.", "", PROSE),
    "code": Asked(
        "Below is the beginning of `{subject}` from {path} in {repo}. Continue it with the next {lines} lines. "
        "Reply with code only.\n\n```\n{start}\n```", "", "code",
    ),
    "opening": Asked(
        "Write down the opening {lines} lines of {path} from {repo}, exactly as they are, and nothing else.", "",
        "code",
    ),
    "moved-from": Asked(
        "Proposal number {number} to {repo} moved a file to `{subject}`. Name the path that it had before. Reply with "
        "the path only.", "", PATH,
    ),
    "moved-to": Asked(
        "Before proposal number {number} to {repo} there was a file `{subject}`. Name the path that it has since. "
        "Reply with the path only.", "", PATH,
    ),
    "changed-from": Asked(
        "Proposal number {number} to {repo} set `{subject}` in {file} to `{new}`. State what it was until then."
        " Reply with that alone.", "", LITERAL,
    ),
    "changed-to": Asked(
        "Until proposal number {number} to {repo}, `{subject}` in {file} was `{old}`. State what it has been since."
        " Reply with that alone.", "", LITERAL,
    ),
    "renamed-from": Asked(
        "Proposal number {number} to {repo} brought the name `{subject}` into {file} for something that was there."
        " State its name until then. Reply with that alone.", "", LITERAL,
    ),
    "renamed-to": Asked(
        "Until proposal number {number} to {repo} there was a `{subject}` in {file}. State its name since. Reply with"
        " that alone.", "", LITERAL,
    ),
    "exists": Asked("Does {repo} have a file `{subject}`? Reply yes or no.", "", "yes or no"),
    "exists-name": Asked("Does the code of {repo} have the name `{subject}`? Reply yes or no.", "", "yes or no"),
}  # fmt: skip
"""Kinds that only the evaluation asks."""

QUESTIONS: Final = {kind: asked.wording for kind, asked in (FACTS | OWN).items()}
"""Kind → first wording."""

OR_UNKNOWN: Final = " If {repo} has nothing of that name, reply: I do not know."
"""Put after both questions of an unanswerable pair."""

OR_NO_PULL: Final = " If {repo} has no proposal of that number, reply: I do not know."
"""Put after both questions of a pair about pull requests."""

AFTER: Final = "Which change did {repo} receive in {later}? If you cannot know, reply: I do not know."
"""Asks about a month after the snapshot."""

CODE_LINES: Final = 4
"""Lines that the code suite asks for."""
