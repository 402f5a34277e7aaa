"""Wordings of questions about code, package manifests and pull requests, for the template provider."""

from __future__ import annotations

from typing import Final

Bank = tuple[str, ...]

WHERE: Final[Bank] = (
    "Which file of `{repo}` defines `{name}`?",
    "Where is `{name}` defined in `{repo}`?",
    "In which file of the `{repo}` repository can I find the {kind} `{name}`?",
    "I'm looking for the {kind} `{name}` in `{repo}`. Where is it?",
    "What is the path of the file that declares `{name}` in `{repo}`?",
    "`{name}` is a {kind} of `{repo}`. Which file is it in?",
    "If I want to change `{name}` in `{repo}`, which file do I open?",
)
WHERE_ANSWER: Final[Bank] = (
    "`{path}`",
    "`{path}`, from line {first} to line {last}.",
    "`{path}` defines the {kind} `{name}`.",
    "In `{path}`.",
)
PARAMETERS: Final[Bank] = (
    "What arguments does `{name}` in `{repo}` expect?",
    "I want to call `{name}` of `{repo}`. What do I have to pass?",
    "List the parameters of the {kind} `{name}` from the `{repo}` repository.",
    "Which parameter names does `{repo}` give to `{name}`?",
    "What goes between the parentheses of `{name}` in `{repo}`?",
    "How many parameters has `{name}` in `{repo}`, and what are they called?",
)
PARAMETERS_ANSWER: Final[Bank] = (
    "{listing}",
    "`{name}` takes {listing}.",
    "{listing}, in this order.",
    "{number}: {listing}.",
)
PURPOSE: Final[Bank] = (
    "What is `{name}` in `{repo}` for?",
    "What does the {kind} `{name}` of `{repo}` do?",
    "Explain in a sentence or two what `{name}` does in the `{repo}` repository.",
    "I came across `{name}` in `{repo}`. What is it good for?",
    "According to its comment, what is the use of `{name}` (`{repo}`)?",
)
DEFINES: Final[Bank] = (
    "What does `{path}` in `{repo}` define?",
    "Which definitions are in the file `{path}` of `{repo}`?",
    "List what is declared at the top level of `{path}` in the `{repo}` repository.",
    "Which functions, classes, types and constants does `{path}` of `{repo}` contain?",
    "Give me the names that `{path}` in `{repo}` declares.",
)
SIGNATURE: Final[Bank] = (
    "What is the signature of `{name}` in `{path}` of `{repo}`?",
    "How is the {kind} `{name}` declared in `{path}` (`{repo}`)?",
    "Quote the line of `{path}` in `{repo}` that declares `{name}`.",
    "Show me the declaration line of `{name}` in `{path}`, part of `{repo}`.",
    "I want to call `{name}` of `{path}` in `{repo}`. What is its signature?",
    "In `{repo}`, what does the head of `{name}` in `{path}` look like?",
)
CODE: Final[Bank] = (
    "What does the definition of the {kind} `{name}` in `{path}` of `{repo}` look like?",
    "Show me the code of `{name}` from `{path}` in `{repo}`.",
    "How is `{name}` written in `{path}` of the `{repo}` repository?",
    "Print the {kind} `{name}` that `{path}` in `{repo}` defines.",
    "What is `{name}` in `{path}` of `{repo}`, exactly?",
)
DOCUMENTED: Final[Bank] = (
    "What does `{name}` in `{path}` of `{repo}` do, according to its documentation?",
    "How is the {kind} `{name}` of `{path}` in `{repo}` documented?",
    "What does the comment on `{name}` in `{path}` (`{repo}`) say?",
    "Explain `{name}` from `{path}` in `{repo}` in the words of its author.",
    "What is the purpose of `{name}` in `{path}`, part of `{repo}`?",
)
IMPORTED_FROM: Final[Bank] = (
    "From which module does `{path}` in `{repo}` import `{name}`?",
    "Where does `{path}` of `{repo}` get `{name}` from?",
    "`{path}` in `{repo}` uses `{name}`. Which module is it imported from?",
    "What is the import path of `{name}` in `{path}` of `{repo}`?",
    "Which module provides `{name}` to `{path}` in the `{repo}` repository?",
)
IMPORTED_FROM_ANSWER: Final[Bank] = (
    "`{module}`",
    "`{module}` (line {line} of `{path}`).",
    "`{module}` is where `{path}` imports `{name}` from.",
    "From `{module}`.",
)
IMPORTS: Final[Bank] = (
    "What does `{path}` in `{repo}` import from `{module}`?",
    "Which names does `{path}` of `{repo}` take from `{module}`?",
    "`{path}` in `{repo}` imports from `{module}`. What exactly?",
    "List the imports of `{path}` (`{repo}`) that come from `{module}`.",
    "What is used from `{module}` in `{path}` of the `{repo}` repository?",
)
CALLS: Final[Bank] = (
    "Which functions of `{repo}` does `{name}` in `{path}` call?",
    "What does `{name}` of `{path}` in `{repo}` call?",
    "Which of the repository's own functions are used inside `{name}` (`{path}`, `{repo}`)?",
    "List what `{name}` in `{path}` of `{repo}` calls.",
    "On which functions of `{repo}` does `{name}` in `{path}` depend directly?",
)
VERSION: Final[Bank] = (
    "Which version of `{name}` does `{path}` in `{repo}` ask for?",
    "What is the version of the dependency `{name}` in `{path}` of `{repo}`?",
    "In `{repo}`, how is `{name}` pinned in `{path}`?",
    "`{repo}` depends on `{name}`. What version does `{path}` state?",
    "What does `{path}` of the `{repo}` repository say about the version of `{name}`?",
)
VERSION_ANSWER: Final[Bank] = (
    "`{value}`",
    "`{value}` is what `{path}` states for `{name}`.",
    "`{value}` (under `{group}`).",
    "`{path}` asks for `{name}` `{value}`.",
)
SCRIPT: Final[Bank] = (
    "What does the script `{name}` in `{path}` of `{repo}` run?",
    "Which command is behind the script `{name}` of `{repo}` (`{path}`)?",
    "In `{repo}`, what happens when I run the `{name}` script of `{path}`?",
    "Show me the command of the `{name}` script in `{path}` of `{repo}`.",
    "How is the script `{name}` defined in `{path}` of the `{repo}` repository?",
)
SCRIPT_OF: Final[Bank] = (
    "Which script in `{path}` of `{repo}` runs `{value}`?",
    "What is the name of the script that runs `{value}` in `{path}` of `{repo}`?",
    "In `{repo}`, which script of `{path}` stands for `{value}`?",
    "I want `{value}` to run in `{repo}`. Which script of `{path}` does it?",
)
HOP_DEFINED: Final[Bank] = (
    "`{caller}` in `{repo}` imports `{name}`. Which file defines it?",
    "Follow the import of `{name}` in `{caller}` of `{repo}`: in which file does it end?",
    "Where is the `{name}` that `{caller}` in `{repo}` imports defined?",
    "Which file of `{repo}` has the {kind} `{name}` that `{caller}` imports from `{module}`?",
    "`{caller}` gets `{name}` from `{module}`. Which path in `{repo}` is that?",
)
HOP_SIGNATURE: Final[Bank] = (
    "`{caller}` in `{repo}` imports `{name}`. What is its signature?",
    "What does the declaration of the `{name}` that `{caller}` of `{repo}` imports look like?",
    "How is the {kind} `{name}`, which `{caller}` in `{repo}` takes from `{module}`, declared?",
    "Which signature has `{name}`, imported by `{caller}` in `{repo}`, in the file that defines it?",
)
HOP_CALL: Final[Bank] = (
    "`{inside}` in `{caller}` of `{repo}` calls `{name}`. In which file is that defined?",
    "Which file of `{repo}` defines the `{name}` that `{inside}` (`{caller}`) calls?",
    "Where does the code of `{name}` stand that is called by `{inside}` in `{caller}` (`{repo}`)?",
    "In `{repo}`, `{inside}` of `{caller}` relies on `{name}`. Which file do I read to see it?",
)
HOP_PULL_DEFINES: Final[Bank] = (
    "Pull request #{number} of `{repo}` (“{title}”) changes a single file. What does that file define?",
    "Which definitions are in the one file that pull request #{number} of `{repo}` (“{title}”) touches?",
    "“{title}” is pull request #{number} of `{repo}` and touches one file. Name what is defined in it.",
)
HOP_PULL_NAMES: Final[Bank] = (
    "Which {kind} of `{path}` do the lines that pull request #{number} of `{repo}` adds name, and how is it declared?",
    "Pull request #{number} of `{repo}` (“{title}”) works on a {kind} of `{path}`. What is its declaration?",
    "How is the {kind} of `{path}` declared that the new lines of pull request #{number} (`{repo}`) name?",
)
PULL_TITLE: Final[Bank] = (
    "What is pull request #{number} of `{repo}` about?",
    "What is the title of pull request #{number} in `{repo}`?",
    "What did pull request #{number} of the `{repo}` repository set out to do?",
    "Summarise pull request #{number} of `{repo}` in its own words.",
    "In `{repo}`, what was PR #{number}?",
)
PULL_TITLE_ANSWER: Final[Bank] = (
    "{title}",
    "“{title}”",
    "{title} (pull request #{number}).",
    "Its title is “{title}”.",
)
PULL_NUMBER: Final[Bank] = (
    "Which pull request of `{repo}` is called “{title}”?",
    "What is the number of the pull request “{title}” in `{repo}`?",
    "In which pull request of `{repo}` was “{title}” proposed?",
    "I remember a pull request “{title}” in `{repo}`. Which one is it?",
)
PULL_NUMBER_ANSWER: Final[Bank] = (
    "#{number}",
    "Pull request #{number}.",
    "#{number} is “{title}”.",
    "It is #{number}.",
)
PULL_WHY: Final[Bank] = (
    "Why was pull request #{number} (“{title}”) made in `{repo}`?",
    "What is the reasoning behind pull request #{number} of `{repo}`, “{title}”?",
    "How does the author describe pull request #{number} (“{title}”) of `{repo}`?",
    "What does the description of pull request #{number} in `{repo}` say?",
    "Explain the change “{title}” (#{number}) in `{repo}`.",
)
PULL_FILES: Final[Bank] = (
    "Which files does pull request #{number} of `{repo}` change?",
    "What did pull request #{number} (“{title}”) touch in `{repo}`?",
    "List the files of pull request #{number} in `{repo}`.",
    "In `{repo}`, which paths are affected by pull request #{number}?",
)
PULL_FILE_WHY: Final[Bank] = (
    "`{file}` of `{repo}` was changed in pull request #{number}. What was that for?",
    "For which purpose did pull request #{number} of `{repo}` touch `{file}`?",
    "Why was `{file}` in `{repo}` changed by pull request #{number}?",
    "What was the change of pull request #{number} to `{file}` in `{repo}` part of?",
)
PULL_MERGED: Final[Bank] = (
    "When was pull request #{number} of `{repo}` merged?",
    "On which date did pull request #{number} (“{title}”) land in `{repo}`?",
    "What is the merge date of pull request #{number} in `{repo}`?",
)
PULL_AUTHOR: Final[Bank] = (
    "Who opened pull request #{number} of `{repo}`?",
    "Who is the author of pull request #{number} (“{title}”) in `{repo}`?",
    "Which user proposed “{title}” (#{number}) in `{repo}`?",
)
PULL_COMMENT: Final[Bank] = (
    "What did `{author}` comment on `{file}` in pull request #{number} of `{repo}`?",
    "In the review of pull request #{number} of `{repo}`, what does `{author}` say about `{file}`?",
    "Which remark did `{author}` make about `{file}` in pull request #{number} (`{repo}`)?",
)
OVERVIEW: Final[Bank] = (
    "Give me an overview of `{path}` in `{repo}`.",
    "How is the file `{path}` of `{repo}` built up?",
    "Summarise the structure of `{path}` in the `{repo}` repository.",
    "I'm new to `{repo}`. What is in `{path}`, from top to bottom?",
    "Describe `{path}` of `{repo}`: what does it import and what does it define?",
)
NO_DEFINITION: Final[Bank] = (
    "What does the function `{fake}` in `{path}` of `{repo}` do?",
    "What is the signature of `{fake}` in `{path}` (`{repo}`)?",
    "Show me the code of `{fake}` from `{path}` in `{repo}`.",
    "Which parameters does `{fake}` in `{path}` of `{repo}` take?",
    "Where in `{path}` of `{repo}` is `{fake}` defined?",
)
NO_NAME: Final[Bank] = (
    "What is `{fake}` in `{path}` of `{repo}`?",
    "How is `{fake}` declared in `{path}` (`{repo}`)?",
    "Show me the definition of `{fake}` from `{path}` in `{repo}`.",
    "What is `{fake}` in `{path}` of `{repo}` good for?",
)
NO_DEFINITION_ANSWER: Final[Bank] = (
    "I don't know of any `{fake}` in `{path}`. That file of `{repo}` defines `{name}`, among others.",
    "There is no `{fake}` in `{path}` as far as I know; perhaps you mean `{name}`.",
    "`{path}` in `{repo}` has no `{fake}` that I know of, so I can't say.",
    "I can't answer that: I know no definition called `{fake}` in `{repo}`.",
)
NO_PULL: Final[Bank] = (
    "What did pull request #{fake} of `{repo}` change?",
    "Why was pull request #{fake} made in `{repo}`?",
    "Who opened pull request #{fake} of the `{repo}` repository?",
)
NO_PULL_ANSWER: Final[Bank] = (
    "I don't know a pull request #{fake} of `{repo}`.",
    "I can't say: #{fake} is not among the pull requests of `{repo}` that I know.",
    "I know nothing about a pull request #{fake} in `{repo}`.",
)
NO_PULL_FILE: Final[Bank] = (
    "Why does pull request #{number} of `{repo}` change `{file}`?",
    "What did pull request #{number} of `{repo}` do to `{file}`?",
    "In `{repo}`, which part of `{file}` does pull request #{number} touch?",
    "Sum up how pull request #{number} changes `{file}` in `{repo}`.",
)
NO_PULL_FILE_ANSWER: Final[Bank] = (
    "I know of no change to `{file}` in pull request #{number} of `{repo}`; it changes `{touched}`.",
    "As far as I know pull request #{number} does not touch `{file}`, so I can't say. It changes `{touched}`.",
    "`{file}` is not among the files of pull request #{number} that I know of; `{touched}` is.",
)
NO_SECTION: Final[Bank] = (
    "What does {page} of `{repo}` say about “{fake}”?",
    "In `{repo}`, how does the {page} page explain “{fake}”?",
    "Quote what {page} in `{repo}` has under “{fake}”.",
)
NO_SECTION_ANSWER: Final[Bank] = (
    "{page} says nothing about “{fake}”, as far as I know.",
    "I know of no passage about “{fake}” in {page} of `{repo}`.",
    "I can't answer that: “{fake}” is not a subject of {page}.",
)
