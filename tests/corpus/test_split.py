from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind, Split
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.corpus.likeness import document_signatures
from tasks.corpus.params import SplitParams
from tasks.corpus.split import CLUSTERS, HELD_OUT, TRAIN, Cluster, choose, find_links, outline, split
from tests.corpus.documents import file, page, pull
from tests.corpus.test_deduplicate import prose

Stored = Callable[[Iterable[Document]], Artifact]


def clusters_of(documents: list[Document], params: SplitParams, validation_fraction: float = 0.1) -> list[Cluster]:
    documents = sorted(documents, key=lambda document: document.id)
    outlines = [outline(document) for document in documents]
    links = find_links(outlines, document_signatures(documents), params)
    return choose(outlines, links, params, validation_fraction)


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
    assert sorted(identifier for cluster in clusters for identifier in cluster.documents) == sorted(
        document.id for document in documents
    )
    held_out = {
        identifier for cluster in clusters if cluster.split is Split.HELD_OUT for identifier in cluster.documents
    }
    for kind in (Kind.FILE, Kind.PULL):
        of_kind = [document.id for document in documents if document.kind is kind]
        assert len(held_out.intersection(of_kind)) <= round(fraction * len(of_kind))
