"""The `openai` provider: documents through the methods' calls, the checks and the judge, many at once.

Each document is one chain: write, check, judge. The chains run side by side and are bounded in number, so memory does
not grow with the corpus. On an error no new request is begun, what is under way ends and is kept, then it is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from tasks.base.records import Verdict
from tasks.llm.calls import Call
from tasks.llm.client import Client, Failure
from tasks.synthesis import judge
from tasks.synthesis.checks import problem
from tasks.synthesis.curation import Curated
from tasks.synthesis.drafts import Draft, to_dialogue
from tasks.synthesis.duplicates import Asked
from tasks.synthesis.judge import RefusalScores, Scores
from tasks.synthesis.methods import Asking, Method, Subject, asks, has_template
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.templates import by_template, from_template

SERVER_ERROR: Final = "server-error"
"""Failure of the server, not of the content: such verdicts are quarantined, and too many of them fail the step."""

T = TypeVar("T")

Written = tuple[Asking, Call, list[Draft]]


async def write_all(
    subjects: Iterable[Subject],
    methods: list[Method],
    client: Client,
    params: SynthesisParams,
    at_once: int,
    take: Callable[[list[Curated | Verdict]], None],
    templated: Sequence[Method] = (),
) -> None:
    """Runs every subject's chain, at most `at_once` at a time, and hands each one's results to `take`, in any order.

    What a document gives by the methods of `templated`, without a model, comes with them.

    Raises:
        BudgetError, InputError, SourceError: from the transport, after everything under way has ended.
    """
    source = iter(subjects)

    async def work() -> None:
        for subject in source:
            take([*by_template(subject, templated, params), *await chain(subject, methods, client, params)])
            if client.error is not None:
                return

    ended = await asyncio.gather(*(work() for _ in range(at_once)), return_exceptions=True)
    if client.error is not None:
        raise client.error
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome


async def chain(
    subject: Subject, methods: list[Method], client: Client, params: SynthesisParams
) -> list[Curated | Verdict]:
    """Everything about one document: what survived and why the rest did not, in a fixed order."""
    results: list[Curated | Verdict] = []
    jobs: list[tuple[Asking, Call]] = []
    for method in methods:
        if method.applies(subject):
            if asks(method):
                jobs += [(method, call) for call in method.calls(subject, params)]
            elif has_template(method):
                results += from_template(subject, method, params)
    answers = await _together([client.ask(call) for _, call in jobs])
    written: list[Written] = []
    asked = Asked()
    for (method, call), answer in zip(jobs, answers, strict=True):
        if isinstance(answer, Failure):
            results.append(Verdict(id=call.id, reason=answer.reason, detail=answer.detail))
            continue
        kept: list[Draft] = []
        for draft in method.drafts(subject, call, answer):
            found = problem(subject.document, draft, params.max_answer_characters)
            if found is None and (twin := asked.before(draft.question, draft.answer, near=True)):
                found = (twin, draft.question)
            if found is None:
                kept.append(draft)
            else:
                results.append(Verdict(id=f"{call.id}", reason=found[0], detail=_told(draft, found[1])))
        written.append((method, call, kept))
    results += await _judged(subject, [entry for entry in written if entry[2]], client, params)
    return results


async def _judged(
    subject: Subject, written: list[Written], client: Client, params: SynthesisParams
) -> list[Curated | Verdict]:
    results: list[Curated | Verdict] = []
    # An unanswerable question that nobody has judged may well be answerable.
    needed = [entry for entry in written if params.judge or not entry[2][0].answerable]
    for method, call, drafts in written:
        if not any(call is entry[1] for entry in needed):
            results += [_curated(subject, method, call, draft) for draft in drafts]
    calls = [judge.call(subject.document, call, drafts, params) for _, call, drafts in needed]
    replies = await _together([client.ask(call) for call in calls])
    for (method, call, drafts), judging, reply in zip(needed, calls, replies, strict=True):
        if isinstance(reply, Failure):
            results.append(Verdict(id=judging.id, reason=reply.reason, detail=f"{len(drafts)} drafts: {reply.detail}"))
            continue
        assert isinstance(reply, Scores | RefusalScores)
        for draft, score in zip(drafts, judge.scored(drafts, reply), strict=True):
            if reason := judge.rejection(score):
                results.append(Verdict(id=call.id, reason=reason, detail=_told(draft, "")))
            else:
                results.append(_curated(subject, method, call, draft, score))
    return results


def _curated(
    subject: Subject,
    method: Method,
    call: Call,
    draft: Draft,
    score: judge.Score | judge.RefusalScore | None = None,
) -> Curated:
    dialogue = to_dialogue(subject.document, draft, method.METHOD, method.PROMPT_VERSION, call.model, subject.split)
    return Curated(dialogue, {} if score is None else score.model_dump(mode="json", exclude={"id"}))


async def _together(questions: Sequence[Awaitable[T]]) -> list[T]:
    """All answers, in order; the first error only after every one has ended, so that nothing paid for is cut off."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    whole: list[T] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        whole.append(answer)
    return whole


def _told(draft: Draft, why: str) -> str:
    """A rejected draft as a verdict's detail, so that a person can see what was rejected."""
    told = f"{why} | Q: {draft.question} | A: {draft.answer}" if why else f"Q: {draft.question} | A: {draft.answer}"
    return told if len(told) <= 1000 else told[:997] + "…"
