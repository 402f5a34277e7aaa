"""Questions about the sources, made from the split before any training row exists, so that the leak guard can look
for them there.

A fact is one checkable thing that a document says (`facts.py`). Facts are asked in words of their own
(`questions.py`), chosen in the order of a hash so that documents take turns, and every item says which lines of
which document its answer rests on.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Item, Provenance
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.evaluation.facts import Fact, askable
from tasks.evaluation.general import general_items
from tasks.evaluation.params import SHARES, ItemsParams, Suite
from tasks.evaluation.paraphrase import dialogue_facts
from tasks.evaluation.questions import AFTER, DATED, OR_NO_PULL, OR_UNKNOWN, QUESTIONS
from tasks.evaluation.questions import VERSION as WORDING
from tasks.evaluation.stale import mentioned_files

VERSION = "2026.11.30"

RECALL_KINDS: Final = ("location", "arguments", "purpose", "heading")
Pair = tuple[Document, Fact]

PULL_KINDS: Final = ("pull-why", "pull-file")
CODE_KINDS: Final = ("code", "opening")


def make_items(
    train: Sequence[Document], held_out: Sequence[Document], dialogues: Iterable[Mapping[str, Any]], params: ItemsParams
) -> list[Item]:
    """The questions, sorted by id. Deterministic in its arguments; another `item_seed` draws others from the same
    facts.
    """
    groups = _groups(train, held_out, dialogues, params)
    wanted = _shared_out(params, {suite: sum(map(len, found)) for suite, found in groups.items()})
    items: list[Item] = []
    asked: set[str] = set()
    for suite, found in groups.items():
        taken: list[Item] = []
        for group in found:
            if len(taken) + len(group) > wanted[suite]:
                break
            if asked.isdisjoint(item.id for item in group):  # two dialogues may rest on the same sentence
                taken += group
                asked.update(item.id for item in group)
        items += taken
    return sorted([*items, *general_items(params)], key=lambda item: item.id)


@step("evaluation/items", VERSION)
def items(run: StepRun, documents: Artifact, dialogues: Artifact, params: ItemsParams) -> None:
    """Writes the questions and counts them by suite."""
    train = list(run.read(documents, Document, "train.jsonl"))
    held_out = list(run.read(documents, Document, "held_out.jsonl"))
    made = make_items(train, held_out, run.read_raw(dialogues), params)
    run.write(made)
    for suite, number in Counter(item.suite for item in made).items():
        run.count(suite, number)


def _groups(
    train: Sequence[Document], held_out: Sequence[Document], dialogues: Iterable[Mapping[str, Any]], params: ItemsParams
) -> dict[Suite, list[tuple[Item, ...]]]:
    """Candidate items per suite, in the order of taking; a group (a pair) is taken whole or not at all.

    No fact is asked in two suites: of every ten recall facts one is kept for the dated suite and two for unanswerable
    pairs, of every four pull requests one.
    """
    everything = [*train, *held_out]
    trained = {document.id: document for document in train}
    facts = askable(everything)

    def chosen(kinds: tuple[str, ...], known: bool) -> list[Pair]:
        found = [pair for pair in facts if pair[1].kind in kinds and (pair[0].id in trained) is known]
        return _in_turn(found, params.item_seed)

    plain, pulls = chosen(RECALL_KINDS, True), chosen(("pull-why",), True)
    dated = [pair for pair in plain[9::10] if snapshot_date(pair[0])]
    named = [pair for pair in plain[2::5] if pair[1].kind != "heading"][: params.items]
    numbered = pulls[1::4]
    used = {id(fact) for _, fact in (*plain[9::10], *plain[2::5], *numbered)}
    asked = {
        Suite.RECALL: plain,
        Suite.PARAPHRASE: _in_turn(list(dialogue_facts(dialogues, trained)), params.item_seed),
        Suite.HELD_OUT: chosen(RECALL_KINDS, False),
        Suite.CODE: chosen(CODE_KINDS, True),
        Suite.PULL: chosen(PULL_KINDS, True),
    }
    groups: dict[Suite, list[tuple[Item, ...]]] = {
        suite: [(_item(suite, *pair),) for pair in pairs if id(pair[1]) not in used] for suite, pairs in asked.items()
    }
    groups[Suite.DATED] = [(_item(Suite.DATED, *pair, before=DATED),) for pair in dated]
    groups[Suite.STALE] = [
        tuple(_item(Suite.STALE, page, fact, pair_id=f"{page.id}#{_digest(gone.name)[:10]}") for fact in (gone, there))
        for page, gone, there in mentioned_files(everything)
        if page.id in trained
    ]
    groups[Suite.UNANSWERABLE] = [*invented_pulls(numbered), *near_misses(named, everything)]
    return {suite: groups[suite] for suite in SHARES if suite in params.suites}


def _item(
    suite: Suite, document: Document, fact: Fact, before: str = "", after: str = "", pair_id: str | None = None
) -> Item:
    words = {
        "repo": repo_name(document),
        "name": fact.name,
        "path": document.path,
        "date": snapshot_date(document),
    } | fact.words
    question = before.format(**words) + QUESTIONS[fact.kind].format(**words) + after.format(**words)
    return Item(
        id=f"{document.id}#{suite}/{fact.kind}/{_digest(fact.name + question)[:10]}",
        suite=suite,
        question=question,
        answers=fact.answers,
        document_id=document.id,
        span=fact.span,
        answerable=True,
        pair_id=pair_id,
        provenance=_provenance(document, fact.kind, fact.span),
    )


def near_misses(pairs: Sequence[Pair], documents: Sequence[Document]) -> Iterator[tuple[Item, Item]]:
    """Answerable items beside twins about a name that does not exist, or for every sixth about a month after the
    snapshot.
    """
    # as bytes: one emoji would make a string of the whole corpus take four bytes a character, and the search as long
    text = b"\n".join(document.text.encode("utf-8", "surrogatepass") for document in documents)
    vocabulary = sorted({part for _, fact in pairs for part in _parts(fact.name) if len(part) > 3})
    for index, (document, fact) in enumerate(pairs):
        twin = _item(Suite.UNANSWERABLE, document, fact, after=OR_UNKNOWN, pair_id=_pair_id(document, fact))
        later = _later(document) if index % 6 == 5 else ""
        name = near_miss(fact.name, vocabulary, text)
        if later:
            yield twin, _lost(twin, "after", AFTER.format(repo=repo_name(document), later=later))
        elif name is not None:
            yield twin, _lost(twin, f"near-miss-{fact.kind}", twin.question.replace(f"`{fact.name}`", f"`{name}`"))


def invented_pulls(pairs: Sequence[Pair]) -> Iterator[tuple[Item, Item]]:
    """Pull requests by their number beside invented ones far beyond the last."""
    last = max((int(document.path) for document, _ in pairs if document.path.isdigit()), default=0)
    for index, (document, fact) in enumerate(pairs):
        by_number = replace(fact, kind="pull-number")
        twin = _item(Suite.UNANSWERABLE, document, by_number, after=OR_NO_PULL, pair_id=_pair_id(document, fact))
        invented = replace(by_number, words={"number": str(last + 1_000 + 37 * index)})
        yield (
            twin,
            _lost(twin, "near-miss-pull", _item(Suite.UNANSWERABLE, document, invented, after=OR_NO_PULL).question),
        )


def _lost(twin: Item, kind: str, question: str) -> Item:
    """The unanswerable twin of an item."""
    return twin.model_copy(
        update={
            "id": f"{twin.document_id}#{Suite.UNANSWERABLE}/{kind}/{_digest(question)[:10]}",
            "question": question,
            "answers": ("I do not know",),
            "answerable": False,
            "provenance": twin.provenance.model_copy(update={"prompt_version": f"{kind}/{WORDING}"}),
        }
    )


def _pair_id(document: Document, fact: Fact) -> str:
    return f"{document.id}#{_digest(fact.kind + fact.name)[:10]}"


def near_miss(name: str, vocabulary: Sequence[str], text: bytes) -> str | None:
    """A plausible name that occurs nowhere in the text (UTF-8): one part of the name replaced by a part of another
    name; None if no replacement is free.
    """
    parts = [part for part in _parts(name) if len(part) > 2]
    if not parts or not vocabulary:
        return None
    start = int(_digest(name)[:8], 16)
    for offset in range(len(vocabulary)):
        other = vocabulary[(start + offset) % len(vocabulary)]
        old = parts[(start + offset) % len(parts)]
        made = name.replace(old, other.capitalize() if old[0].isupper() else other, 1)
        if (
            made != name
            and made.encode("utf-8", "surrogatepass") not in text
            and other.casefold() not in name.casefold()
        ):
            return made
    return None


def repo_name(document: Document) -> str:
    """The repository's name without its owner."""
    return document.repo.rsplit("/", 1)[-1]


def snapshot_date(document: Document) -> str:
    """The snapshot's day, such as `31 December 2023`; empty if the document does not say."""
    date = document.meta.get("committed_at") or document.updated_at
    return f"{datetime.fromisoformat(date):%-d %B %Y}" if date else ""


def _later(document: Document) -> str:
    date = document.meta.get("committed_at") or document.updated_at
    return f"{datetime.fromisoformat(date) + timedelta(days=400):%B %Y}" if date else ""


def _provenance(document: Document, kind: str, span: tuple[int, int]) -> Provenance:
    return Provenance(
        document_id=document.id,
        revision=document.revision,
        span=span,
        prompt_version=f"{kind}/{WORDING}",
        model="template",
    )


def _in_turn(pairs: list[Pair], seed: int) -> list[Pair]:
    """Facts in hash order, documents taking turns, so that a short list still covers many documents."""
    by_document: dict[str, list[Pair]] = defaultdict(list)
    for document, fact in sorted(pairs, key=lambda pair: _digest(f"{seed} {pair[0].id} {pair[1].kind} {pair[1].name}")):
        by_document[document.id].append((document, fact))
    ranked = [
        (turn, _digest(f"{seed} {name} {turn}"), pair)
        for name, found in by_document.items()
        for turn, pair in enumerate(found)
    ]
    return [pair for _, _, pair in sorted(ranked, key=lambda entry: entry[:2])]


def _shared_out(params: ItemsParams, available: dict[Suite, int]) -> dict[Suite, int]:
    """Items per suite: its share, at most what there is; what is left over goes round again."""
    total = min(params.items, sum(available.values()))
    shares = sum(SHARES[suite] for suite in available)
    wanted = {suite: min(available[suite], int(params.items * SHARES[suite] / shares)) for suite in available}
    for suite in SHARES:
        if suite in wanted:
            wanted[suite] += min(available[suite] - wanted[suite], total - sum(wanted.values()))
    return wanted


def _parts(name: str) -> list[str]:
    """Words of an identifier: `readHTTPBody` and `read_http_body` have three."""
    return re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
