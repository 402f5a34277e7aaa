from pathlib import Path

import pytest

from tasks.base.records import Document
from tasks.corpus.params import RenderParams
from tasks.corpus.render import render_document, render_parts, source_header
from tests.corpus.documents import file, page, pull

GOLDEN = Path(__file__).parent / "golden"

HELLO_WORLD = pull(
    2989,
    "Create devcontainer.json",
    repo="octocat/Hello-World",
    patches=[
        (
            ".devcontainer/devcontainer.json",
            '@@ -0,0 +1,5 @@\n+{\n+  "image": "mcr.microsoft.com/devcontainers/universal:2",\n'
            '+  "features": {\n+  }\n+}',
        )
    ],
    merged_at=None,
).model_copy(update={"created_at": "2024-02-26T11:39:03Z"})
HELLO_WORLD.meta["files"][0]["status"] = "added"

THREAD = pull(
    7,
    "Round totals",
    "Fixes #6.\r\n\r\nTotals were off.",
    patches=[
        ("src/cart.ts", "@@ -1,2 +1,2 @@\n-a\n+b\n@@ -9 +9,2 @@ total()\n x\n+y\n\\ No newline at end of file"),
        ("logo.png", None),
    ],
    comments=[{"author": "hubot", "created_at": "2023-12-01T10:00:00Z", "body": "Nice."}],
    reviews=[
        {"author": None, "created_at": "2023-12-01T11:00:00Z", "body": "", "state": "APPROVED"},
        {"author": "mona", "created_at": "2023-12-01T12:00:00Z", "body": "", "state": "COMMENTED"},
        {"author": "mona", "created_at": "2023-12-01T13:00:00Z", "body": "Why?", "state": "CHANGES_REQUESTED"},
    ],
    review_comments=[
        {
            "author": "mona",
            "created_at": "2023-12-01T13:00:00Z",
            "body": "Cents?",
            "path": "src/cart.ts",
            "line": 9,
            "in_reply_to": None,
        }
    ],
)

RESEARCHED = RenderParams(paths="full", header="source", threads="all", absent="omit")
TALKED_OVER = THREAD.model_copy(deep=True)
TALKED_OVER.meta["files"].append(
    {"path": "src/basket.ts", "status": "renamed", "previous_path": "src/bag.ts", "patch": None}
)
TALKED_OVER.meta["review_comments"] = [
    {"id": 1, "hunk": "@@ -1,9 +1,9 @@\n" + "".join(f" line {n}\n" for n in range(8)) + "-a\n+b"}
    | {"author": "mona", "created_at": "2023-12-01T13:00:00Z", "body": "Cents?", "path": "src/cart.ts", "line": 9},
    {"id": 2, "hunk": "@@ -1 +1 @@\n-a\n+b", "author": "mona", "created_at": "2023-12-01T13:05:00Z", "body": "And b?"}
    | {"path": "src/cart.ts", "line": None},
    {"id": 3, "hunk": "@@ -1 +1 @@\n-a\n+b", "author": "octocat", "created_at": "2023-12-01T14:00:00Z", "body": "Yes."}
    | {"path": "src/cart.ts", "line": 9, "in_reply_to": 1},
]
PLAIN = pull(4, "Count", "", merged_at=None, patches=[("logo.png", None)]).model_copy(
    update={"url": None, "created_at": None}
)


@pytest.mark.parametrize(
    ("name", "document", "params"),
    [
        ("file", file("client/productSwitchTypes.ts", "export type A =\n\t| 'a';\n"), RenderParams()),
        (
            "file-full-path",
            file("client/productSwitchTypes.ts", "export type A =\n\t| 'a';\n"),
            RenderParams(paths="full"),
        ),
        ("page", page("Home.md", "# Home\n\nSee [[Fastly]].\n"), RenderParams()),
        ("pull-2989", HELLO_WORLD, RenderParams()),
        ("pull-without-thread", THREAD, RenderParams()),
        ("pull-with-comments", THREAD, RenderParams(threads="comments")),
        ("pull-with-thread", THREAD, RenderParams(threads="all")),
        ("page-with-title", page("Set-up.md", "Install it.\n"), RenderParams(paths="full")),
        ("pull-researched", TALKED_OVER, RESEARCHED),
        ("pull-of-plain-git", PLAIN, RenderParams()),
    ],
)
def test_format_golden(name: str, document: Document, params: RenderParams) -> None:
    assert render_document(document, params).encode() == (GOLDEN / f"{name}.txt").read_bytes()


def test_parts_of_a_pull_request_are_files_and_hunks_with_what_to_repeat() -> None:
    head = "PR #7: Round totals\nURL: https://github.com/octocat/cart/pull/7\n"
    parts = render_parts(THREAD, RenderParams())
    assert [(part.rank, part.opening, part.context) for part in parts] == [
        (0, "", head),
        (0, head, f"{head}File: src/cart.ts, Status: modified\n"),
        (1, f"{head}File: src/cart.ts, Status: modified\n", f"{head}File: src/cart.ts, Status: modified\n"),
        (0, head, f"{head}File: logo.png, Status: modified\n"),
    ]


def test_source_header_names_repository_path_revision_and_date() -> None:
    asked = RenderParams(header="source")
    assert source_header(file("a/b.ts", ""), asked) == "[octocat/cart/file/a/b.ts @ 1272c7d01272, as of 2023-12-29]\n"
    assert source_header(THREAD, asked) == "[octocat/cart/pull/7 @ 1272c7d01272, as of 2023-12-02]\n"
    assert source_header(page("Home.md", "", updated_at=None), asked) == "[octocat/cart/wiki/Home.md @ 1272c7d01272]\n"
    assert source_header(file("a/b.ts", ""), RenderParams()) == ""
