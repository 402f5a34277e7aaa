from collections.abc import Callable, Iterable

from tasks.base.records import Document, Kind
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Artifact, Store
from tasks.corpus.filters import estimated_tokens, filter_documents, judge
from tasks.corpus.params import BudgetParams, FilterParams
from tests.corpus.documents import file, page, pull

Stored = Callable[[Iterable[Document]], Artifact]


def test_sources_are_merged_and_every_drop_has_a_verdict(store: Store, stored: Stored) -> None:
    files = stored([file("a.ts", "let a = 1;\n"), file("empty.ts", " \n"), file("data.txt", "x" * 200_000)])
    pulls = stored(
        [
            pull(
                1,
                patches=[
                    ("src/a.ts", "@@ -1 +1 @@\n-a\n+b"),
                    ("yarn.lock", "@@ -1 +1 @@\n-a\n+b"),
                    ("a/b.snap", "@@ -1 +1 @@\n+c"),
                ],
            ),
            pull(2, patches=[("big.json", "+x\n" * 200_000)]),
        ]
    )
    pages = stored([page("Home.md", "# Home\n")])
    made = filter_documents.direct(store, documents=[files, pulls, pages], params=FilterParams())
    kept = list(read_records(store, made, Document))
    assert [document.id for document in kept] == [
        "octocat/cart/file/a.ts",
        "octocat/cart/pull/0000001",
        "octocat/cart/pull/0000002",
        "octocat/cart/wiki/Home.md",
    ]
    assert [entry["path"] for entry in kept[1].meta["files"]] == ["src/a.ts"]
    assert [(verdict.id, verdict.reason) for verdict in read_verdicts(store, made)] == [
        ("octocat/cart/file/data.txt", "long-line"),
        ("octocat/cart/file/empty.ts", "empty"),
        ("octocat/cart/pull/0000001#a/b.snap", "diff-test-snapshot"),
        ("octocat/cart/pull/0000001#yarn.lock", "diff-lock-file"),
        ("octocat/cart/pull/0000002#big.json", "diff-too-large"),
    ]
    assert (
        made.counts["documents"]
        == made.counts["records"] + made.counts["verdict:long-line"] + made.counts["verdict:empty"]
    )
    assert made.counts["diffs"] == 4


def test_patterns_include_and_exclude_files_and_diffs(store: Store, stored: Stored) -> None:
    documents = stored(
        [
            file("src/a.ts", "a"),
            file("docs/a.md", "a"),
            file("src/a.test.ts", "a"),
            pull(1, patches=[("src/a.test.ts", "@@ -1 +1 @@\n+a"), ("docs/b.md", "@@ -1 +1 @@\n+a")]),
        ]
    )
    params = FilterParams(include=("src/**",), exclude=("*.test.ts",))
    made = filter_documents.direct(store, documents=[documents], params=params)
    assert made.counts["records"] == 2
    assert {name: number for name, number in made.counts.items() if name.startswith("verdict")} == {
        "verdict:not-included": 1,
        "verdict:excluded": 1,
        "verdict:diff-excluded": 1,
    }


def test_pull_request_keeps_its_diffs_up_to_its_cap(store: Store, stored: Stored) -> None:
    patch = "@@ -1 +1 @@\n" + "+line of code\n" * 100
    tokens = estimated_tokens(patch)
    documents = stored([pull(1, patches=[(f"{name}.ts", patch) for name in "abc"])])
    made = filter_documents.direct(store, documents=[documents], params=FilterParams(max_pull_tokens=2 * tokens))
    (kept,) = read_records(store, made, Document)
    assert [entry["path"] for entry in kept.meta["files"]] == ["a.ts", "b.ts"]
    assert made.counts["verdict:diff-beyond-cap"] == 1


def test_budget_keeps_the_newest_pull_requests_of_its_source(store: Store, stored: Stored) -> None:
    text = "word " * 360
    documents = stored([pull(number, text=text, repo=repo) for repo in ("a/x", "b/y") for number in (1, 2, 3)])
    params = FilterParams(budgets=(BudgetParams(repo="a/*", kind=Kind.PULL, tokens=1_050),))
    made = filter_documents.direct(store, documents=[documents], params=params)
    assert [document.id for document in read_records(store, made, Document)] == [
        "a/x/pull/0000002",
        "a/x/pull/0000003",
        "b/y/pull/0000001",
        "b/y/pull/0000002",
        "b/y/pull/0000003",
    ]
    assert made.counts["verdict:over-budget"] == 1


def test_changelog_with_long_lines_is_kept() -> None:
    assert judge(file("docs/changelog.rst", ("- A change with a long line. " * 60 + "\n") * 20), FilterParams()) is None


def test_caps_can_be_switched_off() -> None:
    assert judge(file("a.txt", "x" * 3_000_000), FilterParams(max_file_tokens=None, max_line_characters=None)) is None
