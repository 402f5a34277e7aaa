"""Wordings of definitions: where they are, how they are declared, what they take."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "location": Wording(
        questions=(
            "Where is `{subject}` defined in {repo}?",
            "Which file of {repo} defines the {thing} `{subject}`?",
            "I'm looking for `{subject}` in {repo}. Where do I find it?",
            "In which file of the {repo} repository does `{subject}` live?",
            "Where would I go to change the {thing} `{subject}` in {repo}?",
            "Which file do I open to read `{subject}` in {repo}?",
            "Can you point me to the definition of `{subject}` in {repo}?",
            "Where in {repo} is the {thing} `{subject}`?",
            "Tell me the file of {repo} where `{subject}` is written.",
            "Give me the path of the {thing} `{subject}` in {repo}.",
            "Do you know which file of {repo} holds `{subject}`?",
            "File of `{subject}` in {repo}?",
            "The {thing} `{subject}` of {repo} is found in what file?",
            "A colleague asks where `{subject}` sits in {repo}. Which path do I send?",
        ),
        answers=(
            "`{value}`.",
            "It is defined in `{value}`.",
            "You find the {thing} `{subject}` in `{value}`.",
            "`{subject}` is {thing!a} in `{value}`.",
        ),
        explains=False,
    ),
    "signature": Wording(
        questions=(
            "How is {named} declared in {repo}?",
            "What is the signature of {named} in {repo}?",
            "Show me the declaration of {named} in {repo}.",
            "What does the declaration of the {thing} {named} look like in {repo}?",
            "With which types is {named} of {repo} declared?",
            "In {repo}, how does the definition of {named} begin?",
            "I want to use the {thing} {named} from {repo}. How is it declared?",
            "What is the exact declaration of {named} in {repo}?",
            "Write down the signature of {named} as it stands in {repo}.",
            "Quote the declaration of {named} from {repo}.",
            "I'd like to know how exactly {named} is declared in {repo}.",
            "Declaration of {named} in {repo}?",
            "{named!c} of {repo} is declared how?",
            "I'm writing an override of {named} from {repo}. What is the declaration that I have to match?",
        ),
        answers=(
            "`{value}`",
            "It is declared as `{value}`.",
            "`{value}` is its declaration in `{path}`.",
            "The {thing} is declared as `{value}` in `{path}`.",
        ),
        explains=False,
    ),
    "parameters": Wording(
        questions=(
            "Which parameters does {named} take in {repo}?",
            "What arguments does the {thing} {named} expect in {repo}?",
            "What do I pass to {named} in {repo}?",
            "How many parameters does {named} of {repo} have, and which?",
            "I want to call {named} from {repo}. What does it need?",
            "In {repo}, what is {named} called with?",
            "List the parameters of {named} in {repo}, in order.",
            "What are the names of the parameters of {named} in {repo}?",
            "Give me all parameters of {named} in {repo}.",
            "Tell me what {named} of {repo} takes as parameters.",
            "Can you tell me the parameters of {named} in {repo}?",
            "Parameters of {named} in {repo}?",
            "{named!c} of {repo} takes what, parameter by parameter?",
            "My editor shows no hints for {named} of {repo}. Which parameters are there?",
            "What does the signature of {named} in {repo} look like, parameter names only?",
            "How is {named} of {repo} declared: which arguments, in which order?",
            "List the parameter names of {named} in {repo}.",
        ),
        answers=(
            "{values}.",
            "It takes {values}.",
            "It has {count:#parameter|parameters}: {values}.",
            "{values}, in that order; it is defined in `{path}`.",
        ),
        explains=False,
    ),
}
