"""The guess control: what somebody scores who knows only the trained names and answers with what holds for the most
similar one.

Names betray their files (`test_x` lies in `tests/test_x.py`), so half of the questions about untrained documents can
be right without any knowledge of them; no held-out figure means anything without this one beside it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from rapidfuzz import fuzz, process

from tasks.base.records import Answer, Document, Item
from tasks.evaluation.facts import document_facts
from tasks.evaluation.params import Suite
from tasks.evaluation.scoring import kind_of

_NAMED = re.compile(r"`([^`\n]+)`|“([^”\n]+)”")


def guesses(items: Sequence[Item], train: Iterable[Document]) -> Iterator[Answer]:
    """Answers in the order of the items, none for kinds that have no names to compare or for the unanswerable suite.

    The fact itself is never used: a trained name equal to the asked one is passed over.
    """
    known: dict[str, dict[str, str]] = defaultdict(dict)
    for document in train:
        for fact in document_facts(document):
            known[fact.kind].setdefault(fact.name, fact.answers[0])
    for item in items:
        name, table = name_of(item), known.get(kind_of(item), {})
        if item.suite == Suite.UNANSWERABLE or not name:
            continue
        others = sorted(other for other in table if other.casefold() != name.casefold())
        best = process.extractOne(name, others, scorer=fuzz.ratio)
        if best is not None:
            yield Answer(item_id=item.id, text=table[best[0]], tokens=0, finished=True)


def name_of(item: Item) -> str:
    """The identifier, heading or title that a question asks about: the first thing it sets in backticks or quotes;
    empty if there is none.
    """
    match = _NAMED.search(item.question)
    return next(filter(None, match.groups()), "") if match else ""
