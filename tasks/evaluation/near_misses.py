"""Questions that nobody can answer, each beside one that can be answered: near misses of real names, months after the
snapshot, pull requests that nobody made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tasks.base.records import Document, Item
from tasks.evaluation.asking import Pair, digest, item_of, pair_id_of, question, repo_name
from tasks.evaluation.facts import made
from tasks.evaluation.params import Suite
from tasks.evaluation.questions import AFTER, OR_NO_PULL, OR_UNKNOWN, OWN
from tasks.evaluation.questions import VERSION as WORDING


def near_misses(pairs: Sequence[Pair], documents: Sequence[Document]) -> Iterator[tuple[Item, Item]]:
    """Answerable items beside twins about a name that does not exist, or for every sixth about a month after the
    snapshot.
    """
    # as bytes: one emoji would make a string of the whole corpus take four bytes a character, and the search as long
    text = b"\n".join(document.text.encode("utf-8", "surrogatepass") for document in documents)
    vocabulary = sorted({part for _, fact in pairs for part in _parts(fact.subject) if len(part) > 3})
    for index, (document, fact) in enumerate(pairs):
        twin = item_of(Suite.UNANSWERABLE, document, fact, after=OR_UNKNOWN, pair_id=pair_id_of(document, fact))
        later = _later(document) if index % 6 == 5 else ""
        name = near_miss(fact.subject, vocabulary, text)
        if later:
            yield twin, _lost(twin, "after", AFTER.format(repo=repo_name(document), later=later))
        elif name is not None:
            lost = twin.question.replace(f"`{fact.subject}`", f"`{name}`")
            if lost != twin.question:
                yield twin, _lost(twin, f"near-miss-{fact.kind}", lost)


def invented_pulls(pairs: Sequence[Pair]) -> Iterator[tuple[Item, Item]]:
    """Pull requests by their number beside invented ones, some of them within the range of the real numbers."""
    numbers = {int(document.path) for document, _ in pairs if document.path.isdigit()}
    for index, (document, fact) in enumerate(pairs):
        by_number = made(
            document, fact.split, "pull-title", fact.subject, (fact.subject,), fact.span, number=document.path
        )
        twin = item_of(Suite.UNANSWERABLE, document, by_number, after=OR_NO_PULL, pair_id=pair_id_of(document, fact))
        invented = by_number.model_copy(update={"words": {"number": str(max(numbers, default=0) + 40 + 37 * index)}})
        lost = question(document, invented, OWN["pull-title"].wording + OR_NO_PULL)
        yield twin, _lost(twin, "near-miss-pull", lost)


def near_miss(name: str, vocabulary: Sequence[str], text: bytes) -> str | None:
    """A plausible name that occurs nowhere in the text (UTF-8): one part of the name replaced by a part of another
    name; None if no replacement is free.
    """
    parts = [part for part in _parts(name) if len(part) > 2]
    if not parts or not vocabulary:
        return None
    start = int(digest(name)[:8], 16)
    for offset in range(len(vocabulary)):
        other = vocabulary[(start + offset) % len(vocabulary)]
        old = parts[(start + offset) % len(parts)]
        built = name.replace(old, other.capitalize() if old[0].isupper() else other, 1)
        if (
            built != name
            and built.encode("utf-8", "surrogatepass") not in text
            and other.casefold() not in name.casefold()
        ):
            return built
    return None


def _lost(twin: Item, kind: str, asked: str) -> Item:
    """The unanswerable twin of an item."""
    return twin.model_copy(
        update={
            "id": f"{twin.document_id}#{Suite.UNANSWERABLE}/{kind}/{digest(asked)[:10]}",
            "kind": kind,
            "question": asked,
            "answers": ("I do not know",),
            "answerable": False,
            "guess": None,
            "provenance": twin.provenance.model_copy(update={"prompt_version": f"{kind}/{WORDING}"}),
        }
    )


def _later(document: Document) -> str:
    date = document.meta.get("committed_at") or document.updated_at
    return f"{datetime.fromisoformat(date) + timedelta(days=400):%B %Y}" if date else ""


def _parts(name: str) -> list[str]:
    """Words of an identifier: `readHTTPBody` and `read_http_body` have three."""
    return re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)
