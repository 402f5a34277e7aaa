import random
from collections.abc import Callable, Iterable

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.corpus.deduplicate import deduplicate
from tasks.corpus.params import DeduplicateParams
from tests.corpus.documents import file, page, pull

Stored = Callable[[Iterable[Document]], Artifact]


def prose(seed: int, count: int = 300) -> list[str]:
    return [f"word{random.Random(f'{seed}-{number}').randrange(5_000)}" for number in range(count)]


def test_copies_across_sources_are_dropped_in_favour_of_the_file(store: Store, stored: Stored) -> None:
    text = " ".join(prose(1))
    near = " ".join([*prose(1)[:295], "and", "a", "new", "end"])
    documents = stored(
        [
            page("A.md", text),
            file("docs/z.md", text),
            file("docs/b.md", near.upper() + "!"),
            file("docs/other.md", " ".join(prose(2))),
            file("x/index.ts", "export * from './a';\n"),
            file("y/index.ts", "export * from './b';\n"),
            pull(1, title="T", text=" ".join(prose(3)), patches=[("a.ts", "@@ -1 +1 @@\n+a")]),
            pull(2, title="T", text=" ".join(prose(3)), patches=[("a.ts", "@@ -1 +1 @@\n+a")]),
        ]
    )
    made = deduplicate.direct(store, documents=documents, params=DeduplicateParams())
    verdicts = list(read_verdicts(store, made))
    assert [(verdict.id.split("/", 2)[2], verdict.reason) for verdict in verdicts] == [
        ("file/docs/z.md", "near-duplicate"),
        ("pull/0000002", "duplicate"),
        ("wiki/A.md", "duplicate"),
    ]
    assert verdicts[0].detail.startswith("octocat/cart/file/docs/b.md (0.9")
    assert made.counts["documents"] == made.counts["records"] + len(verdicts)
    assert [document.id for document in read_records(store, made, Document)] == sorted(
        {
            f"octocat/cart/{name}"
            for name in ("file/docs/b.md", "file/docs/other.md", "file/x/index.ts", "file/y/index.ts", "pull/0000001")
        }
    )


def test_exact_only_keeps_near_copies(store: Store, stored: Stored) -> None:
    text = " ".join(prose(1))
    documents = stored([file("a.md", text), file("b.md", f"{text} more"), file("c.md", text)])
    made = deduplicate.direct(store, documents=documents, params=DeduplicateParams(near_threshold=None))
    assert made.counts == {"documents": 3, "records": 2, "verdict:duplicate": 1}


def test_chain_of_likenesses_drops_only_what_is_like_something_kept(store: Store, stored: Stored) -> None:
    """b is like a, c is like b and not like a: c stays, since what it copies is gone."""
    words = prose(4, 600)
    chain = [words[start : start + 400] for start in (0, 22, 44)]
    documents = stored([file(f"{name}.md", " ".join(part)) for name, part in zip("abc", chain, strict=True)])
    made = deduplicate.direct(store, documents=documents, params=DeduplicateParams())
    assert [document.path for document in read_records(store, made, Document)] == ["a.md", "c.md"]


def test_result_does_not_depend_on_what_is_far_away(store: Store, stored: Stored) -> None:
    pair = [file("m/a.md", " ".join(prose(1))), file("m/b.md", " ".join([*prose(1), "x"]))]
    others = [file(f"{name}/o.md", " ".join(prose(number))) for number, name in enumerate("abyz", 10)]
    few = deduplicate.direct(store, documents=stored(pair), params=DeduplicateParams())
    many = deduplicate.direct(store, documents=stored([*pair, *others]), params=DeduplicateParams())
    assert [verdict.id for verdict in read_verdicts(store, few)] == [
        verdict.id for verdict in read_verdicts(store, many)
    ]


def test_file_that_defines_another_name_is_no_copy(store: Store, stored: Stored) -> None:
    body = "".join(f"  const {word} = use('{word}');\n" for word in prose(4, 200))
    files = {
        "cart.ts": f"export function cart() {{\n{body}}}\n",
        "copy.ts": f"// The same again.\nexport function cart() {{\n{body}}}\n",
        "order.ts": f"export function order() {{\n{body}}}\n",
    }
    made = deduplicate.direct(
        store, documents=stored([file(*item) for item in files.items()]), params=DeduplicateParams()
    )
    assert [document.path for document in read_records(store, made, Document)] == ["cart.ts", "order.ts"]
    assert [verdict.reason for verdict in read_verdicts(store, made)] == ["near-duplicate"]
