"""A conversation as text: every post below a line that says who spoke and when, and back.

**Person 1, 2024-01-01:**

How do I …?

**Person 2, 2024-01-02, accepted answer:**

Set …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

ACCEPTED: Final = "accepted answer"
"""Note of the post that the asker, or who looks after the forum, took for the answer."""

_HEAD: Final = re.compile(
    rf"^\*\*(?:(?P<who>[^\n*]{{1,100}}), )?(?P<when>\d{{4}}-\d\d-\d\d)(?:, (?P<note>{ACCEPTED}))?:\*\*$", re.MULTILINE
)
"""The line above a dated post; text in bold that ends in a colon is written by people too."""


class Post(NamedTuple):
    """One thing that somebody said."""

    author: str
    """Empty where it is not known."""
    date: str
    """`2024-01-01`; empty where it is not known."""
    text: str
    note: str = ""
    """`ACCEPTED`, or nothing."""
    line: int = 0
    """First line of the text within the conversation, 1-based; 0 before it is in one."""


def written(posts: Iterable[Post]) -> str:
    """The posts one below the other, with one line break at the end."""
    parts = []
    for post in posts:
        head = ", ".join(filter(None, (post.author, post.date, post.note)))
        parts.append(f"**{head}:**\n\n{post.text.strip()}" if head else post.text.strip())
    return "\n\n".join(parts) + "\n"


def posts_of(text: str) -> list[Post]:
    """The dated posts of a conversation that `written` has put together, in order; what is before the first is none."""
    return [post for post, _, _ in _located(text)]


def starts(text: str) -> list[tuple[int, str]]:
    """Offset of each post's head, and the head with its line break: what a piece that begins inside it repeats."""
    return [(start, head) for _, start, head in _located(text)]


def _located(text: str) -> Iterator[tuple[Post, int, str]]:
    heads = list(_HEAD.finditer(text))
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(text)
        body = text[head.end() : end]
        line = text.count("\n", 0, head.end() + len(body) - len(body.lstrip("\n"))) + 1
        post = Post(head["who"] or "", head["when"] or "", body.strip(), head["note"] or "", line)
        yield post, head.start(), f"{head[0]}\n"
