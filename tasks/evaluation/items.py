"""Questions about the sources, made from the split before any training row exists, so that the leak guard can look
for them there.

In: both sides of the split and the facts of `synthesis/facts`. Out: items sorted by id, and `to-check.jsonl`, a seeded
sheet of questions with the lines that answer them, for a person. Facts are asked in words of the evaluation's own
(`questions.py`), kinds and languages taking turns so that none crowds the others out, and documents taking turns within
a kind.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, TypeVar

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Item, Kind, Split
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.evaluation.asking import Pair, digest, item_of, question
from tasks.evaluation.facts import changed_values, moved_files, own_facts
from tasks.evaluation.general import general_items
from tasks.evaluation.guess import Guesser, answers_of
from tasks.evaluation.near_misses import invented_pulls, near_misses
from tasks.evaluation.own import OwnFile, own_items, read_own
from tasks.evaluation.params import SHARES, ItemsParams, Suite
from tasks.evaluation.questions import FACTS, LIST, NOT_ASKED, OWN, PROSE, QUESTIONS, SEQUENCE
from tasks.evaluation.stale import mentioned_files, mentioned_names
from tasks.text.facts import Fact

VERSION = "2026.11.30.10"

MAX_VALUES: Final = 6
"""Longer lists do not fit a short answer, and nobody learns them whole."""

MAX_ANSWER_CHARACTERS: Final = 200
"""A longer reference does not fit one either."""

LOCATIONS: Final = frozenset({"location", "heading", "route-file", "pull-file"})
"""Kinds that ask where something is; at most `LOCATION_FRACTION` of a suite together."""

LOCATION_FRACTION: Final = 0.15
KIND_FRACTION: Final = 0.2
"""Largest share of one kind in a suite that has the five kinds which that takes."""

FEW: Final = 3
"""Questions that a kind may have all the same: of a small suite none is thrown away, and the mean over kinds weighs all
kinds alike.
"""

SHEET_ITEMS: Final = 200
"""Questions on the sheet to be checked by a person."""

SHEET_LINES: Final = 12
"""Lines shown on the sheet of what an answer rests on."""

T = TypeVar("T")


def make_items(
    train: Sequence[Document],
    held_out: Sequence[Document],
    facts: Iterable[Fact],
    params: ItemsParams,
    taught_only: bool = False,
) -> list[Item]:
    """The questions, sorted by id. Deterministic in its arguments; another `item_seed` draws others from the same
    facts.
    """
    groups = _groups(train, held_out, facts, params, taught_only)
    wanted = _shared_out(params, {suite: sum(map(len, found)) for suite, found in groups.items()})
    items: list[Item] = []
    asked: set[str] = set()
    for suite, found in groups.items():
        taken: list[Item] = []
        for group in found:
            if len(taken) + len(group) > wanted[suite]:
                break
            if asked.isdisjoint(item.question for item in group):
                taken += group
                asked.update(item.question for item in group)
        items += taken
    own = own_items(read_own(params.own), (*train, *held_out)) if params.own else []
    return sorted([*_one_answer(items), *own, *general_items(params)], key=lambda item: item.id)


@step("evaluation/items", VERSION)
def items(run: StepRun, documents: Artifact, facts: Artifact, params: ItemsParams, taught_only: bool = False) -> None:
    """Writes the questions and the sheet; counts questions by suite and by kind (`kind:<suite>:<kind>`), and facts of
    kinds that have no wording and are not left out on purpose (`not-asked:<kind>`).

    Args:
        run: this execution.
        documents: the split.
        facts: of `synthesis/facts`, or a few of them.
        params: what to ask.
        taught_only: ask about these facts alone; else also about what only the evaluation looks for, such as headings.
    """
    train = list(run.read(documents, Document, "train.jsonl"))
    held_out = list(run.read(documents, Document, "held_out.jsonl"))
    found = list(run.read(facts, Fact))
    asked = make_items(train, held_out, found, params, taught_only)
    run.write(asked)
    sources = {document.id: document for document in (*train, *held_out)}
    run.path("to-check.jsonl").write_text("".join(sheet(asked, sources, params.item_seed)), "utf-8")
    for suite, number in Counter(item.suite for item in asked).items():
        run.count(suite, number)
    for (suite, kind), number in Counter((item.suite, item.kind) for item in asked).items():
        run.count(f"kind:{suite}:{kind}", number)
    if params.own:
        _count_own(run, read_own(params.own), asked)
    for kind, number in Counter(fact.kind for fact in found if fact.kind not in FACTS.keys() | NOT_ASKED).items():
        run.count(f"not-asked:{kind}", number)


def _count_own(run: StepRun, own: OwnFile, asked: Iterable[Item]) -> None:
    """`own-without-source` counts questions that are not asked, `own-of-another-revision` those asked all the same."""
    revisions = [item.provenance.revision for item in asked if item.suite == Suite.OWN]
    run.count("own-without-source", len(own.questions) - len(revisions))
    run.count("own-of-another-revision", sum(own.revision not in (None, revision) for revision in revisions))


def sheet(items: Iterable[Item], documents: Mapping[str, Document], seed: int) -> Iterator[str]:
    """JSON lines for a person to fill in `right`: question, references and what they rest on, in hash order."""
    own = [item for item in items if item.document_id in documents]
    for item in sorted(own, key=lambda item: digest(f"sheet {seed} {item.id}"))[:SHEET_ITEMS]:
        lines = documents[item.document_id].text.split("\n")[item.span[0] - 1 : item.span[1]]
        shown = "\n".join(lines[:SHEET_LINES])
        entry = {"id": item.id, "question": item.question, "answers": item.answers, "rests_on": shown, "right": None}
        yield json.dumps(entry, ensure_ascii=False) + "\n"


def askable(facts: Iterable[Fact], documents: Mapping[str, Document]) -> list[Pair]:
    """Facts that can be asked and marked, in the order given.

    Left out are kinds without a wording, what asks about nothing that is shown, answers too long or lists whose values
    hold the comma that divides them, places that the name itself gives away, and every question that has two answers.
    """
    pairs = [
        (documents[fact.document_id], fact)
        for fact in facts
        if fact.kind in QUESTIONS and fact.document_id in documents and _is_marked(fact) and not _is_given_away(fact)
    ]
    answers: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for document, fact in pairs:
        answers[_bare(question(document, fact))].add(answers_of(fact))
    return [(document, fact) for document, fact in pairs if len(answers[_bare(question(document, fact))]) == 1]


def balanced(pairs: Sequence[Pair], number: int, seed: int) -> list[Pair]:
    """At most `number` facts: kinds take turns, within a kind languages, within a language documents.

    No kind has more than `KIND_FRACTION` and the kinds that ask for places no more than `LOCATION_FRACTION` together,
    where there are kinds enough for that and more than `FEW` of them.
    """
    queues: dict[str, list[Pair]] = {}
    for kind in sorted({fact.kind for _, fact in pairs}):
        by_language: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            if pair[1].kind == kind:
                by_language[pair[1].language].append(pair)
        queues[kind] = _taking_turns([_in_turn(found, seed) for _, found in sorted(by_language.items())])
    many = len(queues) * KIND_FRACTION >= 1
    total = min(number, len(pairs))
    while True:
        each = max(FEW, int(KIND_FRACTION * total)) if many else total
        places = max(FEW, int(LOCATION_FRACTION * total)) if queues.keys() - LOCATIONS else total
        taken = _take(queues, total, each, places)
        if len(taken) == total or not many or total <= 1:
            return taken
        total = len(taken) if len(taken) < total else total - 1


def _groups(
    train: Sequence[Document],
    held_out: Sequence[Document],
    facts: Iterable[Fact],
    params: ItemsParams,
    taught_only: bool,
) -> dict[Suite, list[tuple[Item, ...]]]:
    """Candidate items per suite, in the order of taking; a group (a pair) is taken whole or not at all.

    No fact is asked in two suites, but for `paraphrase`, which asks what `recall` asks in other words: of every ten
    facts two are kept for unanswerable pairs, of every four pull requests one.
    """
    everything = [*train, *held_out]
    documents = {document.id: document for document in everything}
    given = list(facts)
    if not taught_only:
        given += [*own_facts(train, Split.TRAIN), *own_facts(held_out, Split.HELD_OUT)]
    pairs = [_with_base_name(pair, everything) for pair in askable(given, documents)]
    guesser = Guesser(fact for _, fact in pairs if fact.split is Split.TRAIN)

    def chosen(split: Split, *kinds: str) -> list[Pair]:
        wanted = kinds or (*FACTS, "heading")
        return _in_turn([pair for pair in pairs if pair[1].kind in wanted and pair[1].split is split], params.item_seed)

    def ask(suite: Suite, found: Iterable[Pair]) -> list[tuple[Item, ...]]:
        return [(item_of(suite, *pair, guess=guesser.guess(pair[1]) or ""),) for pair in found]

    known, pulls = chosen(Split.TRAIN), chosen(Split.TRAIN, "pull-file")
    has_pairs = Suite.UNANSWERABLE in params.suites
    kept = [pair for pair in known[2::5] if _is_identifier(pair[1].subject)][: params.items] if has_pairs else []
    numbered = pulls[1::4] if has_pairs else []
    used = {fact.id for _, fact in (*kept, *numbered)}
    recall = balanced([pair for pair in known if pair[1].id not in used], params.items, params.item_seed)
    groups: dict[Suite, list[tuple[Item, ...]]] = {
        Suite.RECALL: ask(Suite.RECALL, recall),
        Suite.PARAPHRASE: [
            (item_of(Suite.PARAPHRASE, document, fact, other=True, guess=guesser.guess(fact) or ""),)
            for document, fact in recall
            if (FACTS | OWN)[fact.kind].other
        ],
        Suite.HELD_OUT: ask(Suite.HELD_OUT, balanced(chosen(Split.HELD_OUT), params.items, params.item_seed)),
        Suite.CODE: ask(Suite.CODE, chosen(Split.TRAIN, "code", "opening")),
        Suite.PULL: ask(Suite.PULL, [pair for pair in pulls if pair[1].id not in used]),
    }
    paths = frozenset(document.path for document in everything if document.kind is Kind.FILE)
    moved = moved_files((one for one in train if one.kind is Kind.PULL), paths)
    changed = changed_values(given, documents)
    groups[Suite.DATED] = _taking_turns(
        [
            [tuple(item_of(Suite.DATED, pull, fact) for fact in facts) for pull, *facts in found]
            for found in (moved, changed)
        ]
    )
    mentioned = _taking_turns([list(mentioned_files(everything)), list(mentioned_names(everything))])
    groups[Suite.STALE] = [
        tuple(item_of(Suite.STALE, page, fact, pair_id=f"{page.id}#{digest(both[0].subject)[:10]}") for fact in both)
        for page, *both in mentioned
        if page.id not in {document.id for document in held_out}
    ]
    groups[Suite.UNANSWERABLE] = _taking_turns([list(near_misses(kept, everything)), list(invented_pulls(numbered))])
    return {suite: groups[suite] for suite in SHARES if suite in params.suites and suite in groups}


def _one_answer(items: Sequence[Item]) -> list[Item]:
    """Items without those whose very words are asked with another answer elsewhere; their twins go with them."""
    answers: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for item in items:
        answers[item.question].add(item.answers)
    torn = {item.pair_id for item in items if item.pair_id and len(answers[item.question]) > 1}
    return [item for item in items if len(answers[item.question]) == 1 and item.pair_id not in torn]


def _is_marked(fact: Fact) -> bool:
    """Whether an answer can be told right from wrong."""
    asked = (FACTS | OWN)[fact.kind]
    if asked.marked == "code":
        return True
    answers = answers_of(fact)
    if not answers or not all(0 < len(answer) <= MAX_ANSWER_CHARACTERS and "\n" not in answer for answer in answers):
        return False
    if fact.words.get("inherited"):
        return False  # what is inherited is not listed, and is no wrong answer
    if fact.kind == "folder" and not fact.words.get("whole"):
        return False
    if fact.kind.endswith("-some") and not fact.words.get("every"):
        return False  # some right answers are not known
    if asked.marked in (LIST, SEQUENCE):
        return len(fact.values) <= MAX_VALUES and not any(re.search(r"[,;]", value) for value in fact.values)
    if asked.marked == PROSE:
        return len(re.findall(r"\w+", answers[0])) >= 3
    return fact.subject.casefold() != answers[0].casefold()


def _is_given_away(fact: Fact) -> bool:
    """Whether a file's name says what is defined in it, or a subject its own value."""
    if fact.kind in ("location", "route-file"):
        stem = _letters(PurePosixPath(fact.values[0]).name.partition(".")[0])
        last = _letters(re.split(r"[.#:/ ]", fact.subject)[-1])
        return not last or last in stem or (len(stem) > 3 and stem in last)
    if fact.kind == "parameters":
        return len(fact.values) < 2  # one parameter is guessed too easily
    return False


def _with_base_name(pair: Pair, documents: Sequence[Document]) -> Pair:
    """A place may be named by its base name alone where no other file has it: raw text may have no more."""
    document, fact = pair
    base = PurePosixPath(document.path).name
    if fact.kind not in LOCATIONS - {"pull-file"} or base in fact.values:
        return pair
    if sum(one.repo == document.repo and PurePosixPath(one.path).name == base for one in documents) > 1:
        return pair
    return document, fact.model_copy(update={"values": (*fact.values, base)})


def _bare(asked: str) -> str:
    """A question without marks: with and without backticks it is the same."""
    return re.sub(r"[`*\s]", "", asked)


def _is_identifier(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z_$][\w$.]{3,}", name))


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _take(queues: Mapping[str, Sequence[Pair]], number: int, each: int, places: int) -> list[Pair]:
    """Kinds in turn until `number` facts are taken or nothing more may be."""
    taken: list[Pair] = []
    for turn in range(max(map(len, queues.values()), default=0)):
        for kind, queue in queues.items():
            if turn < min(len(queue), each) and len(taken) < number:
                if kind in LOCATIONS:
                    if places <= 0:
                        continue
                    places -= 1
                taken.append(queue[turn])
    return taken


def _taking_turns(queues: Sequence[Sequence[T]]) -> list[T]:
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _in_turn(pairs: list[Pair], seed: int) -> list[Pair]:
    """Facts in hash order, documents taking turns, so that a short list still covers many documents."""
    by_document: dict[str, list[Pair]] = defaultdict(list)
    for document, fact in sorted(pairs, key=lambda pair: digest(f"{seed} {pair[1].id}")):
        by_document[document.id].append((document, fact))
    ranked = [
        (turn, digest(f"{seed} {name} {turn}"), pair)
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
