"""Which of a forge's releases are wanted: a list that has the texts, so there is nothing to keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tasks.harvest.decoding import whole
from tasks.harvest.params import ReleaseNote, ReleasesParams


def chosen(releases: Iterable[dict[str, Any]], params: ReleasesParams, until: str) -> tuple[ReleaseNote, ...]:
    """Releases that were published up to a moment, newest first, each tag once; notes are as found.

    Args:
        releases: as GitHub and Gitea list them, with dates in RFC 3339 with Z.
        params: which of them.
        until: RFC 3339 with Z.
    """
    found = {
        item["tag_name"]: item
        for item in releases
        if not item.get("draft")
        and (item.get("published_at") or "9999") <= until
        and (params.prereleases == "keep" or not item.get("prerelease"))
    }
    newest = sorted(found.values(), key=lambda item: (item["published_at"], item["tag_name"]), reverse=True)
    return tuple(_note(item) for item in newest[: params.limit])


def _note(item: dict[str, Any]) -> ReleaseNote:
    (said,), _ = whole([item])
    title = " ".join((said["name"] or said["tag_name"]).split())
    return ReleaseNote(
        tag=said["tag_name"],
        title=title,
        text=said["body"] or "",
        url=said["html_url"],
        published_at=said["published_at"],
    )
