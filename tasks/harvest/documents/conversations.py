"""Conversations from JSON lines and mail: entries of one thread are one document, in the order in which they were said.

JSON lines are the contract for everything that has no reader of its own (Slack, Jira: docs/documents.md):
`{"id", "title", "text", "url", "author", "created_at", "thread"}`, of which `id` and `text` are needed. Names, e-mail
addresses and telephone numbers are hidden unless `people: keep`; who is who within a conversation stays visible.
"""

from __future__ import annotations

import datetime
import email.policy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr, parsedate_to_datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.harvest.dates import rfc3339
from tasks.text.conversations import Post, written
from tasks.text.people import Hidden

EXTENSIONS: Final = frozenset({"jsonl", "ndjson", "eml", "mbox"})

_REPLY: Final = re.compile(r"^(?:(?:re|fwd?|aw|wg)\s*:\s*)+", re.IGNORECASE)
_QUOTED: Final = re.compile(r"^(?:>.*\n?)+", re.MULTILINE)


class Entry(BaseModel):
    """One thing that somebody said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, coerce_numbers_to_str=True)
    text: str
    title: str = ""
    url: str | None = None
    author: str | None = None
    created_at: datetime.datetime | None = None
    """Without a zone it is UTC."""
    thread: str | None = Field(None, coerce_numbers_to_str=True)
    """What joins entries; null = one of its own."""

    @property
    def moment(self) -> int | None:
        """Seconds since 1970."""
        if self.created_at is None:
            return None
        aware = self.created_at if self.created_at.tzinfo else self.created_at.replace(tzinfo=datetime.UTC)
        return int(aware.timestamp())


@dataclass(frozen=True)
class Conversation:
    """The entries of a thread, as one text."""

    thread: str
    title: str
    text: str
    url: str | None
    first: int | None
    """Seconds since 1970."""
    last: int | None
    entries: int


@dataclass(frozen=True)
class Bad:
    """A line or message that is no entry."""

    place: str
    reason: str
    detail: str


def entries_of(extension: str, data: bytes) -> Iterator[Entry | Bad]:
    """The entries of a file, in its order."""
    if extension == "eml":
        yield _mail(data, "1")
    elif extension == "mbox":
        for number, message in enumerate(re.split(rb"(?m)^From [^\n]*\n", data)[1:], 1):
            yield _mail(re.sub(rb"(?m)^>(>*From )", rb"\1", message), str(number))
    else:
        for number, line in enumerate(data.split(b"\n"), 1):
            if line.strip():
                yield _line(line, number)


def conversations(entries: list[Entry], until: int | None, hide: bool) -> list[Conversation]:
    """Threads of entries said up to a moment, by their names; entries without a date keep their place in the file."""
    threads: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.text.strip() and (until is None or entry.moment is None or entry.moment <= until):
            threads.setdefault(entry.thread or entry.id, []).append(entry)
    return [_conversation(thread, threads[thread], hide) for thread in sorted(threads)]


def _conversation(thread: str, said: list[Entry], hide: bool) -> Conversation:
    ordered = sorted(said, key=lambda entry: entry.moment or 0) if all(entry.moment for entry in said) else said
    people = Hidden(entry.author or "" for entry in ordered)
    title = next((entry.title for entry in ordered if entry.title), "")
    posts = []
    for entry in ordered:
        when = rfc3339(entry.moment)[:10] if entry.moment is not None else ""
        who = entry.author or ""
        posts.append(
            Post(people.name(who) or "", when, people.text(entry.text)) if hide else Post(who, when, entry.text)
        )
    title = people.text(title) if hide else title
    text = (f"# {title}\n\n" if title else "") + written(posts)
    moments = [entry.moment for entry in ordered if entry.moment is not None]
    return Conversation(
        thread=thread,
        title=title or thread,
        text=text,
        url=next((entry.url for entry in ordered if entry.url), None),
        first=min(moments, default=None),
        last=max(moments, default=None),
        entries=len(ordered),
    )


def _line(line: bytes, number: int) -> Entry | Bad:
    if not line.lstrip().startswith(b"{"):
        return Bad(f"line {number}", "bad-json", "no object")
    try:
        return Entry.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        return Bad(f"line {number}", "bad-entry", f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200])
    except ValueError as error:
        return Bad(f"line {number}", "bad-json", str(error)[:200])


def _mail(data: bytes, place: str) -> Entry | Bad:
    message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(data)
    try:
        body = message.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        subject, sender = str(message.get("Subject", "")), str(message.get("From", ""))
        sent = message.get("Date")
        moment = parsedate_to_datetime(str(sent)) if sent else None
    except (LookupError, ValueError, AttributeError, TypeError) as error:  # what hostile headers raise in the parser
        return Bad(f"message {place}", "bad-mail", str(error)[:200])
    if not text.strip():
        return Bad(f"message {place}", "no-plain-text", "")
    title = _REPLY.sub("", subject).strip()
    references = str(message.get("References") or message.get("In-Reply-To") or "").split()
    name, address = parseaddr(sender)
    identity = str(message.get("Message-ID") or place).strip()
    return Entry(
        id=identity,
        thread=references[0] if references else identity,
        title=title,
        text=_QUOTED.sub("", text.replace("\r\n", "\n")).strip(),
        author=name or address or None,
        created_at=moment,
    )
