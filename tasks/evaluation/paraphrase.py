"""Questions of training dialogues in other words.

The trained question is reduced to what it names, then asked anew: links by their words, and prose answers by their
beginning, which the model has to finish.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tasks.base.records import Document, Split
from tasks.evaluation.facts import MAX_ANSWER_CHARACTERS, Fact

CLOZE_WORDS: Final = 6
"""Words of the answer that a sentence to be finished begins with."""

_QUOTED = re.compile(r"“([^”]+)”")
_URL = re.compile(r"https?://[^\s()<>\"'`]+[^\s()<>\"'`.,;:!?]")


def dialogue_facts(
    dialogues: Iterable[Mapping[str, Any]], documents: Mapping[str, Document]
) -> Iterator[tuple[Document, Fact]]:
    """One fact per different answer of a trained single-turn dialogue whose answer is short enough to be checked.

    Args:
        dialogues: as JSON values, since most of them are passed over.
        documents: of the training side, by id.
    """
    seen: set[tuple[str, str]] = set()
    for dialogue in dialogues:
        document = documents.get(dialogue["provenance"]["document_id"])
        if dialogue["split"] != Split.TRAIN or document is None or len(dialogue["messages"]) != 2:
            continue
        fact = _fact(dialogue)
        if fact is not None and (document.id, fact.answers[0]) not in seen:
            seen.add((document.id, fact.answers[0]))
            yield document, fact


def _fact(dialogue: Mapping[str, Any]) -> Fact | None:
    question, answer = dialogue["messages"][0]["content"], dialogue["messages"][1]["content"].strip()
    first, last = dialogue["provenance"]["span"]
    quoted, urls = _QUOTED.findall(question), _URL.findall(answer)
    if len(quoted) == 1 and len(urls) == 1 and len(answer) <= MAX_ANSWER_CHARACTERS:
        return Fact("link", quoted[0], (urls[0],), (first, last))
    words = answer.split()
    if "\n" in answer or len(answer) > MAX_ANSWER_CHARACTERS or len(words) < 2 * CLOZE_WORDS:
        return None
    start = " ".join(words[:CLOZE_WORDS])
    return Fact("cloze", start, (" ".join(words[CLOZE_WORDS:]),), (first, last), {"start": start})
