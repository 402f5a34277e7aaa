"""corpus/split: which documents are held out, by cluster, before anything is made from them.

In: filtered, redacted, deduplicated documents. Out: `train.jsonl` and `held_out.jsonl` of documents, `clusters.jsonl`;
a verdict `set-aside` for each pull request that is on neither side.

Two documents are in one cluster if they are alike (`cluster_threshold`), or if one is a pull request that touches the
other, or if both are pull requests that touch one file; an issue counts as a file that whoever closes it touches. A
diff holds most of what a small file says, so a held-out file with its pull request in training would be no held-out
file.

Without further rules most of a busy repository is one cluster: 356 of the 695 documents of guardian/manage-frontend
at 2023-12-31 with 100 pull requests, 237 with these:

* A *hub*, a file that more than `hub_pulls` pull requests touch, links nothing: everybody touches `package.json`. A
  hub stays in training, and so does a pull request with most of its diff in hubs, since others' diffs tell what it
  says.
* A cluster with more than `max_cluster_fraction` of the documents stays in training as a whole.

Held out are only small clusters, so nothing held out is linked to anything trained on, save a pull request's minor
part in hubs, which is counted.

Every stratum, a kind of document in a language, tests apart, has its share. In a busy repository most source is in
hubs or in the large cluster, and by the rules above none of it could be held out: of httpx's 57 Python files two were,
both tests. Where a stratum falls short, the pull requests that hold its least touched files fast are *set aside*:
neither trained on nor held out, as many at most as may be held out. Without them those files are small clusters like
any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.records import NUMBERED, Document, Kind, Record, Split
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams
from tasks.base.steps import step
from tasks.corpus.likeness import Signatures, content, groups, outlined
from tasks.corpus.params import SplitParams
from tasks.text.closing import closed_numbers
from tasks.text.languages import language_of
from tasks.text.ngrams import similar_pairs, words
from tasks.text.paths import is_test

VERSION: Final = "2026.11.30.4"

TRAIN, HELD_OUT, CLUSTERS = "train.jsonl", "held_out.jsonl", "clusters.jsonl"
Stratum = tuple[str, str]
"""Kind of document, and for a file its language."""

MIN_WORDS: Final = 30
"""Shorter documents are alike by accident."""


class Cluster(Record):
    """Documents that stay on one side."""

    id: str
    """Its first document's id."""
    split: Split
    documents: tuple[str, ...]
    alike: int
    """Links by likeness."""
    touching: int
    """Links by pull requests that touch a file."""


class Outline(NamedTuple):
    """What is kept in memory of a document."""

    id: str
    kind: str
    language: str
    """Of a file its language, or the end of its name if that is none that is known, and `test`; else empty."""
    repo: str
    paths: tuple[str, ...]
    """The file's path; for a pull request every path it touches, old names included, and `#12` for each issue that it
    closes; for an issue its own `#12`; none for a page.
    """
    sizes: tuple[int, ...]
    """Characters of a pull request's diff per path."""
    is_long: bool


class Links(NamedTuple):
    """Pairs of documents, by their numbers, that belong together."""

    alike: list[tuple[int, int]]
    touching: list[tuple[int, int]]
    hubs: dict[tuple[str, str], list[int]]
    """Documents by (repository, path) of each hub; not links."""
    pinned: set[int]
    """Documents that stay in training because of hubs."""


def outline(document: Document) -> Outline:
    """The facts of a document that the split needs."""
    touched: dict[str, int] = {}
    if document.kind is Kind.FILE:
        touched[document.path] = len(document.text)
    for file in document.meta.get("files") or () if document.kind is Kind.PULL else ():
        for path in filter(None, (file["path"], file.get("previous_path"))):
            touched[path] = touched.get(path, 0) + len(file.get("patch") or "")
    touched |= {f"#{number}": touched.get(f"#{number}", 0) for number in _closed(document)}
    if document.kind == Kind.ISSUE:
        touched[f"#{document.path}"] = len(document.text)
    paths = tuple(sorted(touched))
    is_long = len(words(content(document))) >= MIN_WORDS
    path = document.path if document.kind is Kind.FILE else ""
    return Outline(
        id=document.id,
        kind=document.kind,
        language=f"{language_of(path) or PurePosixPath(path).suffix.lower()}{' test' if is_test(path) else ''}",
        repo=document.repo,
        paths=paths,
        sizes=tuple(touched[path] for path in paths),
        is_long=is_long,
    )


def _closed(document: Document) -> set[int]:
    """Numbers of the issues that a pull request closes, or that an issue or discussion is a duplicate of."""
    if document.kind not in NUMBERED:
        return set()
    said = [document.title, document.text, *(commit["message"] for commit in document.meta.get("commits") or ())]
    return {number for text in said for number in closed_numbers(text, document.repo, document.url)}


def find_alike(outlines: list[Outline], matrix: Signatures, params: SplitParams) -> list[tuple[int, int]]:
    """Pairs of documents that are alike.

    Args:
        outlines: of all documents.
        matrix: their signatures, uint32, shape [documents, PERMUTATIONS].
        params: thresholds.
    """
    if params.by == "document":
        return []
    long = [row for row, entry in enumerate(outlines) if entry.is_long]
    return [(long[left], long[right]) for left, right, _ in similar_pairs(matrix[long], params.cluster_threshold)]


def find_links(
    outlines: list[Outline], alike: list[tuple[int, int]], params: SplitParams, aside: Container[int] = ()
) -> Links:
    """What belongs together and why, without the documents set aside."""
    if params.by == "document":
        return Links([], [], {}, set())
    touching, hubs = [], {}
    for place, rows in sorted(_by_path(outlines, aside).items()):
        pulls = sum(outlines[row].kind is Kind.PULL for row in rows)
        if pulls > params.hub_pulls:
            hubs[place] = rows
        else:
            touching += [(rows[0], row) for row in rows[1:]]
    kept = [(first, second) for first, second in alike if first not in aside and second not in aside]
    return Links(kept, touching, hubs, {row for row, entry in enumerate(outlines) if _is_mostly_hubs(entry, hubs)})


def choose(
    outlines: list[Outline], links: Links, params: SplitParams, validation_fraction: float, aside: Container[int] = ()
) -> list[Cluster]:
    """Clusters with their side, sorted by id: in an order drawn by the seed, each small cluster that fits is held out
    until every stratum has its share. Documents set aside are in none.
    """
    members = groups(len(outlines), (*links.alike, *links.touching))
    name_of = {row: name for name, rows in members.items() for row in rows}
    alike = Counter(name_of[first] for first, _ in links.alike)
    touching = Counter(name_of[first] for first, _ in links.touching)
    room = rooms(outlines, validation_fraction)
    largest = max(1, int(params.max_cluster_fraction * len(outlines)))
    members = {name: rows for name, rows in members.items() if name not in aside}
    held_out = set()
    for name in sorted(members, key=lambda name: _drawn(outlines[name], params)):
        strata = Counter(_stratum(outlines[row]) for row in members[name])
        is_free = len(members[name]) <= largest and links.pinned.isdisjoint(members[name])
        if is_free and all(count <= room[stratum] for stratum, count in strata.items()):
            held_out.add(name)
            room -= strata
    return sorted(
        (
            Cluster(
                id=outlines[name].id,
                split=Split.HELD_OUT if name in held_out else Split.TRAIN,
                documents=tuple(outlines[row].id for row in rows),
                alike=alike[name],
                touching=touching[name],
            )
            for name, rows in members.items()
        ),
        key=lambda cluster: cluster.id,
    )


def rooms(outlines: Iterable[Outline], fraction: float) -> Counter[Stratum]:
    """How many documents of each stratum may be held out: of each kind the fraction, rounded, shared out over its
    languages by largest remainders.
    """
    room: Counter[Stratum] = Counter()
    sizes = Counter(map(_stratum, outlines))
    for kind in {kind for kind, _ in sizes}:
        own = {stratum: size for stratum, size in sizes.items() if stratum[0] == kind}
        left = round(fraction * sum(own.values()))
        for stratum, size in own.items():
            room[stratum] = int(fraction * size)
            left -= room[stratum]
        by_remainder = sorted(own, key=lambda stratum: (room[stratum] - fraction * own[stratum], stratum))
        room.update(by_remainder[: max(0, left)])
    return room


def set_aside(
    outlines: list[Outline], alike: list[tuple[int, int]], params: SplitParams, validation_fraction: float
) -> set[int]:
    """Pull requests that keep a stratum from its share; see the top of the module.

    A file costs the pull requests that touch it and those that are alike to them. The cheapest files of a stratum come
    first, then the order drawn by the seed; a file that would take more than is left is passed over, and so is one with
    near copies, which would have to come along.
    """
    if params.by == "document":
        return set()
    room = rooms(outlines, validation_fraction)
    by_id = {entry.id: entry for entry in outlines}
    for cluster in choose(outlines, find_links(outlines, alike, params), params, validation_fraction):
        if cluster.split is Split.HELD_OUT:
            room -= Counter(_stratum(by_id[name]) for name in cluster.documents)
    together = {row: rows for rows in groups(len(outlines), alike).values() for row in rows}
    pulls = {
        place: [row for row in rows if outlines[row].kind is Kind.PULL]
        for place, rows in _by_path(outlines, ()).items()
    }

    def cost(row: int) -> set[int]:
        touching = pulls.get((outlines[row].repo, outlines[row].paths[0]), [])
        with_copies = {other for pull in touching for other in together[pull]}
        return {other for other in with_copies if outlines[other].kind is Kind.PULL}

    files = [
        (row, cost(row))
        for row, entry in enumerate(outlines)
        if entry.kind is Kind.FILE and entry.is_long and len(together[row]) == 1
    ]
    aside: set[int] = set()
    budget = rooms(outlines, validation_fraction)[(Kind.PULL, "")]
    for row, needed in sorted(files, key=lambda file: (len(file[1]), _drawn(outlines[file[0]], params))):
        stratum = _stratum(outlines[row])
        if needed and room[stratum] > 0 and len(aside | needed) <= budget:
            aside |= needed
            room[stratum] -= 1
    return aside


def crossing_hubs(outlines: list[Outline], links: Links, held_out: set[str]) -> int:
    """How many hubs have documents on both sides: what remains between the sides."""
    return sum(len({outlines[row].id in held_out for row in rows}) == 2 for rows in links.hubs.values())


def _by_path(outlines: list[Outline], aside: Container[int]) -> dict[tuple[str, str], list[int]]:
    """(repository, path) → documents that are or touch it, without those set aside."""
    found: dict[tuple[str, str], list[int]] = {}
    for row, entry in enumerate(outlines):
        for path in entry.paths if row not in aside else ():
            found.setdefault((entry.repo, path), []).append(row)
    return found


def _stratum(entry: Outline) -> Stratum:
    return entry.kind, entry.language


def _drawn(entry: Outline, params: SplitParams) -> bytes:
    return sha256(f"{params.seed}:{entry.id}".encode()).digest()


def _is_mostly_hubs(entry: Outline, hubs: Container[tuple[str, str]]) -> bool:
    within = sum(size for path, size in zip(entry.paths, entry.sizes, strict=True) if (entry.repo, path) in hubs)
    return within * 2 > sum(entry.sizes)


@step("corpus/split", VERSION)
def split(
    run: StepRun,
    documents: Artifact,
    params: SplitParams,
    validation_fraction: float,
    runner: RunnerParams = LOCAL,
) -> None:
    """Writes both sides and the clusters."""
    outlines, matrix = outlined(run, documents, outline, runner)
    alike = find_alike(outlines, matrix, params)
    aside = set_aside(outlines, alike, params, validation_fraction)
    links = find_links(outlines, alike, params, aside)
    clusters = choose(outlines, links, params, validation_fraction, aside)
    left_out = {outlines[row].id for row in aside}
    for name in sorted(left_out):
        run.verdict(name, "set-aside", "holds files fast that its language needs held out")
    held_out = {
        identifier for cluster in clusters if cluster.split is Split.HELD_OUT for identifier in cluster.documents
    }
    trained = (one for one in run.read(documents, Document) if one.id not in held_out and one.id not in left_out)
    run.write(trained, TRAIN)
    run.write((document for document in run.read(documents, Document) if document.id in held_out), HELD_OUT)
    run.write(clusters, CLUSTERS)
    run.count("documents", len(outlines))
    run.count("largest_cluster", max((len(cluster.documents) for cluster in clusters), default=0))
    run.count("pinned_by_hubs", len(links.pinned))
    run.count("hubs", len(links.hubs))
    run.count("hubs_on_both_sides", crossing_hubs(outlines, links, held_out))
