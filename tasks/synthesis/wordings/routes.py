"""Wordings of HTTP routes: who answers, what is behind them, who calls them."""

from __future__ import annotations

from typing import Final

from tasks.synthesis.wordings.grammar import Wording

WORDINGS: Final = {
    "route": Wording(
        questions=(
            "Which handler answers `{route}`?",
            "What handles `{route}` in {repo}?",
            "A request comes in for `{route}`. Which function takes it?",
            "Who is responsible for `{route}` on the server of {repo}?",
            "I need to change how `{route}` responds. Which handler is it?",
            "What is registered as the handler of `{route}` in {repo}?",
            "Where does a call to `{route}` end up in {repo}?",
            "`{route}` gives me an odd response. Which handler should I look at?",
            "In {repo}, what serves `{address}` for the method {method}?",
        ),
        answers=(
            "`{handler}`.",
            "`{handler}` handles it.",
            "It is handled by `{handler}`, registered in `{path}`.",
            "`{handler}` does. The route `{route}` is declared in `{path}`.",
        ),
    ),
    "route-file": Wording(
        questions=(
            "Where is the route `{route}` declared in {repo}?",
            "Which file of {repo} registers `{route}`?",
            "I want to change the endpoint `{route}`. Which file do I open?",
            "In which file do I find `{route}`?",
            "Where does {repo} define what happens on `{route}`?",
            "Which file would I edit to move or remove `{route}` in {repo}?",
            "Point me to the file with the endpoint `{route}`.",
            "`{route}` is an endpoint of {repo}. Which file declares it?",
        ),
        answers=(
            "`{value}`.",
            "It is declared in `{value}`.",
            "You find `{route}` in `{value}`.",
            "`{value}` registers it.",
        ),
        explains=False,
    ),
    "route-upstream": Wording(
        questions=(
            "What does `{route}` call upstream?",
            "Which upstream address is behind `{route}` in {repo}?",
            "Where does {repo} pass a request for `{route}` on to?",
            "`{route}` is only a proxy. What is behind it?",
            "Which path does the handler of `{route}` ask for at the service behind it?",
            "I see a call to `{route}`. Which upstream path does that become?",
            "When `{route}` fails in {repo}, which upstream path should I check?",
            "Which backend path serves `{route}` in the end?",
        ),
        answers=(
            "`{value}`.",
            "`{value}`, by way of `{handler}`.",
            "The request goes to `{value}`: the route is made with `{handler}`, which is given that path.",
            "It is passed on to `{value}` by `{handler}`, as `{path}` sets it up.",
        ),
    ),
    "route-guard": Wording(
        questions=(
            "What runs before the handler of `{route}`?",
            "Which middleware does `{route}` go through in {repo}?",
            "Is anything checked before `{route}` is handled in {repo}?",
            "Which middleware guards `{route}`?",
            "What does a request to `{route}` have to pass first?",
            "In {repo}, what stands between a request to `{route}` and its handler?",
            "Which functions are called before the handler when `{route}` is requested?",
            "My request to `{route}` never reaches the handler. What comes before it?",
        ),
        answers=(
            "{values}.",
            "{values} {count:runs|run} first.",
            "Before the handler {count:comes|come} {values}; the route is declared in `{path}`.",
            "A request to `{route}` passes {values} before it is handled.",
        ),
    ),
    "route-methods": Wording(
        questions=(
            "Which methods does `{subject}` accept?",
            "Which HTTP methods can I use on `{subject}` in {repo}?",
            "What can be done with `{subject}` in {repo}: read, create, delete?",
            "Does {repo} serve `{subject}` for more than one method?",
            "Which verbs are registered for `{subject}`?",
            "I get a 404 on `{subject}`. Which methods are there?",
            "In {repo}, which methods are declared for the address `{subject}`?",
            "How may I call `{subject}` of {repo}?",
        ),
        answers=(
            "{values}.",
            "It accepts {values}.",
            "There {count:is one route|are routes} for {values}, declared in `{path}`.",
            "You can use {values} on `{subject}`.",
        ),
    ),
    "handler-route": Wording(
        questions=(
            "Which endpoints does {named} serve?",
            "Which routes use {named} in {repo}?",
            "If I change {named}, which endpoints are affected?",
            "What breaks for callers of the API when `{subject}` of {repo} breaks?",
            "For which addresses is {named} registered?",
            "Which requests end up in {named} in {repo}?",
            "Where is {named} used as a handler in {repo}?",
            "Which part of {repo}'s API depends on {named}?",
        ),
        answers=(
            "{values}.",
            "It serves {values}.",
            "{values}, registered in `{path}`.",
            "{count:One route uses|These routes use} it: {values}.",
        ),
    ),
    "endpoint-caller": Wording(
        questions=(
            "Who calls `{subject}`?",
            "Which code of {repo} sends requests to `{subject}`?",
            "If I change the response of `{subject}`, what has to change with it?",
            "Which part of {repo} depends on the endpoint `{subject}`?",
            "What breaks in {repo} when `{subject}` goes away?",
            "Where is `{subject}` requested from?",
            "Which functions or components use `{subject}` in {repo}?",
            "`{subject}` is slow. Which code of {repo} is waiting for it?",
        ),
        answers=(
            "{values}.",
            "{values} {count:calls|call} it.",
            "It is requested by {values}.",
            "{count:One place calls|These call} `{subject}`:\n\n{placed}",
        ),
    ),
    "endpoint-use": Wording(
        questions=(
            "Which endpoints does {named} call?",
            "Which requests does {named} send in {repo}?",
            "What does {named} ask the server for?",
            "Which API does the {thing} {named} depend on in {repo}?",
            "Which routes must work for {named} to work?",
            "What does {named} of {repo} talk to?",
            "In {repo}, which endpoint is behind {named}?",
            "If {named} gets no data, which endpoint should I look at?",
        ),
        answers=(
            "{values}.",
            "It calls {values}.",
            "It sends {count:a request|requests} to {values}.",
            "The {thing} in `{path}` calls {values}.",
        ),
    ),
}
