"""A repository on GitHub that git may not read: files and diffs by REST."""

import logging
from pathlib import Path

import pytest

from tasks.base.errors import InputError, SourceError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.params import SnapshotParams
from tasks.harvest.snapshot import snapshot
from tests.emulators.github_api import Fault, Github, Repository, serve
from tests.harvest.histories import Files, History, moment
from tests.harvest.town import TOKEN, Town, harvest, hashes, resolved, source_file

ODD: Files = {
    "run.sh": ("100755", b"#!/bin/sh\n"),
    "link": ("120000", b"README.md"),
    "module": ("160000", b"0123456789" * 4),
    "a-b/x.py": b"x = 1\n",
    "a/b/c/deep.py": b"deep = True\n",
    "a.py": b"a = 1\n",
    "preis \u00a3.md": b"# Preis\n",
    "pic.png": b"\x89PNG\0\1",
    "wide.txt": b"\xff\xfe" + "wide\n".encode("utf-16-le"),
}


def odd_town(town: Town, files: Files = ODD) -> Town:
    """The town with entries of every kind."""
    town.history.commit("refs/heads/main", files, 30, [town.trunk], "Odd things\n")
    town.history.write(town.repository.folder)
    return town


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_harvest_without_git_gives_the_same_bytes_and_says_so(
    store: Store, other: Store, github: Github, town: Town, caplog: pytest.LogCaptureFixture, threads: str
) -> None:
    odd_town(town)
    whole = harvest(other, github, threads)
    github.hub.git = False
    with caplog.at_level(logging.WARNING):
        made = harvest(store, github, threads)

    assert "town/hall cannot be cloned" in caplog.text
    assert hashes(made)[:2] == hashes(whole)[:2]
    assert {name: made[0].counts[name] - whole[0].counts.get(name, 0) for name in made[0].counts} == {
        **dict.fromkeys(whole[0].counts, 0),
        "entries_by_rest": whole[0].counts["records"]
        + sum(count for name, count in whole[0].counts.items() if name.startswith("verdict:")),
    }
    assert made[1].counts == whole[1].counts | {"diffs_by_rest": 12}
    assert [(item.id, item.reason) for item in read_verdicts(store, made[2])] == [("town/hall/wiki", "needs-git")]
    assert hashes(harvest(Store(store.uri + "-asked"), github, threads, "rest")) == hashes(made)


def test_harvest_without_git_reads_later_only_what_changed(store: Store, github: Github, town: Town) -> None:
    github.hub.git = False
    first = harvest(store, github)
    before = len(github.requests)
    assert harvest(store, github) == first
    # The list, git's refusal; the line of commits is known, and the head came with the list.
    assert [item.path for item in github.requests[before:]] == ["/graphql", "/town/hall.git/info/refs"]

    files = {"app.py": source_file(5, edited=True), "new.py": b"n = 1\n"}
    town.history.commit("refs/heads/main", files, 40, [town.trunk])
    town.history.write(town.repository.folder)
    pull = town.repository.pulls[2]
    pull.title, pull.updated_at = "Another", moment(41)
    before = len(github.requests)
    made = harvest(store, github)
    assert made[0].sha256 != first[0].sha256
    paths = [item.path.removeprefix("/repos/town/hall") for item in github.requests[before:]]
    assert [path[:11] for path in paths] == [
        *("/graphql", "/town/hall.", "/commits", "/git/trees/", "/git/blobs/", "/git/blobs/", "/graphql")
    ]


def test_harvest_without_git_follows_the_first_parent(
    store: Store, other: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History()
    trunk = history.commit("refs/heads/main", {"a.py": b"0\n"}, 0)
    for number in range(1, 150):
        side = history.commit("refs/heads/side", {"b.py": b"%d\n" % number}, number + 0.6, [trunk])
        trunk = history.commit("refs/heads/main", {"a.py": b"%d\n" % number}, number + 0.5, [trunk])
        trunk = history.commit("refs/heads/main", {"b.py": b"%d\n" % number}, number + 2.5, [trunk, side])
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    repository = Repository("town/hall", history.write(tmp_path / "hall.git"))
    with serve(repository, token=TOKEN) as github:
        for day in ("2023-02-01", "2023-05-05", "2023-01-02"):
            wish = {"as_of": day, "pulls": None, "wiki": None}
            by_git = resolved(other, github, contents="git", **wish).snapshot
            found = resolved(store, github, contents="rest", **wish).snapshot
            assert (found.revision, found.committed_at) == (by_git.revision, by_git.committed_at)
            assert snapshot.key_document(source=found, params=SnapshotParams()) == snapshot.key_document(
                source=by_git, params=SnapshotParams()
            )
        before = len(github.api_requests)
        resolved(store, github, contents="rest", as_of="2023-01-02", pulls=None, wiki=None)
        assert len(github.api_requests) - before == 1
        with pytest.raises(InputError, match=r"^sources.as_of: 2022-01-01 is before the first commit of town/hall"):
            resolved(store, github, contents="rest", as_of="2022-01-01", pulls=None, wiki=None)


def test_harvest_without_git_of_a_tree_too_large_for_one_answer(
    store: Store, other: Store, github: Github, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd_town(town)
    whole = harvest(other, github)[0]
    github.hub.max_tree_entries = 3
    made = harvest(store, github, contents="rest")[0]
    assert made.sha256 == whole.sha256
    assert [asked for asked in github.requests if "/git/trees/" in asked.path and not asked.query]


def test_harvest_without_git_of_names_that_are_no_text_is_counted(store: Store, github: Github, town: Town) -> None:
    odd_town(town, {b"caf\xe9.txt": b"old name\n"})
    made = harvest(store, github, contents="rest")[0]
    assert made.counts["trees_not_exact"] == 1
    assert "caf\ufffd.txt" in {item.path for item in read_records(store, made, Document)}


MANY: Files = {f"many/{number}.py": f"number = {number}\n".encode() for number in range(80)} | {
    ".gitattributes": b"secret.txt export-ignore\nversion.txt export-subst\n*.bat text eol=crlf\n",
    "secret.txt": b"not in the tarball\n",
    "version.txt": b"$Format:%H$\n",
    "run.bat": b"echo\n",
}


@pytest.mark.parametrize("fault", [None, "truncated", "502", "reset", "404"])
def test_harvest_without_git_takes_many_files_from_the_tarball(
    store: Store, other: Store, github: Github, town: Town, fault: str | None
) -> None:
    odd_town(town, MANY)
    whole = harvest(other, github)[0]
    before = len(github.requests)
    if fault is not None:
        github.faults.append(Fault(fault, "/_codeload/"))  # type: ignore[arg-type]
    made = harvest(store, github, contents="rest")[0]
    assert made.sha256 == whole.sha256
    asked = github.requests[before:]
    blobs = [item for item in asked if "/git/blobs/" in item.path]
    # Not in the tarball as they are: the one ignored, the one substituted, the one with other line ends.
    assert len(blobs) == 3 if fault is None else len(blobs) > 3
    assert [item.authorized for item in asked if "/tarball/" in item.path] == [True]
    assert [item.authorized for item in asked if item.path.startswith("/_codeload/")] == [False]


def test_harvest_without_git_counts_patches_that_github_leaves_out(store: Store, github: Github, town: Town) -> None:
    town.repository.pulls[3].hidden_patches = True
    made = harvest(store, github, contents="rest")[1]
    assert made.counts == {"records": 12, "diffs_by_rest": 12, "patches_left_out": 2}


def test_harvest_without_git_keeps_blobs_when_it_breaks_off(store: Store, other: Store, github: Github) -> None:
    whole = harvest(other, github)
    github.faults.append(Fault("primary", "/git/blobs/", wait=500, skip=3))
    with pytest.raises(SourceError, match="run again later: what was read is kept"):
        harvest(store, github, contents="rest")
    before = len(github.api_requests)
    assert harvest(store, github, contents="rest")[0].sha256 == whole[0].sha256
    blobs = [asked.path for asked in github.api_requests if "/git/blobs/" in asked.path and asked.status == 200]
    assert len(blobs) == len(set(blobs))
    assert len(github.api_requests) > before


def test_harvest_without_any_access_to_contents_names_the_permission(store: Store, github: Github) -> None:
    github.hub.git = False
    github.faults.append(Fault("403", "/commits", times=2))
    with pytest.raises(InputError, match=r"^GitHub forbids reading .*/commits .*the token needs the permissions"):
        resolved(store, github)
