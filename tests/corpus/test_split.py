from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind, Split, Verdict
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.corpus.likeness import document_signatures
from tasks.corpus.params import SplitParams
from tasks.corpus.split import (
    CLUSTERS,
    HELD_OUT,
    TRAIN,
    Cluster,
    choose,
    find_alike,
    find_links,
    outline,
    rooms,
    set_aside,
    split,
)
from tests.corpus.documents import file, page, pull
from tests.corpus.test_deduplicate import prose

Stored = Callable[[Iterable[Document]], Artifact]


def clusters_of(documents: list[Document], params: SplitParams, validation_fraction: float = 0.1) -> list[Cluster]:
    documents = sorted(documents, key=lambda document: document.id)
    outlines = [outline(document) for document in documents]
    alike = find_alike(outlines, document_signatures(documents), params)
    aside = set_aside(outlines, alike, params, validation_fraction)
    return choose(outlines, find_links(outlines, alike, params, aside), params, validation_fraction, aside)


def plain(count: int) -> list[Document]:
    return [file(f"src/{number:03d}.ts", " ".join(prose(number, 60))) for number in range(count)]


def test_both_sides_and_clusters_are_written_and_add_up(store: Store, stored: Stored) -> None:
    pulls = [pull(number, text=" ".join(prose(1_000 + number))) for number in range(1, 21)]
    documents = stored(
        [*plain(40), *pulls, *(page(f"{number}.md", " ".join(prose(2_000 + number))) for number in range(10))]
    )
    made = split.direct(store, documents=documents, params=SplitParams(), validation_fraction=0.1)
    train, held_out = (list(read_records(store, made, Document, name)) for name in (TRAIN, HELD_OUT))
    clusters = list(read_records(store, made, Cluster, CLUSTERS))
    assert (
        made.counts["documents"] == made.counts["train"] + made.counts["held_out"] == len(train) + len(held_out) == 70
    )
    assert sorted(document.kind for document in held_out) == sorted([Kind.FILE] * 4 + [Kind.PULL] * 2 + [Kind.WIKI])
    assert {
        identifier for cluster in clusters if cluster.split is Split.HELD_OUT for identifier in cluster.documents
    } == {document.id for document in held_out}


def test_near_copies_and_pull_requests_of_one_file_stay_together() -> None:
    documents = [
        *plain(60),
        file("lib/cart.ts", " ".join(prose(500, 80))),
        file("lib/cart2.ts", " ".join([*prose(500, 80)[:70], "end"])),
        pull(1, patches=[("lib/cart.ts", "@@ -1 +1 @@\n+a")]),
        pull(2, patches=[("gone.ts", "@@ -1 +1 @@\n+a")]),
        pull(3, patches=[("gone.ts", "@@ -1 +1 @@\n+b")]),
        pull(4, patches=[("new/name.ts", "@@ -1 +1 @@\n+b")]),
    ]
    documents[-1].meta["files"][0]["previous_path"] = "src/000.ts"
    together = [cluster.documents for cluster in clusters_of(documents, SplitParams()) if len(cluster.documents) > 1]
    assert [[identifier.split("/", 2)[2] for identifier in group] for group in together] == [
        ["file/lib/cart.ts", "file/lib/cart2.ts", "pull/0000001"],
        ["file/src/000.ts", "pull/0000004"],
        ["pull/0000002", "pull/0000003"],
    ]


def test_hub_links_nothing_and_stays_in_training() -> None:
    pulls = [
        pull(
            number,
            patches=[("package.json", "@@ -1 +1 @@\n+a"), (f"src/{number:03d}.ts", "@@ -1 +1 @@\n+abc\n+def\n+ghi")],
        )
        for number in range(20)
    ]
    only_hub = pull(30, patches=[("package.json", "@@ -1 +1 @@\n+abc")])
    documents = [*plain(40), file("package.json", "{}"), *pulls, only_hub]
    for seed in range(8):
        clusters = clusters_of(documents, SplitParams(hub_pulls=5, seed=seed), 0.5)
        assert max(len(cluster.documents) for cluster in clusters) == 2
        training = {
            identifier for cluster in clusters if cluster.split is Split.TRAIN for identifier in cluster.documents
        }
        assert {"octocat/cart/file/package.json", only_hub.id} <= training


def test_giant_cluster_stays_in_training_as_a_whole() -> None:
    chain = [
        pull(number, patches=[(f"src/{number:03d}.ts", "+a"), (f"src/{number + 1:03d}.ts", "+a")])
        for number in range(30)
    ]
    documents = [*plain(100), *chain]
    for seed in range(5):
        clusters = clusters_of(documents, SplitParams(seed=seed))
        assert [cluster.split for cluster in clusters if len(cluster.documents) > 13] == [Split.TRAIN]
        held_out = [
            identifier for cluster in clusters if cluster.split is Split.HELD_OUT for identifier in cluster.documents
        ]
        assert len(held_out) == 10


def _busy(pulls: int) -> list[Document]:
    """Pages that nobody touches, Python files of which every other pull request touches a hub and two more, and pull
    requests of files that are gone.
    """
    modules = [file(f"shop/part{number}.py", " ".join(prose(3_000 + number, 60))) for number in range(20)]
    touching = [
        pull(
            number,
            text=" ".join(prose(4_000 + number)),
            patches=[
                ("shop/part0.py", "@@ -1 +1 @@\n+a"),
                (f"shop/part{1 + number // 2 % 19}.py", f"@@ -1 +1 @@\n+{'b' * 40}"),
                (f"shop/part{1 + (number // 2 + 1) % 19}.py", f"@@ -1 +1 @@\n+{'c' * 40}"),
            ],
        )
        for number in range(0, pulls, 2)
    ]
    touching += [
        pull(number, text=" ".join(prose(4_000 + number)), patches=[(f"gone/{number}.txt", "@@ -1 +1 @@\n+a")])
        for number in range(1, pulls, 2)
    ]
    return [*modules, *touching, *(file(f"docs/{number}.md", " ".join(prose(5_000 + number))) for number in range(40))]


def test_language_that_pull_requests_hold_fast_has_its_share_and_nothing_trained_touches_it(
    store: Store, stored: Stored
) -> None:
    documents = _busy(120)
    made = split.direct(store, documents=stored(documents), params=SplitParams(), validation_fraction=0.1)
    train, held_out = (list(read_records(store, made, Document, name)) for name in (TRAIN, HELD_OUT))
    aside = list(read_records(store, made, Verdict, "verdicts.jsonl"))
    python = {one.path for one in held_out if one.path.endswith(".py")}
    assert len(python) == 2
    assert {one.reason for one in aside} == {"set-aside"}
    assert 0 < len(aside) <= 12
    assert len(train) + len(held_out) + len(aside) == len(documents)
    assert {one.id for one in aside}.isdisjoint(one.id for one in (*train, *held_out))
    touched = {change["path"] for one in train if one.kind is Kind.PULL for change in one.meta["files"]}
    assert touched.isdisjoint(python)


def test_strata_share_a_kinds_room_by_largest_remainders() -> None:
    names = [*(f"{number}.py" for number in range(14)), *(f"{number}.md" for number in range(4)), "a.css", "b.toml"]
    outlines = [outline(file(name, "x")) for name in names]
    room = {language: count for (_, language), count in rooms(outlines, 0.1).items() if count}
    assert room == {"python": 2}
    assert sum(rooms(outlines, 0.25).values()) == 5
    assert rooms(outlines, 0.25)[(Kind.FILE, ".md")] == 1
    assert outline(file("tests/test_a.py", "x")).language == "python test"


def test_split_by_document_draws_from_all_of_them() -> None:
    chain = [pull(number, patches=[(f"src/{number:03d}.ts", "+a")]) for number in range(30)]
    clusters = clusters_of([*plain(30), *chain], SplitParams(by="document"), 0.2)
    assert {len(cluster.documents) for cluster in clusters} == {1}
    assert sum(cluster.split is Split.HELD_OUT for cluster in clusters) == 12


def test_other_repository_with_the_same_path_is_not_linked() -> None:
    documents = [file("a.ts", "x", repo="a/x"), pull(1, repo="b/y", patches=[("a.ts", "+a")])]
    assert len(clusters_of(documents, SplitParams())) == 2


@settings(deadline=None)  # scipy is imported by the first call
@given(
    paths=st.lists(st.lists(st.integers(0, 12), max_size=4), max_size=20),
    fraction=st.floats(0, 0.5),
    seed=st.integers(0, 5),
)
def test_every_document_is_in_one_cluster_and_no_kind_exceeds_its_share(
    paths: list[list[int]], fraction: float, seed: int
) -> None:
    pulls = [
        pull(number, patches=[(f"src/{path:03d}.ts", "+a") for path in touched]) for number, touched in enumerate(paths)
    ]
    documents = [*plain(10), *pulls]
    clusters = clusters_of(documents, SplitParams(seed=seed), fraction)
    inside = [identifier for cluster in clusters for identifier in cluster.documents]
    aside = {document.id: document.kind for document in documents if document.id not in inside}
    assert len(inside) == len(set(inside)) == len(documents) - len(aside)
    assert set(aside.values()) <= {Kind.PULL}
    assert len(aside) <= round(fraction * len(pulls))
    held_out = {
        identifier for cluster in clusters if cluster.split is Split.HELD_OUT for identifier in cluster.documents
    }
    for kind in (Kind.FILE, Kind.PULL):
        of_kind = [document.id for document in documents if document.kind == kind]
        assert len(held_out.intersection(of_kind)) <= round(fraction * len(of_kind))
