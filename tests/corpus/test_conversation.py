from collections.abc import Callable, Iterable

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.corpus.conversation import Boilerplate, cleaned, own_words
from tasks.corpus.filters import filter_documents
from tasks.corpus.params import FilterParams, RenderParams
from tasks.corpus.render import render_document
from tasks.text.people import is_bot
from tests.corpus.documents import file, pull

Stored = Callable[[Iterable[Document]], Artifact]

TEMPLATE = """<!-- Thank you! Please read CONTRIBUTING. -->
## What does this change?
<!-- a sentence or two -->

## How to test

**Have we considered accessibility?**

## Checklist
- [ ] I have added tests
- [ ] Docs
"""
FILLED = """## What does this change?\r
\r
Totals are rounded once, [not per line](https://example.org/why).\r
<!-- a sentence or two -->\r
![before](https://user-images.githubusercontent.com/1/a.png)\r
[![CI](https://ci.example.org/badge.svg)](https://ci.example.org)\r
\r
### Why\r
\r
```sh\r
- [ ] not a check list, but output\r
# nor a heading\r
```\r
\r
## How to test\r
\r
N/A\r
\r
**Have we considered accessibility?**\r
\r
## Rollout\r
\r
## Checklist\r
- [x] I have added tests\r
      in two places\r
- [ ] Docs\r
\r
1. First cents\r
2. Then euros\r
\r
---\r
<img src="https://track.example.org/p.gif" width="1" height="1">\r
Co-authored-by: Bo <bo@example.org>\r
Signed-off-by: Ann <ann@example.org>\r
"""
WRITTEN = """Totals are rounded once, [not per line](https://example.org/why).

### Why

```sh
- [ ] not a check list, but output
# nor a heading
```

1. First cents
2. Then euros"""


def test_description_is_what_its_author_wrote() -> None:
    assert own_words(FILLED, Boilerplate([TEMPLATE])) == WRITTEN
    assert own_words(WRITTEN, Boilerplate([TEMPLATE])) == WRITTEN


def test_lines_that_most_descriptions_share_are_nobodys() -> None:
    old = [f"### Summary of it\nFix {number}.\n\nRelease notes: see above" for number in range(60)]
    new = [f"#### Motivation\nAdd {number}.\nCloses #{number}" for number in range(60)]
    known = Boilerplate(descriptions=[*old, *new])
    assert own_words(old[0], known) == "Fix 0."
    assert own_words(new[7], known) == "Add 7.\nCloses #7"
    assert own_words("### Summary of it\nAlone.", Boilerplate(descriptions=old[:3])) == "### Summary of it\nAlone."


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Nice.\n<!-- thread:1 -->", "Nice."),
        (
            "<!-- This is an auto-generated comment: notes -->\n## Summary\n* x\n<!-- end of auto-generated -->\nMine",
            "Mine",
        ),
        ("Looks <!-- unclosed", "Looks"),
        ("> quoted\n\nYes, in `a.ts`", "> quoted\n\nYes, in `a.ts`"),
        ("https://github.com/user-attachments/assets/6f0e-11", ""),
        ("```\n```\nEmpty above", "Empty above"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("Title\n---\ntext", "Title\n---\ntext"),
        ("None of this works", "None of this works"),
        ("# Only a heading", ""),
        ("Mine.\n\n**Check list**\n- [ ] a\n- [x] b", "Mine."),
        ("Mine.\n\nPlease tick:\n\n- [ ] a\n\n## Next\ntext", "Mine.\n\n## Next\ntext"),
        ("**Breaking!**", "**Breaking!**"),
        ("**What?**\n\n**Why:**\n\nBecause.\n\n**How**:\n", "**Why:**\n\nBecause."),
        ("Before:\n```\nx\n```\nAfter:\n\ny", "Before:\n```\nx\n```\nAfter:\n\ny"),
        ("**Both**\n- [x] one\n\nand a word", "**Both**\n\nand a word"),
        ("Fixes # (issue)\nCloses #12", "Closes #12"),
        ("Bumps a.\n\n---\nupdated-dependencies:\n- dependency-name: a\n...\n\nSigned-off-by: x <a@b.c>", "Bumps a."),
    ],
)
def test_comment_loses_what_is_not_said(said: str, left: str) -> None:
    assert own_words(said) == left


@pytest.mark.parametrize(
    "login",
    [
        "dependabot[bot]",
        "codecov-commenter",
        "k8s-ci-robot",
        "PyTorchBot",
        "snyk-bot",
        "bors",
        "Coveralls",
        "CLAassistant",
    ],
)
def test_accounts_of_programs_are_told_by_their_names(login: str) -> None:
    assert is_bot(login)


@pytest.mark.parametrize("login", ["hubot", "abbott", "robotnik", "ghost", "octocat", "botond", "lucia", None])
def test_people_are_no_bots(login: str | None) -> None:
    assert not is_bot(login)


def test_pull_without_words_is_told_by_its_commits() -> None:
    messages = ["Round totals\n\nPer line was wrong.", "Merge branch 'main'", "Add a test\n\nSigned-off-by: A <a@b.c>"]
    document = pull(
        3, "Round totals", "## Checklist\n- [x] done", commits=[{"sha": "1", "message": m} for m in messages]
    )
    assert cleaned(document, Boilerplate())[0].text == "Per line was wrong.\n\nAdd a test"


def test_filter_leaves_people_talking(store: Store, stored: Stored) -> None:
    when = "2023-12-01T10:00:00Z"
    said = [
        {"id": 1, "author": "codecov[bot]", "created_at": when, "body": "Coverage: 90%"},
        {"id": 2, "author": "mona", "created_at": when, "body": "Cents?\n<!-- x -->"},
        {"id": 3, "author": "mona", "created_at": when, "body": "![](https://a.example/b.gif)"},
    ]
    documents = [
        file(".github/PULL_REQUEST_TEMPLATE.md", TEMPLATE),
        pull(1, "Round totals", FILLED, comments=said),
        pull(
            2,
            "Bump left-pad",
            "Bumps it.\n\nMuch more.",
            author="dependabot[bot]",
            patches=[("package.json", "@@ -1 +1 @@\n-1\n+2")],
        ),
    ]
    made = filter_documents.direct(store, documents=[stored(documents)], params=FilterParams())
    _, ours, bots = read_records(store, made, Document)
    assert ours.text == WRITTEN
    assert [(item["id"], item["body"]) for item in ours.meta["comments"]] == [(2, "Cents?")]
    assert [file["path"] for file in bots.meta["files"]] == ["package.json"]
    assert render_document(bots, RenderParams()) == "PR #2: Bump left-pad (dependabot[bot], merged 2023-12-02)"
    assert [(verdict.id, verdict.reason) for verdict in read_verdicts(store, made)] == [
        ("octocat/cart/pull/0000001#comment-1", "bot-comment"),
        ("octocat/cart/pull/0000001#comment-3", "comment-empty"),
        ("octocat/cart/pull/0000002#description", "bot-pull"),
    ]
    whole = filter_documents.direct(
        store, documents=[stored(documents)], params=FilterParams(conversation="as-written")
    )
    assert [document.text for document in read_records(store, whole, Document)][1:] == [
        FILLED,
        "Bumps it.\n\nMuch more.",
    ]
