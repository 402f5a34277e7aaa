"""corpus/split: which documents are held out, by cluster, before anything is made from them.

In: filtered, redacted, deduplicated documents. Out: `train.jsonl` and `held_out.jsonl` of documents, `clusters.jsonl`.

Two documents are in one cluster if they are alike (`cluster_threshold`), or if one is a pull request that touches the
other, or if both are pull requests that touch one file. A diff holds most of what a small file says, so a held-out
file with its pull request in training would be no held-out file.

Without further rules most of a busy repository is one cluster: 356 of the 695 documents of guardian/manage-frontend
at 2023-12-31 with 100 pull requests, 237 with these:

* A *hub*, a file that more than `hub_pulls` pull requests touch, links nothing: everybody touches `package.json`. A
  hub stays in training, and so does a pull request with most of its diff in hubs, since others' diffs tell what it
  says.
* A cluster with more than `max_cluster_fraction` of the documents stays in training as a whole.

Held out are only small clusters, so nothing held out is linked to anything trained on, save a pull request's minor
part in hubs, which is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from hashlib import sha256
from typing import Final, NamedTuple

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind, Record, Split
from tasks.base.runs import StepRun
from tasks.base.shards import LOCAL, RunnerParams
from tasks.base.steps import step
from tasks.corpus.likeness import Signatures, content, groups, outlined
from tasks.corpus.params import SplitParams
from tasks.text.ngrams import similar_pairs, words

VERSION: Final = "2026.11.30.1"

TRAIN, HELD_OUT, CLUSTERS = "train.jsonl", "held_out.jsonl", "clusters.jsonl"
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
    kind: Kind
    repo: str
    paths: tuple[str, ...]
    """The file's path; for a pull request every path it touches, old names included; none for a page."""
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
    paths = tuple(sorted(touched))
    is_long = len(words(content(document))) >= MIN_WORDS
    return Outline(document.id, document.kind, document.repo, paths, tuple(touched[path] for path in paths), is_long)


def find_links(outlines: list[Outline], matrix: Signatures, params: SplitParams) -> Links:
    """What belongs together and why.

    Args:
        outlines: of all documents.
        matrix: their signatures, uint32, shape [documents, PERMUTATIONS].
        params: thresholds.
    """
    if params.by == "document":
        return Links([], [], {}, set())
    long = [row for row, entry in enumerate(outlines) if entry.is_long]
    alike = [(long[left], long[right]) for left, right, _ in similar_pairs(matrix[long], params.cluster_threshold)]
    by_path: dict[tuple[str, str], list[int]] = {}
    for row, entry in enumerate(outlines):
        for path in entry.paths:
            by_path.setdefault((entry.repo, path), []).append(row)
    touching, hubs = [], {}
    for place, rows in sorted(by_path.items()):
        pulls = sum(outlines[row].kind is Kind.PULL for row in rows)
        if pulls > params.hub_pulls:
            hubs[place] = rows
        else:
            touching += [(rows[0], row) for row in rows[1:]]
    return Links(alike, touching, hubs, {row for row, entry in enumerate(outlines) if _is_mostly_hubs(entry, hubs)})


def choose(outlines: list[Outline], links: Links, params: SplitParams, validation_fraction: float) -> list[Cluster]:
    """Clusters with their side, sorted by id: in an order drawn by the seed, each small cluster that fits is held out
    until every kind has its share.
    """
    members = groups(len(outlines), (*links.alike, *links.touching))
    name_of = {row: name for name, rows in members.items() for row in rows}
    alike = Counter(name_of[first] for first, _ in links.alike)
    touching = Counter(name_of[first] for first, _ in links.touching)
    room = {
        kind: round(validation_fraction * count) for kind, count in Counter(entry.kind for entry in outlines).items()
    }
    largest = max(1, int(params.max_cluster_fraction * len(outlines)))
    held_out = set()
    for name in sorted(members, key=lambda name: sha256(f"{params.seed}:{outlines[name].id}".encode()).digest()):
        kinds = Counter(outlines[row].kind for row in members[name])
        is_free = len(members[name]) <= largest and links.pinned.isdisjoint(members[name])
        if is_free and all(count <= room[kind] for kind, count in kinds.items()):
            held_out.add(name)
            for kind, count in kinds.items():
                room[kind] -= count
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


def crossing_hubs(outlines: list[Outline], links: Links, held_out: set[str]) -> int:
    """How many hubs have documents on both sides: what remains between the sides."""
    return sum(len({outlines[row].id in held_out for row in rows}) == 2 for rows in links.hubs.values())


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
    links = find_links(outlines, matrix, params)
    clusters = choose(outlines, links, params, validation_fraction)
    held_out = {
        identifier for cluster in clusters if cluster.split is Split.HELD_OUT for identifier in cluster.documents
    }
    run.write((document for document in run.read(documents, Document) if document.id not in held_out), TRAIN)
    run.write((document for document in run.read(documents, Document) if document.id in held_out), HELD_OUT)
    run.write(clusters, CLUSTERS)
    run.count("documents", len(outlines))
    run.count("largest_cluster", max((len(cluster.documents) for cluster in clusters), default=0))
    run.count("pinned_by_hubs", len(links.pinned))
    run.count("hubs", len(links.hubs))
    run.count("hubs_on_both_sides", crossing_hubs(outlines, links, held_out))
