"""GitLab and Gitea, emulated over the same town as GitHub: the same records, at a date, incremental, one host."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, SourceError
from tasks.base.records import Document
from tasks.base.runs import read_records
from tasks.base.store import Store
from tasks.harvest.issues import issues
from tasks.harvest.params import GiteaParams, GithubParams, GitlabParams, ResolvedSource, Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.releases import releases
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.harvest.wiki.pages import wiki
from tests.emulators.gitea_api import GiteaHandler
from tests.emulators.github_api import Comment, Event, Fault, Github, Issue, Release, Repository, User, serve
from tests.emulators.gitlab_api import CONFIDENTIAL, FORWARD, GitlabHandler
from tests.harvest.histories import History, commit, moment, run
from tests.harvest.test_issues import build_tracker
from tests.harvest.town import NOW, TOKEN, Town, build_town, documents

HANDLERS = {"gitlab": GitlabHandler, "gitea": GiteaHandler}
WANTED: dict[str, Any] = {"pulls": {"limit": None}, "issues": {"limit": None}, "releases": {}}
SAME = ("title", "text", "revision", "created_at", "updated_at")
"""Fields of a pull request's document that every forge tells alike."""
SAME_META = ("number", "state", "merged_at", "author", "draft", "labels", "comments", "files", "commits")


@dataclass
class Place:
    """A running forge with the town on it."""

    forge: str
    town: Town
    server: Github

    def resolved(self, store: Store, **source: object) -> ResolvedSource:
        wish = {"repo": "town/hall", "forge": self.forge, "wiki": None, **WANTED, **source}
        return resolve_source(SourceParams.model_validate(wish), self.servers(), NOW, store)

    def servers(self, url: str = "") -> Servers:
        quick = {"url": url or self.server.url, "secondary_wait": 0.05, "max_wait": 5, "timeout": 20}
        return Servers(gitlab=GitlabParams.model_validate(quick), gitea=GiteaParams.model_validate(quick))

    def harvested(self, store: Store, **source: object) -> dict[str, Artifact]:
        found = self.resolved(store, **source)
        made = {}
        if found.pulls:
            made["pull"] = pulls.direct(store, source=found.pulls)
        if found.issues:
            made["issue"] = issues.direct(store, source=found.issues)
        if found.releases:
            made["release"] = releases.direct(store, source=found.releases)
        return made


def with_tracker(folder: Path, count: int) -> Town:
    """The town with as many pull requests, whose heads lie where GitLab keeps them too, issues, and two releases."""
    town = build_town(folder, count)
    heads = run("git", "--git-dir", str(folder), "for-each-ref", "--format=%(refname) %(objectname)", "refs/pull")
    for line in heads.splitlines():
        name, sha = line.split()
        head = folder / name.replace("pull", "merge-requests")
        head.parent.mkdir(parents=True)
        head.write_text(f"{sha}\n")
    town.repository.issues = [
        Issue(
            number=100 + number,
            title=f"Broken in way {number}",
            body=f"It breaks in way {number}, says @j_doe and @ann.lee; `@app.route` does not.",
            created_at=moment(number),
            updated_at=moment(number + 0.3),
            user=User("asker"),
            state="closed" if number % 2 else "open",
            closed_at=moment(number + 0.2) if number % 2 else None,
            labels=["bug"],
            comments=[
                Comment(number * 100, User("knows"), moment(number + 0.1), "Turn it on, @asker."),
                Comment(number * 100 + 1, User("asker"), moment(number + 0.15), "Thanks!"),
            ],
            events=[Event("closed", moment(number + 0.2))] if number % 2 else [],
        )
        for number in range(1, 7)
    ]
    town.repository.releases = [Release("1.0", moment(1), "First.", name="One"), Release("2.0", moment(900), "Later.")]
    return town


@pytest.fixture(params=list(HANDLERS))
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv(f"{request.param.upper()}_TOKEN", TOKEN)
    town = with_tracker(tmp_path / "hall.git", 12)
    with serve(town.repository, token=TOKEN, speaks=HANDLERS[request.param]) as running:
        yield Place(request.param, town, running)


@pytest.fixture
def gitlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    town = with_tracker(tmp_path / "hall.git", 6)
    with serve(town.repository, token=TOKEN, speaks=GitlabHandler) as running:
        yield Place("gitlab", town, running)


def test_forge_gives_the_records_of_github(
    store: Store, other: Store, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = documents(store, place.harvested(store)["pull"])
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    with serve(place.town.repository, token=TOKEN) as github:
        reached = Servers(github=GithubParams.model_validate({"api_url": github.url, "threads": "rest"}))
        wish = SourceParams(repo="town/hall", wiki=None, pulls=SourceParams(repo="x").pulls)
        selected = resolve_source(wish, reached, NOW, other).pulls
        assert selected is not None
        wanted = documents(other, pulls.direct(other, source=selected))

    assert sorted(found) == sorted(wanted) == list(range(1, 13))
    for number, document in found.items():
        for name in SAME:
            assert getattr(document, name) == getattr(wanted[number], name), (number, name)
        for name in SAME_META:
            assert document.meta[name] == wanted[number].meta[name], (number, name)
        said = [(item["id"], item["author"], item["body"]) for item in document.meta["review_comments"]]
        assert said == [(item["id"], item["author"], item["body"]) for item in wanted[number].meta["review_comments"]]
    approved = [(item["id"], item["state"]) for item in found[2].meta["reviews"] if item["state"] == "APPROVED"]
    assert approved == [(2_700, "APPROVED")]
    assert found[2].meta["review_comments"][0]["path"] == "app.py"
    sort = "-/merge_requests" if place.forge == "gitlab" else "pulls"
    assert found[2].url == f"{place.server.url}/town/hall/{sort}/2"


def test_forge_issues_are_conversations_that_name_nobody(store: Store, place: Place) -> None:
    one = documents(store, place.harvested(store)["issue"])[101]
    assert (one.id, one.kind, one.path) == ("town/hall/issue/0000101", "issue", "101")
    assert one.text == "It breaks in way 1, says [person] and [person]; `@app.route` does not."
    assert (one.meta["state"], one.meta["closed_at"], one.meta["labels"]) == ("closed", moment(1.2), ["bug"])
    assert [(item["author"], item["body"]) for item in one.meta["comments"]] == [
        ("Person 2", "Turn it on, Person 1."),
        ("Person 1", "Thanks!"),
    ]


def test_forge_releases_end_at_the_date(store: Store, place: Place) -> None:
    (one,) = read_records(store, place.harvested(store)["release"], Document)
    assert (one.id, one.text, one.created_at) == ("town/hall/release/1.0", "# One\n\nFirst.\n", moment(1))


def test_forge_shows_threads_as_they_stood_at_the_date(store: Store, other: Store, place: Place) -> None:
    pull, issue = place.town.repository.pulls[3], place.town.repository.issues[1]
    before = documents(store, place.harvested(store, as_of="2023-01-09")["pull"])[4]
    pull.comments.append(Comment(1, User("late"), moment(30), "Why?"))
    pull.labels, pull.title, pull.state, pull.closed_at = ["late"], "Renamed", "closed", moment(30)
    pull.events = [
        Event("labeled", moment(30), "late"),
        Event("renamed", moment(30), f"Draft: {before.title}"),
        Event("closed", moment(30)),
    ]
    issue.state, issue.closed_at, issue.title = "closed", moment(30), "Renamed"
    issue.events = [Event("renamed", moment(30), "As it was"), Event("closed", moment(30))]
    pull.updated_at = issue.updated_at = moment(30)

    made = place.harvested(store, as_of="2023-01-09")
    after = documents(store, made["pull"])[4]
    assert (after.title, after.meta["state"], after.meta["labels"]) == (f"Draft: {before.title}", "open", [])
    assert after.meta["draft"] is True
    assert after.meta["comments"] == before.meta["comments"]
    two = documents(store, made["issue"])[102]
    assert (two.title, two.meta["state"], two.meta["closed_at"]) == ("As it was", "open", None)
    pull.comments.append(Comment(2, User("later"), moment(40), "Still?"))
    pull.updated_at = moment(40)
    cold = place.harvested(other, as_of="2023-01-09")
    assert {kind: one.sha256 for kind, one in cold.items()} == {kind: one.sha256 for kind, one in made.items()}


def test_forge_later_run_reads_only_what_changed(store: Store, other: Store, place: Place) -> None:
    wish = {"releases": None}
    place.harvested(store, **wish)
    first = len(place.server.api_requests)
    place.harvested(store, **wish)
    nothing = len(place.server.api_requests) - first
    place.town.repository.issues[2].comments.append(Comment(77, User("late"), moment(40), "One more thing"))
    place.town.repository.issues[2].updated_at = moment(40)
    made = place.harvested(store, **wish)
    changed = len(place.server.api_requests) - first - nothing

    assert nothing == 3  # the repository and two lists
    assert changed == 4  # and one thread
    assert documents(store, made["issue"])[103].meta["comments"][-1]["body"] == "One more thing"
    assert place.harvested(other, **wish)["issue"].sha256 == made["issue"].sha256


@pytest.mark.slow
@pytest.mark.parametrize(("forge", "requests"), [("gitlab", 333), ("gitea", 348)])
def test_forge_five_hundred_issues_take_a_request_for_each_that_has_comments_and_a_month_reads_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: str, requests: int
) -> None:
    monkeypatch.setenv(f"{forge.upper()}_TOKEN", TOKEN)
    repository = build_tracker(tmp_path / "hall.git", 500, 300)
    warm, cold = Store(str(tmp_path / "warm")), Store(str(tmp_path / "cold"))
    with serve(repository, token=TOKEN, speaks=HANDLERS[forge]) as running:
        place = Place(forge, Town(History(), repository, 1), running)

        def asked(store: Store) -> tuple[int, str]:
            before = len(running.api_requests)
            made = place.harvested(store, pulls=None, releases=None)["issue"]
            return len(running.api_requests) - before, made.sha256

        assert (asked(warm)[0], asked(warm)[0]) == (requests, 2)
        for number in range(100, 112):
            repository.issues[number].comments.append(Comment(number, User("late"), moment(70), "Seen again."))
            repository.issues[number].updated_at = moment(70)
        month, sha256 = asked(warm)
        assert month == 13  # one of the twelve is a bot's
        assert asked(cold) == (requests + 3, sha256)  # three of the twelve had no comment before


def test_forge_list_of_many_pages_is_complete(tmp_path: Path, store: Store, place: Place) -> None:
    repository = place.town.repository
    repository.issues = [
        Issue(1000 + number, f"Number {number}", "x", moment(number / 10), moment(number / 10)) for number in range(230)
    ]
    for limit in (30, 120, None):
        made = place.harvested(store, pulls=None, issues={"limit": limit})["issue"]
        assert made.counts["records"] == (limit or 230)


@pytest.mark.parametrize(
    "kind",
    ["429-retry-after", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("429", "502", "truncated", "reset"))],
)
def test_forge_fault_gives_the_same_bytes(store: Store, other: Store, place: Place, kind: str) -> None:
    whole = [made.sha256 for made in place.harvested(store).values()]
    place.server.faults.append(Fault(kind, "/api/v", skip=3, times=2, wait=0.2))  # type: ignore[arg-type]
    assert [made.sha256 for made in place.harvested(other).values()] == whole
    assert place.server.faults == []


def test_forge_limit_that_lasts_too_long_says_so(store: Store, place: Place) -> None:
    place.server.faults.append(Fault("429-retry-after", "/api/v", wait=60))
    with pytest.raises(SourceError, match=rf"lasts 60 seconds more, longer than {place.forge}\.max_wait \(5\)"):
        place.harvested(store)


def test_forge_refusals_name_the_remedy(store: Store, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"{place.forge.upper()}_TOKEN"
    monkeypatch.setenv(variable, "wrong")
    with pytest.raises(InputError, match=rf"^{variable} is not accepted by http.*; create a new token$"):
        place.harvested(store)
    monkeypatch.setenv(variable, TOKEN)
    with pytest.raises(InputError, match=r"^sources.repo: .* has no repository town/nowhere, the token may not see it"):
        place.resolved(store, repo="town/nowhere")
    with pytest.raises(InputError, match=r"^sources\.discussions: .* has no discussions; set null$"):
        place.resolved(store, discussions={})
    with pytest.raises(InputError, match=rf"^sources\.repo: http\S* is no name of {place.forge}'s; give "):
        place.resolved(store, repo="https://git.example/town/hall")
    place.town.repository.private = True
    monkeypatch.delenv(variable)
    with pytest.raises(InputError, match=rf"or it is private and {variable} is not set"):
        place.resolved(store)


def test_forge_that_redirects_elsewhere_gets_no_further(store: Store, place: Place) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            self.send_response(302)
            self.send_header("Location", place.server.url + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers = place.servers(f"http://127.0.0.1:{server.server_port}")
        wish = SourceParams.model_validate({"repo": "town/hall", "forge": place.forge})
        with pytest.raises(InputError, match=rf"^{place.forge}\.url: .* redirects to {place.server.url}; name the add"):
            resolve_source(wish, servers, NOW, store)
        server.shutdown()
    assert len(asked) == 1
    assert place.server.requests == []


def test_forge_switched_off_tracker_has_no_issues(store: Store, place: Place) -> None:
    place.town.repository.has_issues = False
    assert place.harvested(store)["issue"].counts["records"] == 0


def test_forge_pages_and_files_have_its_addresses(store: Store, place: Place, tmp_path: Path) -> None:
    folder = place.town.repository.wiki = tmp_path / "hall.wiki.git"
    commit(folder, {"guide/First-steps.md": b"# First steps\n\nGo on.\n"})
    found = place.resolved(store, wiki="auto", issues=None, releases=None)
    assert found.wiki is not None
    (page,) = read_records(store, wiki.direct(store, source=found.wiki), Document)
    (file, *_) = read_records(
        store, snapshot.direct(store, source=found.snapshot, params=SourceParams(repo="x").files), Document
    )
    web = f"{place.server.url}/town/hall"
    wikis, blob = ("-/wikis", "-/blob") if place.forge == "gitlab" else ("wiki", "src/commit")
    assert page.url == f"{web}/{wikis}/guide/First-steps"
    assert file.url == f"{web}/{blob}/{found.snapshot.revision}/{file.path}"


def test_forge_head_that_git_lacks_is_read_by_the_api(store: Store, place: Place) -> None:
    pull, town = place.town.repository.pulls[3], place.town
    lost = town.history.commit("refs/heads/lost", {"kept.py": b"kept = True\n"}, 30, [1], "Lost\n")
    town.history.write(town.repository.folder)
    pull.head = town.history.shas[lost]
    town.repository.folder.joinpath("refs", "heads", "lost").unlink()

    made = place.harvested(store)["pull"]
    (file,) = documents(store, made)[4].meta["files"]
    assert made.counts["diffs_by_rest"] == 1
    patch = "@@ -0,0 +1 @@\n+kept = True" if place.forge == "gitlab" else None
    assert file == {"path": "kept.py", "status": "added", "previous_path": None, "patch": patch}
    assert made.counts.get("patches_left_out", 0) == (0 if patch else 1)


def test_gitlab_keeps_back_what_is_for_members_only(store: Store, other: Store, gitlab: Place) -> None:
    assert 101 in documents(store, gitlab.harvested(store)["issue"])
    secret, open_one = gitlab.town.repository.issues[:2]
    secret.labels, secret.updated_at = [CONFIDENTIAL], moment(40)
    open_one.comments.append(Comment(9, User("boss"), moment(40), f"{CONFIDENTIAL}: not for customers"))
    open_one.updated_at = moment(40)

    made = gitlab.harvested(store)["issue"]
    found = documents(store, made)
    assert sorted(found) == [102, 103, 104, 105, 106]
    assert [item["body"] for item in found[102].meta["comments"]] == ["Turn it on, Person 1.", "Thanks!"]
    assert gitlab.harvested(other)["issue"].sha256 == made.sha256


def test_gitlab_branch_that_was_moved_forward_has_its_diff(store: Store, gitlab: Place) -> None:
    pull = gitlab.town.repository.pulls[0]
    whole = documents(store, gitlab.harvested(store)["pull"])[1].meta["files"]
    pull.labels, pull.updated_at = [FORWARD], moment(40)
    assert whole
    assert documents(store, gitlab.harvested(store)["pull"])[1].meta["files"] == whole


def test_gitlab_project_in_groups_has_its_whole_name(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History()
    history.commit("refs/heads/main", {"a.py": b"x = 1\n"}, 0)
    repository = Repository("town/east/hall", history.write(tmp_path / "hall.git"), [], id=5)
    with serve(repository, speaks=GitlabHandler) as running:
        found = Place("gitlab", Town(history, repository, 1), running).resolved(store, repo="town/east/hall")
    assert (found.snapshot.repo, found.snapshot.web_url) == ("town/east/hall", f"{running.url}/town/east/hall")


def test_name_that_another_project_takes_begins_anew(store: Store, gitlab: Place) -> None:
    assert sorted(documents(store, gitlab.harvested(store)["issue"])) == [101, 102, 103, 104, 105, 106]
    gitlab.town.repository.id = 99
    gitlab.town.repository.issues = gitlab.town.repository.issues[:1]
    assert sorted(documents(store, gitlab.harvested(store)["issue"])) == [101]
