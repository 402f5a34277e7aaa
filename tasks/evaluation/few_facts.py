"""evaluation/few-facts: of every document the few facts that a small run teaches, all of them such as can be asked.

In: the split and its facts. Out: `records.jsonl` (Fact) by id, of the same form, from which dialogues and questions are
made alike; the others are counted as `over-cap`, those that nobody can mark as `not-askable`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.evaluation.asking import digest
from tasks.evaluation.items import askable
from tasks.text.facts import Fact, Shape

VERSION = "2026.11.30.1"


def few(facts: Iterable[Fact], per_document: int) -> list[Fact]:
    """At most `per_document` facts of each document, sorted by id.

    Documents take turns, and each gives a fact of the kind that has the fewest so far: few facts of many documents are
    then of many kinds. Sentences come last, and within a kind the shortest answer first, for a small budget to teach.
    """
    left: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        left[fact.document_id].append(fact)
    taken: Counter[str] = Counter()
    chosen: list[Fact] = []
    for _ in range(per_document):
        for document in sorted(left, key=digest):
            if not left[document]:
                continue
            best = min(
                left[document],
                key=lambda fact: (
                    fact.shape is Shape.PROSE,
                    taken[fact.kind],
                    sum(map(len, fact.values)),
                    digest(fact.id),
                ),
            )
            left[document].remove(best)
            taken[best.kind] += 1
            chosen.append(best)
    return sorted(chosen, key=lambda fact: fact.id)


@step("evaluation/few-facts", VERSION)
def few_facts(run: StepRun, documents: Artifact, facts: Artifact, per_document: int) -> None:
    """Writes the few facts; counts `kind:<name>`.

    Args:
        run: this execution.
        documents: the split.
        facts: of `synthesis/facts`.
        per_document: most facts of one document.
    """
    sources = {
        document.id: document
        for name in ("train.jsonl", "held_out.jsonl")
        for document in run.read(documents, Document, name)
    }
    found = list(run.read(facts, Fact))
    can_be_asked = [fact for _, fact in askable(found, sources)]
    chosen = few(can_be_asked, per_document)
    run.count("not-askable", len(found) - len(can_be_asked))
    run.count("over-cap", len(can_be_asked) - len(chosen))
    for fact in chosen:
        run.count(f"kind:{fact.kind}")
    run.write(chosen)
