"""Which pull requests, issues or discussions there are and which of them changed, for few requests.

The first time the list is read by creation, from the date on, until the selection is complete. After that only the top
of the list by update is read, down to the watermark less an overlap; pages shift while others write, so what comes
twice is taken once. What was listed is kept page by page, so that an interrupted listing goes on where it was.
"""

from __future__ import annotations

import datetime
from typing import Final

from tasks.harvest.dates import day_start, rfc3339
from tasks.harvest.forge.cache import Index, Listed
from tasks.harvest.forge.listing import Lister
from tasks.harvest.params import PullReference, PullsParams, ThreadsParams

OVERLAP: Final = datetime.timedelta(hours=1)
"""How far below the watermark an incremental listing goes, for clocks that differ and writes between two pages."""

SPARE_PAGES: Final = 4
"""When updates fill this many pages more than what is listed, listing again takes fewer requests."""

Wanted = PullsParams | ThreadsParams

_END: Final = "9999"
"""After every date."""


def refresh(index: Index, lister: Lister, params: Wanted, until: int) -> Index:
    """The index brought up to date, and read further where the selection needs it."""
    asked = rfc3339(until)
    if index.covered_since is not None:
        index = _changed(index, lister)
    if index.covered_since is None or (index.covered_until is not None and index.covered_until < asked):
        index = _read(index, lister, params, until, asked)
    since = index.covered_since or ""
    if not _complete(index.pulls, since, params, until):
        index = _read(index, lister, params, until, min(since, asked))
    known = lister.repository
    if not index.clone_url and "clone_url" in known:
        index = index.model_copy(update={"clone_url": known["clone_url"], "web_url": known["html_url"]})
    return index


def _changed(index: Index, lister: Lister) -> Index:
    """The index after all changes since the watermark; empty if there are too many of them."""
    pulls = dict(index.pulls)
    bound = _earlier(index.watermark)
    since, last = index.covered_since or "", index.covered_until or _END
    for number, page in enumerate(lister.updated(index.etag, bound)):
        if number > len(index.pulls) // lister.page + SPARE_PAGES:
            return Index(clone_url=index.clone_url, web_url=index.web_url, lost_heads=index.lost_heads)
        if lister.renewed:
            return Index()
        pulls |= {item.number: item for item in page.pulls if since <= item.created_at <= last}
        pulls = {number: item for number, item in pulls.items() if number not in page.hidden}
        if page.oldest < bound:
            break
    watermark = max(index.watermark, lister.newest)
    return index.model_copy(update={"pulls": pulls, "watermark": watermark, "etag": lister.etag})


def _read(index: Index, lister: Lister, params: Wanted, until: int, start: str) -> Index:
    """The index read on by creation from `start` until the selection is complete, kept after every page.

    It goes on below what was covered, or comes down to it and is joined. Else only the new part is covered from now on:
    what else is in the index is listed again before it is used.
    """
    before = index
    last = before.covered_until if start == before.covered_since else start
    from_top = before.covered_since is not None and before.covered_until is None
    passed = sum(item.created_at > start for item in before.pulls.values()) if from_top else 0
    for page in lister.created(start, passed):
        last = None if page.top else last
        since = page.oldest
        joined = before.covered_until is not None and start > before.covered_until >= since
        news = {
            "pulls": index.pulls | {item.number: item for item in page.pulls},
            "covered_since": before.covered_since if joined else since,
            "covered_until": last,
            "watermark": before.watermark or lister.newest,
        }
        index = before.model_copy(update=news)
        lister.cache.keep_index(index)
        if joined or _complete(index.pulls, since, params, until):
            return index
    return index.model_copy(update={"covered_since": ""})


def choose(pulls: dict[int, Listed], params: Wanted, until: int) -> tuple[PullReference, ...]:
    """The selected ones, newest first."""
    since, last = rfc3339(day_start(params.since)) if params.since else "", rfc3339(until)
    found = sorted(
        (item for item in pulls.values() if since <= item.created_at <= last and _wanted(item, params, last)),
        key=lambda item: (item.created_at, item.number),
        reverse=True,
    )
    return tuple(_reference(item, last) for item in found[: params.limit])


def _complete(pulls: dict[int, Listed], covered: str, params: Wanted, until: int) -> bool:
    """Whether nothing older than `covered` can belong to the selection."""
    if covered == "" or (params.since is not None and covered < rfc3339(day_start(params.since))):
        return True
    known = {number: item for number, item in pulls.items() if item.created_at >= covered}
    return params.limit is not None and len(choose(known, params, until)) == params.limit


def _reference(item: Listed, last: str) -> PullReference:
    is_late = item.updated_at > last
    return PullReference(
        number=item.number,
        updated_at=item.updated_at,
        head=item.head,
        merge=item.merge,
        base=item.base,
        fork=item.fork,
        is_late=is_late,
    )


def _wanted(item: Listed, params: Wanted, last: str) -> bool:
    """Whether it has the state that is asked for at the moment `last`."""
    if params.bots == "drop" and item.bot:
        return False
    if params.state == "all":
        return True
    ended_at = item.merged_at if params.state == "merged" else item.closed_at
    has_ended = ended_at is not None and ended_at <= last
    return has_ended != (params.state == "open")


def _earlier(watermark: str) -> str:
    moment = datetime.datetime.strptime(watermark, "%Y-%m-%dT%H:%M:%SZ") if watermark else datetime.datetime.min
    return (moment - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ") if watermark else ""
