"""Issues and discussions of the emulated GitHub: complete, at a date, few requests, the same bytes by every way."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.issues import issues
from tasks.harvest.params import ResolvedSource
from tasks.harvest.releases import releases
from tests.emulators.github_api import (
    Comment,
    Discussion,
    Event,
    Fault,
    Github,
    Issue,
    Pull,
    Release,
    Repository,
    User,
    serve,
)
from tests.harvest.histories import History, moment
from tests.harvest.town import BOT, TOKEN, resolved

ASKED = {"pulls": {"limit": 400}, "issues": {"limit": None}, "wiki": None}


@dataclass
class Tracker:
    """A repository of which only the tracker matters."""

    repository: Repository
    github: Github


def build_tracker(folder: Path, count: int, closing: int, talks: int = 0, crowd: int = 60) -> Repository:
    """Issues 1 to `count`, `closing` pull requests after them that close the first ones, and discussions."""
    history = History()
    trunk = history.commit("refs/heads/main", {"README.md": b"# Town\n"}, 0)
    heads = [
        history.commit(f"refs/pull/{count + number}/head", {f"f{number}.py": b"x = 1\n"}, number, [trunk])
        for number in range(1, closing + 1)
    ]
    history.write(folder)
    pulls = [
        Pull(
            number=count + number,
            title=f"Repair {number}",
            body=f"It was broken in a way of its own.\n\nFixes #{number}",
            head=history.shas[head],
            base=history.shas[trunk],
            created_at=moment(number / 10),
            updated_at=moment(number / 10),
        )
        for number, head in enumerate(heads, 1)
    ]
    found = [_issue(number, number <= closing) for number in range(1, count + 1)]
    spoken = [_discussion(9_000 + number, crowd) for number in range(1, talks + 1)]
    return Repository("town/hall", folder, pulls, found, spoken, id=78)


def _issue(number: int, closed: bool) -> Issue:
    comments = [
        Comment(
            number * 1000 + place, User(f"reader{place % 2}"), moment(number / 10 + 0.01 + place / 1000), "Same here."
        )
        for place in range(number % 3 if number % 50 else 130)
    ]
    return Issue(
        number=number,
        title=f"Broken in way {number}",
        body=None if number % 6 == 0 else f"It breaks in way {number}, says @reader0.\r\n",
        created_at=moment(number / 10),
        updated_at=moment(number / 10 + 0.3),
        user=None if number % 9 == 0 else BOT if number % 17 == 0 else User("asker"),
        state="closed" if closed else "open",
        state_reason=("not_planned" if number % 4 == 0 else "completed") if closed else None,
        closed_at=moment(number / 10 + 0.2) if closed else None,
        labels=["bug", "area: http"] if number % 2 else [],
        comments=comments,
        events=[Event("closed", moment(number / 10 + 0.2))] if closed else [],
    )


def _discussion(number: int, crowd: int) -> Discussion:
    first = number * 1000
    return Discussion(
        number=number,
        title=f"How does {number} work?",
        body="I tried everything.",
        created_at=moment(number - 9_000),
        updated_at=moment(number - 8_998),
        user=User("asker"),
        comments=[
            Comment(first, User("knows"), moment(number - 8_999.5), "Turn it on."),
            Comment(first + 1, User("asker"), moment(number - 8_999), "Thanks!", in_reply_to=first),
            *(Comment(first + 2 + place, User("crowd"), moment(number - 8_998.5), "+1") for place in range(crowd)),
        ],
        answer=first,
        answered_at=moment(number - 8_998.9),
    )


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracker]:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    repository = build_tracker(tmp_path / "hall.git", 20, 5, talks=3)
    with serve(repository, token=TOKEN) as running:
        yield Tracker(repository, running)


def harvested(store: Store, github: Github, threads: str = "auto", **source: object) -> dict[str, Artifact]:
    found = resolved(store, github, threads, **(ASKED | source))
    made = {}
    if found.issues is not None:
        made["issue"] = issues.direct(store, source=found.issues)
    if found.discussions is not None:
        made["discussion"] = issues.named("discussions").direct(store, source=found.discussions)
    return made


def documents(store: Store, artifact: Artifact) -> dict[int, Document]:
    return {item.meta["number"]: item for item in read_records(store, artifact, Document)}


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_issue_is_complete_and_names_nobody(store: Store, tracker: Tracker, threads: str) -> None:
    made = harvested(store, tracker.github, threads, issues={"limit": None, "bots": "keep"})["issue"]

    found = documents(store, made)
    assert sorted(found) == list(range(1, 21))  # the pull requests in GitHub's list of issues are none
    two = found[2]
    assert (two.id, two.kind, two.path) == ("town/hall/issue/0000002", "issue", "2")
    assert (two.title, two.text) == ("Broken in way 2", "It breaks in way 2, says Person 2.\r\n")
    assert two.url == f"{tracker.github.url}/town/hall/issues/2"
    assert (two.meta["state"], two.meta["closed_at"], two.meta["not_planned"]) == ("closed", moment(0.4), False)
    assert [(item["author"], item["body"]) for item in two.meta["comments"]] == [
        ("Person 2", "Same here."),
        ("Person 3", "Same here."),
    ]
    assert found[1].meta["labels"] == ["area: http", "bug"]
    assert found[4].meta["not_planned"] is True
    assert found[17].meta["author"] == "dependabot[bot]"  # by which corpus/filter leaves it out
    named = documents(store, harvested(store, tracker.github, threads, issues={"people": "keep"})["issue"])
    assert named[2].text == "It breaks in way 2, says @reader0.\r\n"
    assert 17 not in named


def test_discussion_has_replies_and_its_answer(store: Store, tracker: Tracker) -> None:
    made = harvested(store, tracker.github, discussions={})["discussion"]

    one = documents(store, made)[9_001]
    assert (one.id, one.meta["category"]) == ("town/hall/discussion/0009001", "Q&A")
    assert one.meta["answer"] == 9_001_000
    assert len(one.meta["comments"]) == 62
    assert [(item["author"], item["in_reply_to"]) for item in one.meta["comments"][:2]] == [
        ("Person 2", None),
        ("Person 1", 9_001_000),
    ]


def test_wider_limit_reads_further_back(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    with serve(build_tracker(tmp_path / "hall.git", 106, 0, talks=106, crowd=0), token=TOKEN) as github:
        for limit in (100, 105):
            wanted = {"limit": limit, "bots": "keep"}
            made = harvested(store, github, pulls=None, issues=wanted, discussions=wanted)
            assert {kind: artifact.counts["records"] for kind, artifact in made.items()} == {
                "issue": limit,
                "discussion": limit,
            }


def test_discussions_need_graphql(store: Store, tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    tracker.github.hub.token = None
    with pytest.raises(InputError, match=r"sources\.discussions: GitHub gives discussions by GraphQL only; set"):
        harvested(store, tracker.github, discussions={})


def test_releases_are_pages_up_to_the_date(store: Store, tracker: Tracker) -> None:
    tracker.repository.releases = [
        Release("2.0", moment(60), "Later."),
        Release("1.1", moment(2), "Fixes #3 by @somebody\r\n", name="Version 1.1"),
        Release("1.1rc1", moment(1.5), "Try it.", prerelease=True),
        Release("1.0", moment(1), None),
        Release("0.9", None, "Not yet.", draft=True),
    ]
    found = resolved(store, tracker.github, as_of="2023-01-10", releases={"prereleases": "drop"})
    assert found.releases is not None
    made = releases.direct(store, source=found.releases)

    (one,) = read_records(store, made, Document)
    assert (one.id, one.kind, one.title, one.created_at) == (
        "town/hall/release/1.1",
        "release",
        "Version 1.1",
        moment(2),
    )
    assert one.text == "# Version 1.1\n\nFixes #3 by [person]\n"
    assert [(item.id, item.reason) for item in read_verdicts(store, made)] == [("town/hall/release/1.0", "empty")]
    tracker.repository.releases[0].body = "Much later."
    again = resolved(store, tracker.github, as_of="2023-01-10", releases={"prereleases": "drop"}).releases
    assert releases.key(source=again) == releases.key(source=found.releases)


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_repository_without_tracker_has_no_issues(store: Store, tracker: Tracker, threads: str) -> None:
    tracker.repository.issues, tracker.repository.has_issues = [], False
    assert harvested(store, tracker.github, threads)["issue"].counts["records"] == 0


def test_plain_git_has_no_issues(store: Store, tracker: Tracker) -> None:
    with pytest.raises(InputError, match=r"sources\.issues: needs a forge's API, and .* is a plain git repository"):
        resolved(store, tracker.github, repo=str(tracker.repository.folder), issues={})


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_threads_are_shown_as_they_stood_at_the_date(
    store: Store, other: Store, tracker: Tracker, threads: str
) -> None:
    issue = tracker.repository.issues[1]
    issue.title, issue.labels, issue.state, issue.state_reason = "Renamed", ["late"], "closed", "not_planned"
    issue.closed_at = issue.updated_at = moment(30)
    issue.comments.append(Comment(1, User("late"), moment(30), "Closed as stale."))
    issue.events += [
        Event("reopened", moment(1)),
        Event("labeled", moment(30), "late"),
        Event("renamed", moment(30), "As it was"),
        Event("closed", moment(30)),
    ]

    made = harvested(store, tracker.github, threads, as_of="2023-01-03")["issue"]

    two = documents(store, made)[2]
    assert (two.title, two.meta["state"], two.meta["closed_at"], two.meta["labels"]) == ("As it was", "open", None, [])
    assert two.meta["not_planned"] is False
    assert len(two.meta["comments"]) == 2
    issue.comments.append(Comment(2, User("later"), moment(40), "Still broken."))
    issue.updated_at = moment(40)
    assert harvested(other, tracker.github, threads, as_of="2023-01-03")["issue"].sha256 == made.sha256
    if threads == "graphql":
        talk = documents(store, harvested(store, tracker.github, as_of="2023-01-03", discussions={})["discussion"])
        assert (talk[9_001].meta["answer"], len(talk[9_001].meta["comments"])) == (None, 1)


def test_both_interfaces_give_the_same_bytes(store: Store, other: Store, tracker: Tracker) -> None:
    first = harvested(store, tracker.github, "graphql")["issue"]
    assert first.counts["records"] == 19  # one of the 20 is a bot's
    assert harvested(other, tracker.github, "rest")["issue"].sha256 == first.sha256


@pytest.mark.slow
def test_five_hundred_issues_take_few_requests_and_a_month_reads_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    repository = build_tracker(tmp_path / "hall.git", 500, 300)
    warm, cold = Store(str(tmp_path / "warm")), Store(str(tmp_path / "cold"))
    with serve(repository, token=TOKEN) as github:

        def asked(store: Store, threads: str = "graphql") -> tuple[int, str]:
            before = len(github.api_requests)
            made = harvested(store, github, threads, pulls=None)["issue"]
            return len(github.api_requests) - before, made.sha256

        first, _ = asked(warm)
        again, _ = asked(warm)
        for number in range(100, 112):
            repository.issues[number].comments.append(Comment(number, User("late"), moment(70), "Seen again."))
            repository.issues[number].updated_at = moment(70)
        month, sha256 = asked(warm)
        assert (first, again, month) == (17, 1, 2)  # 5 lists, 10 of threads, 1 of their rests, 1 of the repository
        assert asked(cold) == (17, sha256)
        by_rest, same = asked(Store(str(tmp_path / "rest")), "rest")
        assert same == sha256
        assert by_rest <= 40


@pytest.mark.parametrize("kind", ["graphql-partial", "502", "truncated"])
def test_fault_among_threads_gives_the_same_bytes(store: Store, other: Store, tracker: Tracker, kind: str) -> None:
    whole = [made.sha256 for made in harvested(store, tracker.github, discussions={}).values()]
    tracker.github.faults.append(Fault(kind, "/graphql", skip=3, times=2))  # type: ignore[arg-type]
    assert [made.sha256 for made in harvested(other, tracker.github, discussions={}).values()] == whole
    assert tracker.github.faults == []


def test_issue_that_goes_away_is_left_out_by_the_next_run(store: Store, tracker: Tracker) -> None:
    found: ResolvedSource = resolved(store, tracker.github, **ASKED)
    assert found.issues is not None
    del tracker.repository.issues[4]
    with pytest.raises(Exception, match="issue #5 has gone from GitHub since it was listed; run again"):
        issues.direct(store, source=found.issues)
    assert 5 not in documents(store, harvested(store, tracker.github)["issue"])
