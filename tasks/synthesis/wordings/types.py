"""Wordings of data: types, enums, class hierarchies."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "type": Wording(
        questions=(
            "Which fields does {named} have?",
            "What does the {thing} {named} consist of in {repo}?",
            "What is in {subject!q}?",
            "I have to build {subject!q} in {repo}. Which fields are there?",
            "Which data does {named} hold?",
            "How is {named} structured in {repo}?",
            "List the fields of the {thing} {named} in {repo}.",
            "What can I read from {subject!q} of {repo}?",
        ),
        answers=(
            "{values}.",
            "It has {values}.",
            "It has {count:#field|fields}:\n\n{lines}",
            "`{subject}` is {thing!a} of `{path}` with these fields:\n\n{lines}",
        ),
    ),
    "props": Wording(
        questions=(
            "Which props does the component {named} take?",
            "What do I have to pass to {named} in {repo}?",
            "I want to render {named}. Which props are there?",
            "How is the component {named} of {repo} configured from outside?",
            "Which props does `{type}` declare for `{subject}`?",
            "What can a parent hand down to {named}?",
            "List the props of {named} in {repo} with their types.",
            "What does {named} need to know to render itself?",
        ),
        answers=(
            "{values}.",
            "It takes {values}.",
            "It takes {count:#prop|props}:\n\n{lines}",
            "`{type}` in `{path}` declares them:\n\n{lines}",
        ),
    ),
    "optional-fields": Wording(
        questions=(
            "Which fields of {named} are optional?",
            "What may be left out of {subject!q} in {repo}?",
            "Which fields of the {thing} {named} can be missing?",
            "I want to make a minimal `{subject}`. What can I leave out?",
            "On which fields of {named} can I not rely in {repo}?",
            "In {repo}, what need not be set in {named}?",
            "Which parts of {named} are not required?",
            "What may be undefined in {subject!q} of {repo}?",
        ),
        answers=(
            "{values}.",
            "{values} {count:is|are} optional.",
            "You can leave out {values}; needed: {required}.",
            "{count:One field is|These fields are} optional: {values}. The rest is required: {required}.",
        ),
    ),
    "field": Wording(
        questions=(
            "Which type has the field `{field}` of {named}?",
            "What type is `{field}` in {named}?",
            "In {repo}, what does `{field}` of the {thing} {named} hold?",
            "How is `{field}` declared in {named}?",
            "What do I put into `{field}` of {subject!q}?",
            "What kind of value is `{subject}.{field}` in {repo}?",
            "I read `{field}` from {subject!q}. What do I get?",
            "`{subject}` of {repo} has a field `{field}`. Of which type?",
        ),
        answers=(
            "`{type}`.",
            "It is declared as `{type}`.",
            "`{field}` is of type `{type}`.",
            "The field `{field}` of `{subject}` has the type `{type}`, as `{path}` declares it.",
        ),
        explains=False,
    ),
    "enum": Wording(
        questions=(
            "Which members does the enum {named} have?",
            "Which values can {subject!q} have in {repo}?",
            "What are the cases of {named}?",
            "Between what does {named} distinguish in {repo}?",
            "List the members of {named}.",
            "I have to handle every `{subject}` in {repo}. Which are there?",
            "Which options does {repo} know for {named}?",
            "What does the enum {named} enumerate?",
        ),
        answers=(
            "{values}.",
            "It can be {values}.",
            "It has {count:#member|members}:\n\n{lines}",
            "`{subject}` in `{path}` has these members:\n\n{lines}",
        ),
    ),
    "enum-value": Wording(
        questions=(
            "What is the value of `{subject}.{member}`?",
            "Which value does `{member}` of {named} stand for?",
            "What is behind `{member}` in the enum {named}?",
            "Which value is sent for `{subject}.{member}` in {repo}?",
            "In {repo}, what does {named} assign to `{member}`?",
            "How is the member `{member}` of {named} defined?",
            "I see `{subject}.{member}` in {repo}. Which value is that?",
            "Which constant does {repo} use for `{subject}.{member}`?",
        ),
        answers=(
            "`{value}`.",
            "It is `{written}`.",
            "`{subject}.{member}` is `{written}`.",
            "`{written}`, set in `{path}`.",
        ),
    ),
    "union": Wording(
        questions=(
            "Which values may {named} have?",
            "Which values does the type {named} allow in {repo}?",
            "What can {subject!q} be?",
            "Between which alternatives does {named} choose?",
            "Which strings are valid for {named} in {repo}?",
            "List the values of the type {named}.",
            "I have to pass {subject!q}. What is allowed?",
            "Which kinds does {repo} distinguish by {named}?",
        ),
        answers=(
            "{values}.",
            "One of {values}.",
            "It allows {count:#value|values}: {values}.",
            "The type `{subject}` in `{path}` allows {values}.",
        ),
    ),
    "hierarchy": Wording(
        questions=(
            "What does the {thing} {named} extend or implement?",
            "What is {named} based on in {repo}?",
            "From what does {named} inherit?",
            "Which parent does {named} have in {repo}?",
            "What kind of thing is {named}: what does it derive from?",
            "Where do the inherited members of {named} come from?",
            "In {repo}, what stands directly above {named} in the hierarchy?",
            "Which base does the {thing} {named} of {repo} have?",
        ),
        answers=(
            "{values}.",
            "It is based on {values}.",
            "It derives from {values}.",
            "`{subject}` is {thing!a} in `{path}` that builds on {values}.",
        ),
    ),
    "subclasses": Wording(
        questions=(
            "What extends {named} in {repo}?",
            "Which implementations of {named} are there in {repo}?",
            "What derives directly from the {thing} {named}?",
            "If I add something abstract to {named}, what has to implement it?",
            "Which kinds of `{subject}` does {repo} have?",
            "What inherits from {named}?",
            "Which types of {repo} build on {named}?",
            "In {repo}, what stands directly below {named} in the hierarchy?",
        ),
        answers=(
            "{values}.",
            "{values} {count:builds|build} on it.",
            "There {count:is|are} {values}.",
            "{count:One type derives|These derive} from `{subject}`:\n\n{placed}",
        ),
    ),
    "ancestors": Wording(
        questions=(
            "What is the chain of parents above {named}?",
            "Which types of {repo} does {named} inherit from, all the way up?",
            "Describe the line of inheritance of {named}.",
            "If I follow the parents of {named} in {repo}, what do I meet?",
            "From which types of the repository does {named} inherit, directly and indirectly?",
            "Of what is {subject!q} also an instance in {repo}?",
            "What stands above {named} in the hierarchy of {repo}, up to the top?",
            "Which parents and grandparents does the {thing} {named} have?",
        ),
        answers=(
            "{values}.",
            "From nearest to farthest: {chain}.",
            "It inherits from {chain}.",
            "Going up from `{subject}` in `{path}` you meet {chain}.",
        ),
    ),
}
