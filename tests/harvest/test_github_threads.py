from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.records import Document
from tasks.base.runs import read_records
from tasks.base.store import Store
from tests.emulators.github_api import Comment, Event, Github, Pull, Repository, Review, User, serve
from tests.emulators.github_api.rest import files as files_by_rest
from tests.harvest.histories import History, moment
from tests.harvest.town import TOKEN, Town, documents, harvest, resolved


def login(user: User | None) -> str:
    return user.login if user else "ghost"


def expected_remarks(reviews: list[Review]) -> list[dict[str, object]]:
    found = [
        {
            "id": item.id,
            "author": login(item.user),
            "created_at": item.created_at,
            "body": item.body,
            "path": item.path,
            "line": item.line or item.original_line,
            "hunk": item.hunk,
            "in_reply_to": item.in_reply_to,
        }
        for review in reviews
        for item in review.comments
    ]
    return sorted(found, key=lambda item: (item["created_at"], item["id"]))  # type: ignore[return-value]


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_harvest_pull_with_everything_is_complete(store: Store, github: Github, town: Town, threads: str) -> None:
    _, made, _ = harvest(store, github, threads)

    assert made.counts == {"records": 12}
    found = documents(store, made)
    for pull in town.repository.pulls:
        document = found[pull.number]
        sent = [review for review in pull.reviews if review.submitted_at]
        assert document.id == f"town/hall/pull/{pull.number:07d}"
        assert (document.title, document.text) == (pull.title, pull.body or "")
        assert (document.created_at, document.updated_at) == (pull.created_at, pull.updated_at)
        assert document.url == f"{github.url}/town/hall/pull/{pull.number}"
        assert document.revision == pull.head
        meta = document.meta
        assert (meta["state"], meta["merged_at"]) == (pull.state, pull.merged_at)
        assert (meta["author"], meta["labels"]) == (login(pull.user), sorted(pull.labels))
        assert [(item["author"], item["created_at"], item["body"]) for item in meta["comments"]] == [
            (login(item.user), item.created_at, item.body) for item in pull.comments
        ]
        assert [(item["author"], item["created_at"], item["body"], item["state"]) for item in meta["reviews"]] == [
            (login(item.user), item.submitted_at, item.body, item.state) for item in sent
        ]
        assert meta["review_comments"] == expected_remarks(sent)
        assert meta["files"] == [
            {
                "path": item["filename"],
                "status": item["status"],
                "previous_path": item.get("previous_filename"),
                "patch": item.get("patch"),
            }
            for item in files_by_rest(town.repository, pull)
        ]
        assert [item["message"] for item in meta["commits"]] == [f"Edit {pull.number}\n\nBecause of {pull.number}."]


def test_harvest_patches_that_github_leaves_out_come_from_git(store: Store, github: Github, town: Town) -> None:
    for pull in town.repository.pulls:
        pull.hidden_patches = True
    found = documents(store, harvest(store, github, "rest")[1])
    assert all(item["patch"] for item in found[4].meta["files"])


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Github]:
    """Pull request 2989 of octocat/Hello-World, as the article has it."""
    history = History()
    base = history.commit("refs/heads/master", {"README": b"Hello World!\n"}, 0)
    content = b'{\n  "image": "mcr.microsoft.com/devcontainers/universal:2",\n  "features": {\n  }\n}\n'
    head = history.commit("refs/pull/2989/head", {".devcontainer/devcontainer.json": content}, 1, [base])
    folder = history.write(tmp_path / "Hello-World.git")
    (folder / "HEAD").write_text("ref: refs/heads/master\n")
    created = "2024-02-26T11:39:03Z"
    pull = Pull(
        2989,
        "Create devcontainer.json",
        None,
        history.shas[head],
        history.shas[base],
        created,
        created,
        base_ref="master",
    )
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    with serve(Repository("octocat/Hello-World", folder, [pull])) as running:
        yield running


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_harvest_article_pull_has_all_that_its_text_needs(store: Store, hello: Github, threads: str) -> None:
    _, made, _ = harvest(store, hello, threads, repo="octocat/Hello-World")
    document = documents(store, made)[2989]
    url = (document.url or "").replace(hello.url, "https://github.com")
    text = (
        f"PR #{document.meta['number']}: {document.title}\nURL: {url}\nDescription: {document.text or None}\n"
        f"Created at: {document.created_at}\nMerged at: {document.meta['merged_at']}\n"
    )
    for file in document.meta["files"]:
        text += f"File: {file['path']}, Status: {file['status']}\nChanges: {file['patch']}\n"
    assert text == (Path(__file__).parent / "golden" / "pull-2989.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("wish", "numbers"),
    [
        ({"limit": 3}, [10, 11, 12]),
        ({"state": "merged", "limit": 4}, [6, 7, 10, 11, 12][1:]),
        ({"state": "open"}, [4, 9]),
        ({"state": "closed", "limit": 2}, [11, 12]),
        ({"bots": "drop", "limit": 5}, [7, 9, 10, 11, 12]),
        ({"since": "2023-01-11", "limit": None}, [9, 10, 11, 12]),
    ],
)
def test_harvest_selection_follows_the_parameters(
    store: Store, github: Github, wish: dict[str, object], numbers: list[int]
) -> None:
    assert sorted(documents(store, harvest(store, github, pulls=wish)[1])) == numbers


def test_harvest_as_of_bounds_creation_and_takes_the_first_parent(store: Store, github: Github, town: Town) -> None:
    found = resolved(store, github, as_of="2023-01-08", pulls={"limit": 2})
    assert found.pulls is not None
    assert [item.number for item in found.pulls.selection] == [6, 5]
    assert found.snapshot.committed_at == moment(6.5)


def test_harvest_wiki_on_github_has_its_addresses(store: Store, github: Github, town: Town, tmp_path: Path) -> None:
    history = History()
    first = history.commit("refs/heads/master", {"Home.md": b"# Home\n"}, 1)
    history.commit("refs/heads/master", {"Who we are.md": b"# We\n", "Home.md": b"# Home\n\nMore.\n"}, 2, [first])
    town.repository.wiki = history.write(tmp_path / "hall.wiki.git")
    (town.repository.wiki / "HEAD").write_text("ref: refs/heads/master\n")
    made = harvest(store, github)[2]
    before = len(github.requests)

    pages = list(read_records(store, made, Document))
    assert [(item.id, item.url) for item in pages] == [
        ("town/hall/wiki/Home.md", f"{github.url}/town/hall/wiki/Home"),
        ("town/hall/wiki/Who we are.md", f"{github.url}/town/hall/wiki/Who%20we%20are"),
    ]
    assert [(item.created_at, item.updated_at) for item in pages] == [(moment(1), moment(2)), (moment(2), moment(2))]
    assert harvest(store, github)[2] == made
    assert len(github.requests) - before == 2


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_harvest_shows_pulls_as_they_stood_at_the_date(
    store: Store, other: Store, github: Github, town: Town, threads: str
) -> None:
    """Pull request 6 is merged on the evening of the 8th, and much is said and done to it afterwards."""
    pull = town.repository.pulls[5]
    pull.title, pull.labels, pull.draft = "Renamed", ["late"], False
    pull.updated_at = moment(40)
    pull.comments.append(Comment(1, User("late"), moment(40), "Broke production."))
    late = Review(2, User("late"), moment(30), "Too late.", "CHANGES_REQUESTED")
    late.comments.append(Comment(3, User("late"), moment(30), "Why?", "app.py", 1, 1))
    pull.reviews.append(late)
    early, after = moment(6.1), moment(9)
    pull.events = [
        Event("labeled", early, "early"),
        *(Event("assigned", early) for _ in range(120)),
        *(event for _ in range(60) for event in (Event("labeled", early, "x"), Event("unlabeled", early, "x"))),
        Event("ready_for_review", after),
        Event("closed", after),
        Event("unlabeled", after, "early"),
        Event("labeled", after, "late"),
        Event("renamed", after, "As it was"),
    ]
    pull.merged_at = pull.closed_at = after
    lately = town.history.commit("refs/pull/6/head", {"later.py": b"x = 1\n"}, 20, [_mark(town, pull.head)], "Later\n")
    town.history.write(town.repository.folder)
    before, pull.head = pull.head, town.history.shas[lately]

    made = harvest(store, github, threads, as_of="2023-01-09")[1]
    found = documents(store, made)[6]

    meta = found.meta
    assert (found.title, meta["state"], meta["merged_at"], meta["labels"]) == ("As it was", "open", None, ["early"])
    assert meta["draft"] is True
    assert found.updated_at == moment(6.3)
    assert [item["author"] for item in (*meta["comments"], *meta["reviews"])] == [
        "reader0",
        "reader1",
        "critic",
        "ghost",
    ]
    assert meta["review_comments"] == []
    assert found.revision == before
    assert "later.py" not in [item["path"] for item in meta["files"]]
    assert [item["message"] for item in meta["commits"]] == ["Edit 6\n\nBecause of 6."]
    # Whatever happens still later makes the same bytes.
    pull.comments.append(Comment(4, User("later"), moment(50), "Still broken."))
    pull.updated_at = moment(50)
    assert harvest(other, github, threads, as_of="2023-01-09")[1].sha256 == made.sha256

    today = documents(store, harvest(store, github, threads)[1])[6]
    assert (today.title, today.meta["state"], today.meta["labels"]) == ("Renamed", "closed", ["late"])
    assert (today.meta["merged_at"], len(today.meta["comments"])) == (after, 4)


def _mark(town: Town, sha: str) -> int:
    return next(mark for mark, known in town.history.shas.items() if known == sha)


def test_harvest_state_is_asked_of_the_date(store: Store, github: Github, town: Town) -> None:
    pull = town.repository.pulls[5]
    pull.merged_at = pull.closed_at = pull.updated_at = moment(20)
    at = {
        state: documents(store, harvest(store, github, as_of="2023-01-09", pulls={"state": state})[1])
        for state in ("open", "closed", "merged")
    }
    assert {state: sorted(found) for state, found in at.items()} == {
        "open": [4, 6],
        "closed": [1, 2, 3, 5, 7],
        "merged": [1, 2, 5, 7],
    }
