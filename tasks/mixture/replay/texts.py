"""Texts that the base model writes: prompts of each stream, what is kept of what was drawn, and when it is enough.

Apart from the step, so that it runs where Prefect is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from tasks.base.errors import InputError
from tasks.base.records import Message, Provenance, Record, Split
from tasks.mixture.params import SamplingParams, Stream
from tasks.mixture.replay.openings import opening
from tasks.text.chat import UserTurn, stop_ids, user_turn
from tasks.text.tokenizer import TextTokenizer

LEAST_TOKENS: Final = 8
"""Mean length of a stream's samples under which they count as empty."""
LEAST_WAVE: Final = 4
"""Samples that are asked for at once at least; one of them is held."""
SHORT_TOKENS: Final = 32
"""What a text of the smallest table may have."""
TELLING: Final = 32
"""Samples by which it is judged whether a stream is empty."""
EXPECTED_FILL: Final = 0.6
"""Of the longest sample, that a sample is guessed to have before any is there."""
MOST_WAVES: Final = 8
HELD_EVERY: Final = 32
"""One sample in this many is not trained on; on these the divergence from the base is measured during training."""
Drawer = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
"""Continues prompts of `name`, `ids`, `limit` and `stops`: per prompt, in order, `ids` without the token that ended the
text, and `stop`, that token or null.
"""


class Sample(Record):
    """A text that the base model wrote."""

    id: str
    """`replay/<stream>/<number>`."""
    messages: tuple[Message, ...]
    """For people and for the leak guard: what is trained on are the ids."""
    method: str
    """The stream."""
    kind: str
    """The stream, where others count what dialogues are about."""
    ids: tuple[int, ...]
    """Token ids as they were given and drawn."""
    given_tokens: int
    """How many of the first are given and bear no loss."""
    provenance: Provenance
    split: Split


def draw_texts(
    tokenizer: TextTokenizer, stream: Stream, wanted: int, params: SamplingParams, draw: Drawer
) -> Iterator[Sample | tuple[str, str]]:
    """Samples of a stream, in order, until those that are trained on hold enough drawn tokens.

    For a sample that is left out it yields id and reason.

    Args:
        tokenizer: of the model.
        stream: what is written.
        wanted: tokens.
        params: limits.
        draw: continues prompts.

    Raises:
        InputError: the template cannot be sampled from, or the samples are empty.
    """
    few = max(
        SHORT_TOKENS, -(-wanted // (LEAST_WAVE - 1))
    )  # a small table wants no long texts, which take long to write
    params = params.model_copy(
        update={name: min(getattr(params, name), few) for name in ("sample_tokens", "answer_tokens")}
    )
    longest = params.question_tokens + params.answer_tokens if stream is Stream.CHAT else params.sample_tokens
    mean, number, tokens, drawn, yielded = EXPECTED_FILL * longest, 0, 0, 0, 0
    for _ in range(MOST_WAVES):
        lacking = TELLING - number if mean < LEAST_TOKENS else int(1.05 * (wanted - tokens) / mean) + 1
        count = max(LEAST_WAVE, lacking)
        for sample in _drawn(tokenizer, stream, range(number, number + count), params, draw):
            size = len(sample.ids) - sample.given_tokens if isinstance(sample, Sample) else 0
            if tokens < wanted:
                yield sample
                tokens += size if isinstance(sample, Sample) and sample.split is Split.TRAIN else 0
            drawn, yielded = drawn + size, yielded + 1
        number += count
        mean = drawn / yielded
        if mean < LEAST_TOKENS and yielded >= TELLING:
            raise InputError(
                f"dataset.replay: what the base model writes in the stream {stream} is empty ({yielded} samples, "
                f"{mean:.1f} tokens each that can be used); leave the stream out, choose another base_model, or name a "
                "dataset.replay.source"
            )
        if tokens >= wanted:
            return


def _drawn(
    tokenizer: TextTokenizer, stream: Stream, numbers: range, params: SamplingParams, draw: Drawer
) -> Iterator[Sample | tuple[str, str]]:
    """The samples of those numbers, in order."""
    given = {number: opening(tokenizer, stream, number) for number in numbers}
    if stream is Stream.CHAT:
        yield from _conversations(tokenizer, given, params, draw)
        return
    stops = list(stop_ids(tokenizer))
    prompts = [_prompt(stream, number, ids, params.sample_tokens, stops) for number, ids in given.items()]
    for (number, ids), drawn in zip(given.items(), draw(prompts), strict=True):
        if not drawn["ids"]:
            yield _name(stream, number), "empty"
            continue
        whole = [*ids, *drawn["ids"], *_stop(drawn)]
        text = tokenizer.decode(ids[1:] + drawn["ids"])
        yield _sample(stream, number, whole, len(ids), (Message(role="assistant", content=text),))


def _conversations(
    tokenizer: TextTokenizer, given: dict[int, list[int]], params: SamplingParams, draw: Drawer
) -> Iterator[Sample | tuple[str, str]]:
    """Questions first, then the answers to those that ended."""
    turn, stream, stops = user_turn(tokenizer), Stream.CHAT, list(stop_ids(tokenizer))
    ends = sorted({*stops, turn.end_id}) if turn.end_id is not None else stops
    questions = draw([_prompt(stream, number, ids, params.question_tokens, ends) for number, ids in given.items()])
    asked = {number: _question(tokenizer, turn, drawn) for number, drawn in zip(given, questions, strict=True)}
    prompts = [
        _prompt(f"{stream}-answer", number, [*given[number], *question, *turn.after], params.answer_tokens, stops)
        for number, question in asked.items()
        if question
    ]
    answers = dict(zip((number for number in asked if asked[number]), draw(prompts), strict=True))
    for number, question in asked.items():
        if not question:
            yield _name(stream, number), "unfinished-question"
            continue
        answer = answers[number]
        said = [tokenizer.decode(ids, skip_control=True) for ids in (question, answer["ids"])]
        whole = [*given[number], *question, *turn.after, *answer["ids"], *_stop(answer)]
        messages = (Message(role="user", content=said[0]), Message(role="assistant", content=said[1]))
        yield _sample(stream, number, whole, len(given[number]), messages)


def _question(tokenizer: TextTokenizer, turn: UserTurn, drawn: dict[str, Any]) -> list[int]:
    """The drawn ids up to the end of the user's words; none if they do not end, or nothing was said."""
    ids: list[int] = drawn["ids"]
    if turn.end_id is not None:
        return ids if drawn["stop"] == turn.end_id and tokenizer.decode(ids, skip_control=True).strip() else []
    for length in range(1, len(ids) + 1):
        said, ended, _ = tokenizer.decode(ids[:length]).partition(turn.end)
        if ended:
            kept = sum(len(tokenizer.decode(ids[:size])) <= len(said) for size in range(1, length))
            return ids[:kept] if said.strip() else []
    return []


def _prompt(stream: str, number: int, ids: Sequence[int], limit: int, stops: list[int]) -> dict[str, Any]:
    return {"name": f"{stream}/{number}", "ids": list(ids), "limit": limit, "stops": stops}


def _stop(drawn: dict[str, Any]) -> list[int]:
    return [] if drawn["stop"] is None else [drawn["stop"]]


def _name(stream: Stream, number: int) -> str:
    return f"replay/{stream}/{number:08d}"


def _sample(stream: Stream, number: int, ids: list[int], given: int, messages: tuple[Message, ...]) -> Sample:
    name = _name(stream, number)
    about = Provenance(document_id=name, revision="", span=(1, 1), prompt_version="sampled", model="base")
    return Sample(
        id=name,
        messages=messages,
        method=stream.value,
        kind=stream.value,
        ids=tuple(ids),
        given_tokens=given,
        provenance=about,
        split=Split.HELD_OUT if number % HELD_EVERY == 1 else Split.TRAIN,
    )
