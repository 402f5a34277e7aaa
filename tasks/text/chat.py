"""A dialogue as token ids and loss mask, by the model's own chat template.

The ids equal those of transformers' `apply_chat_template` (tests/text/test_chat.py compares them), with one
difference that is on purpose: a message that spells a control token (`<|im_end|>` in a question about templates)
keeps it as text, whereas transformers would let it end the turn.

Loss falls on what the assistant writes and on its end-of-turn token, without which a model never learns to stop; not
on the line break after it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasks.base.errors import InputError
from tasks.base.records import IGNORED, Message
from tasks.text.tokenizer import TextTokenizer

DAY: Final = datetime.date(2026, 1, 1)
"""The day that templates are told (SmolLM3's, Granite's and Mistral Small's write it into the system message)."""


def render_dialogue(tokenizer: TextTokenizer, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    """Token ids of a dialogue and its labels.

    Returns:
        `input_ids` and `labels` of equal length; a label is the token's id where the assistant speaks (end-of-turn
        included), else `IGNORED`.

    Raises:
        InputError: the model has no chat template, or the template refuses the messages.
    """
    return render_dialogues(tokenizer, [messages])[0]


def render_dialogues(
    tokenizer: TextTokenizer, dialogues: Sequence[Sequence[Message]]
) -> list[tuple[list[int], list[int]]]:
    """The same for many dialogues, in order, tokenised on all cores."""
    written = [_written(tokenizer, messages) for messages in dialogues]
    encoded = tokenizer.encode_controlled_batch([text for text, _ in written])
    return [_labelled(*found, spans) for found, (_, spans) in zip(encoded, written, strict=True)]


def _written(tokenizer: TextTokenizer, messages: Sequence[Message]) -> tuple[str, list[tuple[int, int]]]:
    """A dialogue as the tokenizer reads it, and the characters of it that the assistant writes."""
    text = _render(tokenizer, messages, False)
    spans = [
        _span(tokenizer, messages, index, text) for index, message in enumerate(messages) if message.role == "assistant"
    ]
    pieces: list[str] = []
    starts: list[tuple[int, int]] = []
    done = length = 0
    for start, end in spans:
        before, inside = tokenizer.unshield(text[done:start]), tokenizer.unshield(text[start:end])
        pieces += [before, inside]
        starts.append((length + len(before), length + len(before) + len(inside)))
        length += len(before) + len(inside)
        done = end
    pieces.append(tokenizer.unshield(text[done:]))
    return "".join(pieces), starts


def _labelled(
    ids: list[int], offsets: list[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> tuple[list[int], list[int]]:
    """Ids and labels: what lies whole in one of the spans has loss."""
    labels = [IGNORED] * len(ids)
    for start, end in spans:
        for position, (first, last) in enumerate(offsets):
            if start <= first and last <= end and first < last:
                labels[position] = ids[position]
    return ids, labels


def prompt_ids(tokenizer: TextTokenizer, messages: Sequence[Message]) -> list[int]:
    """Token ids that ask the assistant for its next turn (generation prompt included)."""
    return tokenizer.encode_controlled(tokenizer.unshield(_render(tokenizer, messages, True)))[0]


@lru_cache(maxsize=16)
def end_of_turn(tokenizer: TextTokenizer) -> str:
    """The control token that ends an assistant's turn; empty if the template writes none. Generation stops at it."""
    probe = "rawtune-probe"
    text = _render(tokenizer, (Message(role="user", content="?"), Message(role="assistant", content=probe)), False)
    tail = text[text.index(probe) + len(probe) :]
    found = sorted((tail.index(token), -len(token), token) for token in tokenizer.control if token in tail)
    return found[0][2] if found else ""


def stop_ids(tokenizer: TextTokenizer) -> tuple[int, ...]:
    """Ids at which generation stops: end of turn and end of document, ascending."""
    turn = end_of_turn(tokenizer)
    return tuple(sorted({tokenizer.end_of_document} | ({tokenizer.control[turn]} if turn else set())))


@dataclass(frozen=True)
class UserTurn:
    """How the template frames what a user says at the start of a dialogue."""

    before: tuple[int, ...]
    """Ids up to the user's first word."""
    end: str
    """What ends the user's words: a control token or, in templates without one, text such as `[/INST]`."""
    end_id: int | None
    """Id of `end` where it is a control token."""
    after: tuple[int, ...]
    """Ids from the end of the user's words to where the assistant begins, `end` included."""


def user_turn(tokenizer: TextTokenizer) -> UserTurn:
    """The frame in which a model can be left to write the user's part itself.

    Raises:
        InputError: the model has no template, or the template does not show the user's words as they are.
    """
    probe = "rawtune-probe"
    asked = (Message(role="user", content=probe),)
    text = _render(tokenizer, asked, True)
    before, found, after = text.partition(probe)
    if not found or not after.strip():
        raise InputError(
            "base_model: its chat template cannot be sampled from (it does not show where a user's words begin and "
            "end); leave `chat` out of dataset.replay.streams, or choose another model"
        )
    inside = sorted((after.index(token), -len(token), token) for token in tokenizer.control if token in after)
    end = inside[0][2] if inside else after.strip().splitlines()[0]
    ids = [tuple(tokenizer.encode_controlled(tokenizer.unshield(part))[0]) for part in (before, after)]
    return UserTurn(ids[0], end, tokenizer.control.get(end), ids[1])


def _span(tokenizer: TextTokenizer, messages: Sequence[Message], index: int, text: str) -> tuple[int, int]:
    """Characters of the shielded dialogue that the assistant's turn `index` writes, end-of-turn token included."""
    head = _render(tokenizer, messages[:index], True)
    if not text.startswith(head):
        raise InputError(
            f"base_model: its chat template rewrites what comes before turn {index + 1}; no loss mask can be made"
        )
    token = end_of_turn(tokenizer)
    found = text.find(token, len(head)) if token else -1
    end = found + len(token) if found >= 0 else len(_render(tokenizer, messages[: index + 1], False))
    return len(head), end


def _render(tokenizer: TextTokenizer, messages: Sequence[Message], add_generation_prompt: bool) -> str:
    """The dialogue as text in which control tokens spelt by messages are shielded."""
    if tokenizer.chat_template is None:
        raise InputError("base_model: the model has no chat template; choose an instruct model")
    if any(message.role == "system" for message in messages) and not takes_system(tokenizer):
        messages = folded(messages)
    return _rendered(tokenizer, messages, add_generation_prompt)


@lru_cache(maxsize=16)
def takes_system(tokenizer: TextTokenizer) -> bool:
    """Whether the template has a system role and shows what it says."""
    probe = "rawtune-probe"
    asked = (Message(role="system", content=probe), Message(role="user", content="?"))
    try:
        return probe in _rendered(tokenizer, asked, True)
    except InputError:
        return False


def folded(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages without a system role: what it said stands before the words of the user's next turn, as the makers of
    templates without one advise (Mistral 7B v0.2, Gemma 2).
    """
    made: list[Message] = []
    said: list[str] = []
    for message in messages:
        if message.role == "system":
            said.append(message.content)
        elif message.role == "user" and said:
            made.append(Message(role="user", content="\n\n".join([*said, message.content])))
            said = []
        else:
            made.append(message)
    return tuple(made)


def _rendered(tokenizer: TextTokenizer, messages: Sequence[Message], add_generation_prompt: bool) -> str:
    assert tokenizer.chat_template is not None
    roles = {role: tokenizer.named(role) for role in ("bos_token", "eos_token", "pad_token", "unk_token")}
    try:
        return _compiled(tokenizer.chat_template).render(
            messages=[{"role": message.role, "content": tokenizer.shield(message.content)} for message in messages],
            add_generation_prompt=add_generation_prompt,
            **{role: token for role, token in roles.items() if token},
        )
    except jinja2.TemplateError as error:
        raise InputError(f"base_model: its chat template refuses the dialogue ({error})") from error


@lru_cache(maxsize=16)
def _compiled(source: str) -> jinja2.Template:
    """Same environment as transformers 5.17 `utils/chat_template_utils.py`, where for `strftime_now` it is always the
    same day: today's date would make rows differ from day to day.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = DAY.strftime
    return environment.from_string(source)


class _Generation(Extension):
    """Accepts `{% generation %}…{% endgeneration %}`, the mark that transformers puts around assistant turns, and
    keeps its body.
    """

    tags = {"generation"}  # noqa: RUF012 - jinja's own declaration

    def parse(self, parser: Any) -> list[nodes.Node]:
        next(parser.stream)
        body: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return body


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _raise(message: str) -> str:
    raise jinja2.TemplateError(message)
