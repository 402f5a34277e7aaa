import datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.harvest.params import ResolvedSource, Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import check_names, repository_name, resolve_source
from tasks.harvest.snapshot import snapshot
from tests.harvest.histories import History, moment, run

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


def resolve(store: Store, repo: Path | str, now: datetime.datetime = NOW, **wish: Any) -> ResolvedSource:
    return resolve_source(SourceParams.model_validate({"repo": str(repo), **wish}), Servers(), now, store)


@pytest.fixture
def crossing(tmp_path: Path) -> Path:
    """A side branch whose commit is younger than main's, merged later: `rev-list --before` picks the side branch."""
    history = History()
    first = history.commit("refs/heads/main", {"a": b"1\n"}, 0)
    second = history.commit("refs/heads/main", {"a": b"2\n"}, 1, [first])
    side = history.commit("refs/heads/side", {"b": b"1\n"}, 2, [first])
    history.commit("refs/heads/main", {"b": b"1\n"}, 5, [second, side])
    return history.write(tmp_path / "crossing.git")


def test_resolve_as_of_follows_the_first_parent(store: Store, crossing: Path) -> None:
    naive = run("git", "--git-dir", str(crossing), "rev-list", "-1", "--before=2023-01-04T23:59:59Z", "main").strip()
    found = resolve(store, crossing, as_of="2023-01-04").snapshot
    assert found.revision == run("git", "--git-dir", str(crossing), "rev-parse", "main^1").strip()
    assert found.revision != naive
    assert found.committed_at == moment(1)


def test_resolve_without_date_takes_the_scheduled_start(store: Store, crossing: Path) -> None:
    scheduled = datetime.datetime(2023, 1, 5, tzinfo=datetime.UTC)
    assert resolve(store, crossing, scheduled).snapshot.committed_at == moment(1)
    assert resolve(store, crossing).snapshot.committed_at == moment(5)


def test_resolve_gives_one_answer_by_path_url_and_work_tree(store: Store, crossing: Path, tmp_path: Path) -> None:
    clone = tmp_path / "checkout"  # a clone is named after its origin, not its folder
    run("git", "clone", "--quiet", str(crossing), str(clone))
    run("git", "-C", str(clone), "checkout", "--quiet", "--detach")
    found = [resolve(store, repo).snapshot for repo in (crossing, f"file://{crossing}", clone, clone / ".git")]
    assert {item.revision for item in found} == {found[0].revision}
    assert {item.repo for item in found} == {"crossing"}
    assert len({snapshot.direct(store, source=item, params=SourceParams(repo="x").files).sha256 for item in found}) == 1


def test_resolve_linked_work_tree_is_read_at_its_own_head(store: Store, crossing: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    run("git", "--git-dir", str(crossing), "worktree", "add", "--quiet", "--detach", str(linked), "main^1")
    found = resolve(store, linked)
    assert found.snapshot.committed_at == moment(1)
    assert snapshot.direct(store, source=found.snapshot, params=SourceParams(repo="x").files).counts == {"records": 1}


def test_resolve_key_bears_no_path(store: Store, crossing: Path, tmp_path: Path) -> None:
    clone = tmp_path / "crossing"
    run("git", "clone", "--quiet", "--bare", str(crossing), str(clone))
    files = SourceParams(repo="x").files
    found = [resolve(store, repo).snapshot for repo in (crossing, clone)]
    keys = [snapshot.key_document(source=item, params=files) for item in found]
    assert keys[0] == keys[1]
    assert str(tmp_path) not in str(keys[0])


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("nowhere/at all", r"^sources.repo: there is no nowhere/at all; give OWNER/NAME"),
        ("/nowhere/at/all", r"^sources.repo: there is no /nowhere/at/all; give OWNER/NAME"),
        ("file:///nowhere/at/all", r"^sources.repo: file:///nowhere/at/all cannot be read"),
        ("https://ann:pa55@example.org/a/b.git", r"^sources.repo: the URL holds a password"),
    ],
)
def test_resolve_missing_repository_is_bad_input(store: Store, repo: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        resolve(store, repo)
    assert "\n" not in str(raised.value)
    assert "pa55" not in str(raised.value)


def test_resolve_folder_that_is_no_repository_is_bad_input(store: Store, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(InputError, match=r"^sources.repo: the folder .*plain is not a git repository"):
        resolve(store, tmp_path / "plain")


def test_resolve_empty_repository_is_bad_input(store: Store, tmp_path: Path) -> None:
    run("git", "init", "--quiet", "--bare", str(tmp_path / "empty.git"))
    with pytest.raises(InputError, match=r"^sources.repo: .*empty.git is an empty repository"):
        resolve(store, tmp_path / "empty.git")


def test_resolve_date_before_the_first_commit_is_bad_input(store: Store, crossing: Path) -> None:
    words = rf"^sources.as_of: 2022-12-31 is before the first commit of .* \({moment(0)}\); choose a later date$"
    with pytest.raises(InputError, match=words):
        resolve(store, crossing, as_of="2022-12-31")


def test_resolve_shallow_clone_works_and_names_its_limit(store: Store, crossing: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    run("git", "clone", "--quiet", "--depth=1", f"file://{crossing}", str(shallow))
    found = resolve(store, shallow)
    made = snapshot.direct(store, source=found.snapshot, params=SourceParams(repo="x").files)
    assert made.counts == {"records": 2}
    assert found.pulls is not None
    assert pulls.direct(store, source=found.pulls).counts == {"records": 0}
    with pytest.raises(InputError, match="shallow clone: run `git fetch --unshallow` in it, or choose a later date"):
        resolve(store, shallow, as_of="2023-01-03")


def test_resolve_head_that_names_no_branch_takes_main(store: Store, crossing: Path) -> None:
    (crossing / "HEAD").write_text("ref: refs/heads/gone\n")
    assert resolve(store, crossing).snapshot.committed_at == moment(5)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/a/b/town.git", "town"),
        ("/a/town/.git", "town"),
        ("https://example.org/a/town.git", "town"),
        ("git@example.org:town.git", "town"),
        ("/a/town.bundle", "town"),
        ("/a/town.js/", "town.js"),
    ],
)
def test_repository_name_of_an_address_is_its_base_name(address: str, name: str) -> None:
    assert repository_name(address) == name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"repo": "town/hall"}, {"repo": "Town/Hall", "as_of": "2023-01-01"}),
        ({"repo": "/a/tool.git"}, {"repo": "https://example.org/b/tool"}),
        ({"repo": "/a/tool"}, {"repo": "/a/tool"}),
        ({"repo": "/a/other", "name": "tool"}, {"repo": "/b/tool"}),
    ],
)
def test_check_names_refuses_two_sources_of_one_name(first: dict[str, str], second: dict[str, str]) -> None:
    sources = [SourceParams.model_validate(item) for item in (first, second)]
    with pytest.raises(
        InputError, match=r"^sources: .* would both be filed under .*; list a repository once"
    ) as raised:
        check_names(sources)
    assert "\n" not in str(raised.value)
    check_names([sources[0], sources[1].model_copy(update={"name": "another"})])
