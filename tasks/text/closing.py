"""Which issues a text says that it closes, in the words that GitHub, GitLab, Gitea and Bitbucket act upon."""

from __future__ import annotations

import re
from typing import Final

_TARGET: Final = r"(?:(?P<url>https?://[^\s()<>]{1,300}?)/(?:-/)?issues/|(?P<repo>[\w.-]{1,100}/[\w.-]{1,100})?#)(?P<number>\d{1,9})\b"
_CLOSES: Final = re.compile(
    rf"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|duplicates?(?: of)?)\b:?[ \t]{{1,4}}(?:issues?[ \t]{{1,4}})?"
    rf"{_TARGET}",
    re.IGNORECASE,
)
_AND: Final = re.compile(
    rf"(?:[ \t]{{0,4}},[ \t]{{0,4}}(?:and[ \t]{{1,4}})?|[ \t]{{1,4}}and[ \t]{{1,4}}){_TARGET}", re.IGNORECASE
)
"""What goes on with a list: `Closes #1, #2 and #3`."""


def closed_numbers(text: str, repo: str, url: str | None) -> set[int]:
    """Numbers of the repository's issues that a text closes, or is a duplicate of.

    Args:
        text: a description, a commit's message, or what somebody said.
        repo: what the repository is called where one writes `owner/name#1`.
        url: of the document that the text is from, `<repository>/pull/7`; other addresses lead elsewhere.
    """
    base = url.rsplit("/", 2)[0].removesuffix("/-").casefold() if url else None
    found: set[int] = set()
    for match in _CLOSES.finditer(text):
        target: re.Match[str] | None = match
        while target is not None:
            if target["url"]:
                is_own = target["url"].removesuffix("/-").casefold() == base
            else:
                named = (target["repo"] or repo).casefold()
                is_own = named == repo.casefold() or (base is not None and base.endswith(f"/{named}"))
            if is_own:
                found.add(int(target["number"]))
            target = _AND.match(text, target.end())
    return found
