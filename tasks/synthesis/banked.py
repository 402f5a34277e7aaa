"""Facts: something a document says, with the banks of wordings that ask for it and give it. The template provider's
currency.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.base.records import Document
from tasks.synthesis.drafts import LONG_ANSWER_CHARACTERS, Draft, pick, repo_name, spread
from tasks.synthesis.evidence import source_text
from tasks.synthesis.params import SynthesisParams


@dataclass(frozen=True)
class Fact:
    """One fact; the banks are formatted with `words` and the document's `repo` and `path`."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]
    span: tuple[int, int]
    evidence: tuple[str, ...]
    words: Mapping[str, str]
    by_name: bool = False
    """Whether it says of a definition, named without its file, what everybody asks first: where, how called, what for.
    """


def drafts_of(
    document: Document, facts: Sequence[Fact], params: SynthesisParams, words: Mapping[str, str] | None = None
) -> Iterator[Draft]:
    """Drafts of a document's facts, each under several wordings.

    Facts `by_name` are all asked for, however many: a name that no dialogue mentions cannot be asked about later (on
    manage-frontend a share by length alone left out every third definition, and the tuned model knew no file of them).
    The others share what the document's length allows, spread over its lines.
    Which wordings a fact gets is decided by a hash of the fact, so that over a corpus every wording is used and a fact
    keeps its wordings when its neighbours change.
    """
    common = {"repo": repo_name(document), "path": document.path, **(words or {})}
    size = len(source_text(document))  # of a pull request its threads and patches count, too
    wanted = max(1, round(size * params.pairs_per_1000_characters / 1000))
    others = [place for place, fact in enumerate(facts) if not fact.by_name]
    left_out = set(others) - {others[index] for index in spread(len(others), wanted)}
    for place, fact in enumerate(facts):
        if place not in left_out:
            yield from _worded(document, fact, {**common, **fact.words}, params)


def _worded(document: Document, fact: Fact, words: Mapping[str, str], params: SynthesisParams) -> Iterator[Draft]:
    key = "\0".join([document.id, fact.questions[0], *fact.evidence[:2]])
    longest = max(map(len, fact.words.values()), default=0)
    number = 1 if longest > LONG_ANSWER_CHARACTERS else params.wordings
    answers = pick(fact.answers, key, len(fact.answers))
    for place, question in enumerate(pick(fact.questions, key, number)):
        answer = answers[place % len(answers)]
        yield Draft(question.format(**words), answer.format(**words), fact.span, fact.evidence)
