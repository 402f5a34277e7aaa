"""Issues and discussions: one conversation each, without forms and bots, cut at posts, beside what closes them."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Document, Kind, Split
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.corpus.chunk import Sided, chunk_documents
from tasks.corpus.filters import filter_documents
from tasks.corpus.params import FilterParams, RenderParams, SplitParams
from tasks.corpus.render import render_document
from tasks.corpus.threads import as_conversation
from tasks.text.closing import closed_numbers
from tasks.text.conversations import ACCEPTED, posts_of
from tests.corpus.documents import file, issue, pull
from tests.corpus.test_deduplicate import prose
from tests.corpus.test_split import clusters_of

Stored = Callable[[Iterable[Document]], Artifact]

FORM = """name: Bug
body:
  - type: markdown
    attributes:
      value: Thanks for taking the time to fill out this bug report!
  - type: textarea
    attributes:
      label: What happened?
  - type: input
    attributes:
      label: Version
"""
FILLED = (
    "Thanks for taking the time to fill out this bug report!\n\n"
    "### What happened?\n\nIt hangs.\n\n### Version\n\n_No response_\n"
)


def said(identity: int, author: str, day: int, body: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "author": author, "created_at": f"2023-11-{day:02d}T10:00:00Z", "body": body, **more}


def test_issue_becomes_a_conversation_without_form_and_bots(store: Store, stored: Stored) -> None:
    comments = [said(1, "stale[bot]", 3, "This is stale."), said(2, "Person 2", 4, "Fixed in 1.2.")]
    closed = {"state": "closed", "closed_at": "2023-11-05T00:00:00Z", "labels": ["bug"], "comments": comments}
    made = filter_documents.direct(
        store,
        documents=[
            stored([file(".github/ISSUE_TEMPLATE/bug.yml", FORM)]),
            stored([issue(1, "Hangs on close", FILLED, **closed), issue(2, author="renovate[bot]", text="Dashboard")]),
            stored([issue(3, repo="octocat/other")]),
        ],
        params=FilterParams(),
    )

    found = [one for one in read_records(store, made, Document) if one.kind == Kind.ISSUE]
    assert [one.text for one in found] == [
        "# Hangs on close\n\nIssue #1, closed on 2023-11-05; labels: bug.\n\n"
        "**Person 1, 2023-11-01:**\n\n### What happened?\n\nIt hangs.\n\n"
        "**Person 2, 2023-11-04:**\n\nFixed in 1.2.\n"
    ]
    assert "comments" not in found[0].meta
    assert {(one.id, one.reason) for one in read_verdicts(store, made)} == {
        ("octocat/cart/issue/0000001#comment-1", "bot-comment"),
        ("octocat/cart/issue/0000002", "bot-issue"),
        ("octocat/other/issue/0000003", "empty"),
    }


def test_discussion_has_replies_below_what_they_answer() -> None:
    comments = [
        said(1, "Person 2", 2, "Turn it on.", in_reply_to=None),
        said(2, "Person 3", 3, "Or buy one.", in_reply_to=None),
        said(3, "Person 1", 4, "Thanks!", in_reply_to=1),
    ]
    asked = issue(5, "How?", "How does it work?", category="Q&A", answer=1, comments=comments)
    made = as_conversation(asked.model_copy(update={"kind": Kind.DISCUSSION}))

    assert made.text.startswith("# How?\n\nDiscussion #5, in Q&A, open.\n\n")
    posts = posts_of(made.text)
    assert [(post.author, post.date, post.note) for post in posts] == [
        ("Person 1", "2023-11-01", ""),
        ("Person 2", "2023-11-02", ACCEPTED),
        ("Person 1", "2023-11-04", ""),
        ("Person 3", "2023-11-03", ""),
    ]
    lines = made.text.split("\n")
    assert [lines[post.line - 1] for post in posts] == [post.text for post in posts]


def test_chunk_inside_a_post_repeats_who_speaks_and_when() -> None:
    long = " ".join(prose(7, 300))
    document = as_conversation(issue(1, "Slow", "It is slow.", comments=[said(1, "Person 2", 2, long)]))

    def count(texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    chunks = list(chunk_documents([Sided(document, Split.TRAIN)], count, 100, RenderParams()))
    assert "".join(chunk.text for chunk in chunks) == render_document(document, RenderParams()) == document.text
    assert [chunk.header for chunk in chunks[:3]] == [
        "",
        "# Slow\n" if chunks[1].text.startswith("**") else "# Slow\n**Person 2, 2023-11-02:**\n",
        "# Slow\n**Person 2, 2023-11-02:**\n",
    ]


def test_issue_and_what_closes_it_are_one_cluster() -> None:
    documents = [as_conversation(issue(number, text=" ".join(prose(number)))) for number in range(1, 31)]
    closing = [
        pull(100 + number, text=f"{' '.join(prose(100 + number))}\n\nFixes #{number}") for number in range(1, 11)
    ]
    clusters = clusters_of([*documents, *closing], SplitParams(), 0.3)

    together = {frozenset(cluster.documents) for cluster in clusters if len(cluster.documents) > 1}
    assert together == {
        frozenset({f"octocat/cart/issue/{number:07d}", f"octocat/cart/pull/{100 + number:07d}"})
        for number in range(1, 11)
    }


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Fixes #12", {12}),
        ("closes: #1, #2 and #3; see #4", {1, 2, 3}),
        ("Resolved octocat/cart#7 and other/place#8", {7}),
        ("fix https://github.com/octocat/cart/issues/9", {9}),
        ("fix https://github.com/octocat/elsewhere/issues/9", set()),
        ("Duplicate of #5", {5}),
        ("prefixes #6, and it fixes nothing. #7", set()),
    ],
)
def test_closing_words(text: str, numbers: set[int]) -> None:
    assert closed_numbers(text, "octocat/cart", "https://github.com/octocat/cart/pull/3") == numbers
