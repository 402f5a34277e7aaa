import json
from pathlib import Path

import pytest

from tasks.base.errors import SourceError
from tasks.base.ledger import ledger
from tasks.base.store import Store
from tasks.harvest.pulls import pulls
from tests.emulators.github_api import Comment, Github, Pull, User, serve
from tests.emulators.github_api.rest import files as files_by_rest
from tests.harvest.histories import moment
from tests.harvest.town import TOKEN, Town, build_town, documents, harvest, hashes, resolved, source_file


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
    assert found.meta["commits"] == [{"sha": pull.head, "message": "Again"}]


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


def test_harvest_wider_limit_after_a_narrow_one_reads_further_back(store: Store, github: Github) -> None:
    assert harvest(store, github, pulls={"limit": 2})[1].counts == {"records": 2}
    assert harvest(store, github, pulls={"limit": None})[1].counts == {"records": 12}


def test_harvest_one_repository_under_two_names_shares_mirror_and_threads(
    store: Store, other: Store, github: Github
) -> None:
    harvest(store, github)
    before = len(github.api_requests)
    made = harvest(store, github, name="town/then", as_of="2023-01-08")

    assert len(github.api_requests) - before == 1  # the list
    found = documents(store, made[1])
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert found[3].id == "town/then/pull/0000003"
    assert found[3].url == f"{github.url}/town/hall/pull/3"
    assert hashes(made) == hashes(harvest(other, github, name="town/then", as_of="2023-01-08"))
