import datetime
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.errors import InputError, SourceError
from tasks.base.ledger import ledger
from tasks.base.progress import Event, listening
from tasks.base.records import Document
from tasks.base.runs import read_records
from tasks.base.store import Artifact, Store
from tasks.harvest.params import GithubParams, ResolvedSource, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.harvest.wiki import wiki
from tests.emulators.github_api import Comment, Fault, Github, Pull, Repository, Review, User, serve
from tests.emulators.github_api.rest import files as files_by_rest
from tests.harvest.conftest import Town, build_town, source_file
from tests.harvest.histories import History, moment

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
TOKEN = "ghp_town"
Made = tuple[Artifact, Artifact, Artifact]


def resolved(store: Store, github: Github, threads: str = "auto", **source: object) -> ResolvedSource:
    asked = SourceParams.model_validate({"repo": "town/hall", **source})
    reached = {"api_url": github.url, "threads": threads, "secondary_wait": 0.05, "max_wait": 30, "timeout": 1}
    return resolve_source(asked, GithubParams.model_validate(reached), NOW, store)


def harvest(store: Store, github: Github, threads: str = "auto", **source: object) -> Made:
    found = resolved(store, github, threads, **source)
    assert found.pulls is not None
    assert found.wiki is not None
    asked = SourceParams.model_validate({"repo": "town/hall", **source})
    return (
        snapshot.direct(store, source=found.snapshot, params=asked.files),
        pulls.direct(store, source=found.pulls),
        wiki.direct(store, source=found.wiki),
    )


def documents(store: Store, artifact: Artifact) -> dict[int, Document]:
    return {item.meta["number"]: item for item in read_records(store, artifact, Document)}


def hashes(made: Made) -> list[str]:
    return [artifact.sha256 for artifact in made]


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """A second store, for a cold run."""
    return Store(str(tmp_path / "other"))


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
        assert [item["message"] for item in meta["commits"]] == [f"Edit {pull.number}\n\nBecause of {pull.number}.\n"]


def test_harvest_unchanged_source_asks_thrice_at_most_and_keeps_keys(store: Store, github: Github) -> None:
    for threads in ("graphql", "rest"):
        harvest(store, github, threads)
        before = len(github.requests)
        first = resolved(store, github, threads)
        again = harvest(store, github, threads)

        asked = github.requests[before:]
        assert len(asked) == 2 * (2 if threads == "graphql" else 3), asked
        if threads == "rest":
            assert [item.status for item in asked if item.path.endswith("/pulls")] == [304, 304]
        assert pulls.key_document(source=first.pulls) == pulls.key_document(
            source=resolved(store, github, threads).pulls
        )
        assert again[1].counts == {"records": 12}


def test_harvest_hundred_pulls_stays_within_the_request_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    town = build_town(tmp_path / "hall.git", 103)
    made = {}
    with serve(town.repository, token=TOKEN) as github:
        for threads, bound in (("graphql", 10), ("rest", 110)):
            before = len(github.api_requests)
            store = Store(str(tmp_path / threads))
            made[threads] = harvest(store, github, threads)
            assert len(github.api_requests) - before <= bound
            found = documents(store, made[threads][1])
            assert sorted(found) == list(range(4, 104))
            assert len(found[50].meta["comments"]) == 130
            assert len(found[100].meta["reviews"]) == 62
            assert len(found[50].meta["review_comments"]) == 70
    assert hashes(made["graphql"]) == hashes(made["rest"])


def test_harvest_later_run_reads_only_what_changed(store: Store, other: Store, github: Github, town: Town) -> None:
    before = documents(store, harvest(store, github)[1])
    changed = town.repository.pulls[4]
    changed.comments.append(Comment(77, User("late"), moment(40), "One more thing"))
    changed.updated_at = moment(40)
    head = town.history.commit("refs/pull/13/head", {"new.py": b"x = 1\n"}, 41, [town.trunk], "New\n")
    town.history.write(town.repository.folder)
    fresh = Pull(13, "New", None, town.history.shas[head], town.history.shas[town.trunk], moment(41), moment(41))
    town.repository.pulls.append(fresh)
    seen = len(github.api_requests)

    with ledger(store, "later"):
        made = harvest(store, github)

    assert len(github.api_requests) - seen == 2  # one list, one query for two threads
    entries = [json.loads(path.read_text()) for path in sorted(Path(store.uri, "ledger", "later", "harvest").iterdir())]
    assert [item["step"] for item in entries] == ["harvest/pulls"]  # main did not move: its snapshot is there already
    assert (entries[0]["blobs_fetched"], entries[0]["compared"], entries[0]["threads_fetched"]) == (1, 1, 2)
    after = documents(store, made[1])
    assert [number for number in after if after[number] != before.get(number)] == [5, 13]
    assert after[5].meta["comments"][-1]["body"] == "One more thing"
    assert hashes(made) == hashes(harvest(other, github))


def test_harvest_force_pushed_head_gives_the_new_diff(store: Store, github: Github, town: Town) -> None:
    harvest(store, github)
    pull = town.repository.pulls[3]
    head = town.history.commit("refs/pull/4/head", {"app.py": source_file(39, edited=True)}, 20, [1], "Again\n")
    town.history.write(town.repository.folder)
    pull.head, pull.updated_at = town.history.shas[head], moment(20)

    found = documents(store, harvest(store, github)[1])[4]

    assert found.revision == pull.head
    assert [item["path"] for item in found.meta["files"]] == ["app.py"]
    assert found.meta["commits"] == [{"sha": pull.head, "message": "Again\n"}]


def test_harvest_head_that_git_lacks_is_read_by_rest(store: Store, github: Github, town: Town) -> None:
    pull = town.repository.pulls[3]
    lost = town.history.commit("refs/heads/lost", {"kept.py": b"kept = True\n"}, 30, [1], "Lost\n")
    town.history.write(town.repository.folder)
    pull.head = town.history.shas[lost]
    town.repository.folder.joinpath("refs", "heads", "lost").unlink()
    wanted = files_by_rest(town.repository, pull)

    made = harvest(store, github)[1]
    seen = len(github.requests)
    harvest(store, github)

    assert made.counts == {"records": 12, "diffs_by_rest": 1}
    files = documents(store, made)[4].meta["files"]
    assert [(item["path"], item["patch"]) for item in files] == [(item["filename"], item["patch"]) for item in wanted]
    assert len(github.requests) - seen == 2  # it is not asked for again


def rarely(kind: str, where: str = "") -> object:
    """A fault that takes long to sit out, or differs little from another."""
    return pytest.param(kind, where, marks=pytest.mark.slow)


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_harvest_pull_that_goes_away_is_left_out_by_the_next_run(
    store: Store, other: Store, github: Github, town: Town, threads: str
) -> None:
    found = resolved(store, github, threads)
    assert found.pulls is not None
    del town.repository.pulls[4]
    with pytest.raises(SourceError, match="pull request #5 has gone from GitHub since it was listed; run again"):
        pulls.direct(store, source=found.pulls)

    again = harvest(store, github, threads)
    assert sorted(documents(store, again[1])) == [1, 2, 3, 4, *range(6, 13)]
    assert hashes(again) == hashes(harvest(other, github, threads))


FAULTS = [
    ("primary", ""),
    ("secondary", ""),
    rarely("secondary-retry-after"),
    ("429", ""),
    rarely("429-retry-after"),
    ("502", ""),
    rarely("503"),
    ("truncated", ""),
    ("reset", ""),
    ("graphql-rate-limited", ""),
    ("graphql-partial", ""),
    ("graphql-timeout", ""),
    rarely("502", ".git/"),
    rarely("reset", ".git/"),
]


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Github, dict[str, list[str]]]]:
    """A town that nobody changes, and what is harvested from it without faults."""
    folder = tmp_path_factory.mktemp("steady")
    town = build_town(folder / "hall.git", 6)
    with pytest.MonkeyPatch.context() as environment, serve(town.repository, token=TOKEN) as running:
        environment.setenv("GITHUB_TOKEN", TOKEN)
        yield (
            running,
            {
                threads: hashes(harvest(Store(str(folder / threads)), running, threads))
                for threads in ("graphql", "rest")
            },
        )


@pytest.mark.parametrize(("kind", "where"), FAULTS)
def test_harvest_with_a_fault_gives_the_same_bytes(
    store: Store, steady: tuple[Github, dict[str, list[str]]], kind: str, where: str
) -> None:
    github, whole = steady
    threads = "graphql" if kind.startswith("graphql") else "rest"
    # One strikes in the list, one among the threads.
    places = [where] if where else ["/graphql", "/graphql"] if threads == "graphql" else ["/pulls", "/reviews"]
    if kind in ("primary", "graphql-rate-limited"):  # a reset is given in whole seconds: once is long enough
        places = places[:1]
    github.faults += [Fault(kind, place, wait=0.1) for place in places]  # type: ignore[arg-type]

    assert hashes(harvest(store, github, threads)) == whole[threads]
    assert github.faults == []
    assert whole["rest"] == whole["graphql"]


def test_harvest_slow_answer_is_asked_for_again(store: Store, github: Github) -> None:
    github.faults.append(Fault("timeout", "/graphql", wait=1.5))
    assert harvest(store, github)[1].counts == {"records": 12}


def test_harvest_graphql_too_slow_for_a_batch_asks_for_less(store: Store, github: Github) -> None:
    resolved(store, github)
    github.faults.append(Fault("graphql-timeout", times=4))
    before = len(github.api_requests)

    assert harvest(store, github)[1].counts == {"records": 12}
    assert {asked.path for asked in github.api_requests[before:]} == {"/graphql"}


def test_harvest_patches_that_github_leaves_out_come_from_git(store: Store, github: Github, town: Town) -> None:
    for pull in town.repository.pulls:
        pull.hidden_patches = True
    found = documents(store, harvest(store, github, "rest")[1])
    assert all(item["patch"] for item in found[4].meta["files"])


@pytest.mark.slow
def test_harvest_spent_hourly_limit_is_waited_out(store: Store, github: Github) -> None:
    github.hub.hourly_limit, github.hub.resets_at = 5, time.time() + 4
    assert harvest(store, github, "rest")[1].counts == {"records": 12}
    assert [item.status for item in github.api_requests].count(403) >= 1
    assert time.time() >= github.hub.resets_at


def test_harvest_without_graphql_falls_back_to_rest(store: Store, other: Store, github: Github) -> None:
    whole = harvest(other, github)
    github.hub.graphql = False
    assert hashes(harvest(store, github)) == hashes(whole)


def test_harvest_without_token_reads_public_repository(
    store: Store, github: Github, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert harvest(store, github)[1].counts == {"records": 12}
    assert not [asked for asked in github.requests if asked.path == "/graphql"]


def test_harvest_primary_limit_beyond_the_bound_stops_and_keeps_progress(store: Store, github: Github) -> None:
    found = resolved(store, github, "rest")
    assert found.pulls is not None
    github.faults.append(Fault("primary", "/pulls/6/reviews", wait=500))
    with pytest.raises(SourceError, match=r"hourly limit lasts \d+ seconds more, longer than github.max_wait"):
        pulls.direct(store, source=found.pulls)
    before = len(github.api_requests)

    assert pulls.direct(store, source=found.pulls).counts == {"records": 12}
    asked = [item.path for item in github.api_requests[before:] if "/reviews" in item.path]
    assert asked == [f"/repos/town/hall/pulls/{number}/reviews" for number in (6, 5, 4, 3, 2, 1)]


def test_harvest_waiting_for_a_limit_is_shown(store: Store, github: Github) -> None:
    found = resolved(store, github)
    assert found.pulls is not None
    github.faults.append(Fault("primary", "/graphql", wait=1))
    seen: list[Event] = []
    with listening(seen.append):
        pulls.direct(store, source=found.pulls)
    assert any(event.facts.get("why") == "hourly limit" for event in seen)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("401", r"^GITHUB_TOKEN is not accepted by http.*create a new token$"),
        ("403", r"^GitHub forbids reading .*the token needs the permissions pull_requests=read$"),
        ("sso", r"^GitHub forbids reading .*single sign-on$"),
        ("404", r"^sources.repo: GitHub has no repository town/hall, the token may not see it"),
    ],
)
def test_harvest_refused_says_what_is_wrong(store: Store, github: Github, kind: str, words: str) -> None:
    github.faults.append(Fault(kind, times=2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words) as raised:
        resolved(store, github)
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_harvest_unknown_repository_says_so(store: Store, github: Github) -> None:
    with pytest.raises(InputError, match="GitHub has no repository town/nowhere"):
        resolved(store, github, repo="town/nowhere")


def test_harvest_private_repository_with_token_leaves_no_trace_of_it(
    store: Store, github: Github, town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.repository.private = True
    with caplog.at_level(logging.DEBUG):
        assert harvest(store, github)[1].counts == {"records": 12}
    assert TOKEN not in caplog.text
    for folder, _, names in os.walk(store.uri):
        for name in names:
            assert TOKEN.encode() not in (Path(folder) / name).read_bytes(), name


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


def test_harvest_wider_limit_after_a_narrow_one_reads_further_back(store: Store, github: Github) -> None:
    assert harvest(store, github, pulls={"limit": 2})[1].counts == {"records": 2}
    assert harvest(store, github, pulls={"limit": None})[1].counts == {"records": 12}


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


def test_harvest_without_access_to_git_is_bad_input(store: Store, github: Github) -> None:
    github.hub.git = False
    for threads in ("graphql", "rest"):
        with pytest.raises(InputError, match=r"^sources.repo: town/hall cannot be cloned from .*contents=read$"):
            resolved(store, github, threads)


@pytest.mark.parametrize(("threads", "path"), [("graphql", "/api/graphql"), ("rest", "/api/v3/repos/town/hall/pulls")])
def test_harvest_enterprise_address_has_its_paths(store: Store, github: Github, threads: str, path: str) -> None:
    reached = GithubParams.model_validate({"api_url": f"{github.url}/api/v3", "threads": threads})
    found = resolve_source(SourceParams(repo="town/hall", wiki=None), reached, NOW, store)
    assert found.pulls is not None
    assert pulls.direct(store, source=found.pulls).counts == {"records": 12}
    assert path in {item.path for item in github.requests}


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
