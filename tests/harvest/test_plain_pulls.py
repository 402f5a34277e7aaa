import datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.params import ResolvedSource, Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tests.harvest.histories import History, moment, run

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


def resolved(store: Store, repo: Path | str, **wish: Any) -> ResolvedSource:
    return resolve_source(SourceParams.model_validate({"repo": str(repo), **wish}), Servers(), NOW, store)


def harvest(store: Store, repo: Path | str, **wish: Any) -> tuple[Artifact, dict[int, Document]]:
    found = resolved(store, repo, **wish)
    assert found.pulls is not None
    made = pulls.direct(store, source=found.pulls)
    return made, {item.meta["number"]: item for item in read_records(store, made, Document)}


@pytest.fixture
def village(tmp_path: Path) -> Path:
    """Four pull requests: merged, squashed, open, and one merged whose head is gone."""
    return build_village(tmp_path / "village.git")


def build_village(folder: Path, objects: str = "sha1") -> Path:
    text = "".join(f"line {number}\n" for number in range(30)).encode()
    history = History()
    first = history.commit("refs/heads/main", {"a.txt": text, "old.txt": b"x\n" * 20, "pic.png": b"\x89\0"}, 0)
    edit = {"a.txt": text + b"end\n", "pic.png": b"\x89\0\1"}
    one = history.commit("refs/pull/1/head", edit, 1, [first], "Add end\n\nWhy.\n")
    merged = history.commit(
        "refs/heads/main", edit, 2, [first, one],
        "Merge pull request #1 from ann/end\n\nAdd an end\n\nMore words.\n",
    )  # fmt: skip
    two = history.commit("refs/pull/2/head", {"old.txt": None, "dir/new.txt": b"x\n" * 20}, 3, [merged], "wip\n", "Bob")
    history.commit("refs/pull/2/head", {"end.txt": b"no newline"}, 3.5, [two], "wip 2\n", "Bob")
    squashed = history.commit(
        "refs/heads/main", {"old.txt": None, "dir/new.txt": b"x\n" * 20, "end.txt": b"no newline"}, 4, [merged],
        "Move old (#2)\n\n* wip\n* wip 2\n",
    )  # fmt: skip
    history.commit("refs/pull/3/head", {"a.txt": text}, 5, [squashed], "Remove the end\n\nIt was wrong.\n")
    side = history.commit("refs/heads/side", {"b.txt": b"b\n"}, 6, [squashed], "Side\n", "Cy")
    history.commit(
        "refs/heads/main", {"b.txt": b"b\n"}, 7, [squashed, side], "Merge pull request #4 from cy/side\n\nAdd b\n"
    )
    history.write(folder, objects)
    run("git", "--git-dir", str(folder), "branch", "-D", "side")
    return folder


def test_pulls_of_a_bare_repository_come_from_heads_and_merge_commits(store: Store, village: Path) -> None:
    made, found = harvest(store, village)

    assert made.counts == {"records": 4}
    assert [(item.title, item.text) for item in found.values()] == [
        ("Add an end", "More words."),
        ("Move old", "* wip\n* wip 2"),
        ("Remove the end", "It was wrong."),
        ("Add b", "Side"),
    ]
    assert [(item.meta["state"], item.meta["merged_at"], item.meta["author"]) for item in found.values()] == [
        ("closed", moment(2), "Ann"),
        ("closed", moment(4), "Bob"),
        ("unknown", None, "Ann"),
        ("closed", moment(7), "Cy"),
    ]
    assert {item.created_at for item in found.values()} == {None}
    assert [item.id for item in found.values()] == [f"village/pull/{number:07d}" for number in (1, 2, 3, 4)]
    assert found[1].meta["files"] == [
        {
            "path": "a.txt",
            "status": "modified",
            "previous_path": None,
            "patch": "@@ -28,3 +28,4 @@ line 26\n line 27\n line 28\n line 29\n+end",
        },
        {"path": "pic.png", "status": "modified", "previous_path": None, "patch": None},
    ]
    assert found[2].meta["files"] == [
        {"path": "dir/new.txt", "status": "renamed", "previous_path": "old.txt", "patch": None},
        {
            "path": "end.txt",
            "status": "added",
            "previous_path": None,
            "patch": "@@ -0,0 +1 @@\n+no newline\n\\ No newline at end of file",
        },
    ]
    assert [item["message"] for item in found[2].meta["commits"]] == ["wip", "wip 2"]


def test_pulls_without_heads_come_from_merge_and_squash_commits(store: Store, village: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", str(village), str(clone))
    made, found = harvest(store, clone)
    assert made.counts == {"records": 3}
    assert [(number, item.title) for number, item in found.items()] == [
        (1, "Add an end"),
        (2, "Move old"),
        (4, "Add b"),
    ]
    assert [item["path"] for item in found[2].meta["files"]] == ["dir/new.txt", "end.txt"]


def test_pulls_of_a_bundle_are_harvested(store: Store, village: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "village.bundle"
    run("git", "--git-dir", str(village), "bundle", "create", "--quiet", str(bundle), "--all")
    made, _ = harvest(store, bundle)
    assert made.sha256 == harvest(store, village)[0].sha256


def test_pulls_limit_since_state_and_date_select(store: Store, village: Path) -> None:
    def numbers(**wish: Any) -> list[int]:
        return sorted(harvest(store, village, **wish)[1])

    assert numbers(pulls={"limit": 2}) == [3, 4]
    assert numbers(pulls={"state": "merged"}) == [1, 2, 4]
    assert numbers(pulls={"since": "2023-01-06"}) == [3, 4]
    assert numbers(as_of="2023-01-05") == [1, 2]  # the first own commit's date bounds it
    with pytest.raises(InputError, match=r"^sources.pulls.state: open needs a forge's API"):
        resolved(store, village, pulls={"state": "open"})


def test_pulls_of_a_repository_of_sha256_are_the_same(store: Store, village: Path, tmp_path: Path) -> None:
    other = build_village(tmp_path / "new" / "village.git", "sha256")
    expected, found = harvest(store, village)[1], harvest(store, other)[1]
    for number, pull in found.items():
        assert len(pull.revision) == 64
        like = expected[number]
        assert (pull.title, pull.text, pull.meta["files"]) == (like.title, like.text, like.meta["files"])
        assert [item["message"] for item in pull.meta["commits"]] == [item["message"] for item in like.meta["commits"]]
    assert found.keys() == expected.keys()
    assert harvest(store, other, as_of="2023-01-05")[1].keys() == {1, 2}


def test_pulls_are_shown_as_they_stood_at_the_date(store: Store, village: Path) -> None:
    """Number 2 got its second commit in the evening of the 5th and was squashed on the 6th; 1 was merged on the 4th."""
    _, found = harvest(store, village, as_of="2023-01-05")
    assert [(item.title, item.text, item.meta["state"], item.meta["merged_at"]) for item in found.values()] == [
        ("Add an end", "More words.", "closed", moment(2)),
        ("wip", "wip 2", "unknown", None),
    ]
    assert harvest(store, village, as_of="2023-01-05", pulls={"state": "merged"})[1].keys() == {1}
    late = resolve_source(
        SourceParams(repo=str(village)), Servers(), datetime.datetime(2023, 1, 5, 12, tzinfo=datetime.UTC), store
    )
    assert late.pulls is not None
    made = pulls.direct(store, source=late.pulls)
    then = {item.meta["number"]: item for item in read_records(store, made, Document)}[2]
    assert [item["message"] for item in then.meta["commits"]] == ["wip"]
    assert [(item["path"], item["status"]) for item in then.meta["files"]] == [("dir/new.txt", "renamed")]


def test_pull_without_a_title_has_that_of_its_first_commit(store: Store, tmp_path: Path) -> None:
    history = History()
    first = history.commit("refs/heads/main", {"a": b"1\n"}, 0)
    side = history.commit("refs/heads/side", {"a": b"2\n"}, 1, [first], "Count to two\n\nOne was not enough.\n")
    side = history.commit("refs/heads/side", {"a": b"3\n"}, 2, [side], "Count to three\n")
    history.commit("refs/heads/main", {"a": b"3\n"}, 3, [first, side], "Merge pull request #1 from ann/side\n")
    _, found = harvest(store, history.write(tmp_path / "repo.git"))
    assert (found[1].title, found[1].text) == ("Count to two", "One was not enough.\n\nCount to three")


def test_pull_that_the_trunk_was_moved_forward_to_has_its_last_commit(store: Store, tmp_path: Path) -> None:
    history = History()
    first = history.commit("refs/heads/main", {"a": b"1\n"}, 0)
    second = history.commit("refs/heads/main", {"a": b"2\n"}, 1, [first], "Count to two\n\nOne was not enough.\n")
    history.commit("refs/heads/main", {"b": b"3\n"}, 2, [second], "Another\n")
    folder = history.write(tmp_path / "repo.git")
    run("git", "--git-dir", str(folder), "update-ref", "refs/merge-requests/5/head", history.shas[second])
    _, found = harvest(store, folder)
    assert (found[5].title, found[5].text) == ("Count to two", "One was not enough.")
    assert [(item["path"], item["patch"]) for item in found[5].meta["files"]] == [("a", "@@ -1 +1 @@\n-1\n+2")]


def test_pulls_key_changes_only_with_a_pull(store: Store, village: Path, tmp_path: Path) -> None:
    def key() -> object:
        return pulls.key_document(source=resolved(store, village).pulls)

    before = key()
    work = tmp_path / "work"
    run("git", "clone", "--quiet", str(village), str(work))
    (work / "README.md").write_text("# Edited\n")
    git = ("git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@example.org")
    run(*git, "add", ".")
    run(*git, "commit", "--quiet", "-m", "Edit a page")
    run(*git, "push", "--quiet", "origin", "main")
    assert key() == before
    run("git", "--git-dir", str(village), "update-ref", "refs/pull/3/head", "main")
    assert key() != before


def test_pulls_with_an_absent_blob_keep_their_other_patches(store: Store, village: Path) -> None:
    blob = run("git", "--git-dir", str(village), "rev-parse", "refs/pull/2/head:end.txt").strip()
    (village / "objects" / blob[:2] / blob[2:]).unlink()
    _, found = harvest(store, village)
    files = {item["path"]: item for item in found[2].meta["files"]}
    assert files["end.txt"] == {"path": "end.txt", "status": "added", "previous_path": None, "patch": None}
    assert (files["dir/new.txt"]["status"], files["old.txt"]["status"]) == ("added", "removed")
    assert found[3].meta["files"][0]["patch"] == "@@ -28,4 +28,3 @@ line 26\n line 27\n line 28\n line 29\n-end"


def test_pulls_patches_have_the_function_names_of_built_in_drivers(store: Store, tmp_path: Path) -> None:
    body = "".join(f"    x{number} = {number}\n" for number in range(20))
    source = f"class A:\n  def method(self):\n{body}".encode()
    history = History()
    first = history.commit("refs/heads/main", {"a.py": source, "a.txt": source}, 0)
    edited = source.replace(b"x15 = 15", b"x15 = 0").replace(b"x7 = 7", b"x7 = 0")
    history.commit("refs/pull/1/head", {"a.py": edited, "a.txt": edited}, 1, [first])
    _, found = harvest(store, history.write(tmp_path / "repo.git"))
    patches = {item["path"]: item["patch"] for item in found[1].meta["files"]}
    # git's default finds the last line that begins with a letter; Python's driver the enclosing function. The two hunks
    # are one, as GitHub shows them: a single line lies between their contexts.
    assert patches["a.py"].splitlines()[0] == "@@ -7,15 +7,15 @@ def method(self):"
    assert patches["a.txt"].splitlines()[0] == "@@ -7,15 +7,15 @@ class A:"
    assert patches["a.py"].count("@@ -") == 1


def test_pulls_patches_of_old_encodings_are_text_on_both_sides(store: Store, tmp_path: Path) -> None:
    lines = "データベース接続を初期化する関数です\n設定ファイルを読み込んで値を検査します\n"
    more = "接続が切れたときは再試行します\n"
    head = "function データベース接続の初期化、再試行、終了処理\n" + "".join(f"    {number}\n" for number in range(9))
    files = {"a.c": lines.encode("shift_jis"), "b.c": lines.encode("euc_jp"), "c.txt": (head + "x\n").encode()}
    history = History()
    first = history.commit("refs/heads/main", files, 0)
    changed = {
        "a.c": (lines + more).encode("shift_jis"),
        "b.c": (lines + more).encode(),
        "c.txt": (head + "y\n").encode(),
    }
    history.commit("refs/pull/1/head", changed, 1, [first])
    _, found = harvest(store, history.write(tmp_path / "repo.git"))
    patches = {item["path"]: item["patch"].split("\n") for item in found[1].meta["files"]}
    one, two = lines.splitlines()
    assert patches["a.c"][1:] == [f" {one}", f" {two}", f"+{more[:-1]}"]
    assert sorted(patches["b.c"][1:]) == sorted([f"-{one}", f"-{two}", f"+{one}", f"+{two}", f"+{more[:-1]}"])
    assert patches["c.txt"][0].startswith("@@ -8,4 +8,4 @@ function データベース接続の初期化")  # cut within a character
    assert patches["c.txt"][1:] == ["     6", "     7", "     8", "-x", "+y"]


def test_pulls_switched_off_resolve_to_none(store: Store, village: Path) -> None:
    assert resolved(store, village, pulls=None).pulls is None


def test_pulls_of_a_repository_without_any_are_no_records(store: Store, tmp_path: Path) -> None:
    history = History()
    history.commit("refs/heads/main", {"a": b"1"}, 0)
    made, _ = harvest(store, history.write(tmp_path / "repo.git"))
    assert made.counts == {"records": 0}


def test_pulls_of_a_work_tree_with_odd_configuration_are_read_plainly(store: Store, village: Path) -> None:
    before = harvest(store, village)[0].sha256
    with (village / "config").open("a") as config:
        config.write("[diff]\n\tnoprefix = true\n\tcontext = 0\n\talgorithm = patience\n[core]\n\tquotePath = false\n")
    other = Store(store.uri + "-other")
    assert harvest(other, village)[0].sha256 == before


def test_pulls_of_a_shallow_clone_are_those_it_has(store: Store, village: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    run("git", "clone", "--quiet", "--depth=3", f"file://{village}", str(shallow))
    made, found = harvest(store, shallow)
    assert sorted(found) == [2, 4]
    assert [item["path"] for item in found[2].meta["files"]] == ["dir/new.txt", "end.txt"]
    # The merge of 1 is the last commit that there is.
    head = run("git", "--git-dir", str(village), "rev-parse", "refs/pull/1/head").strip()
    assert [(item.id, item.reason, item.detail) for item in read_verdicts(store, made)] == [
        ("village/pull/0000001", "absent-head", head)
    ]

    # This one ends at the squash commit of 2 and at the head of 4, without what they would be compared with.
    run("git", "clone", "--quiet", "--depth=2", f"file://{village}", f"{shallow}-2")
    made, found = harvest(store, f"{shallow}-2")
    assert found == {}
    assert [(item.id, item.reason) for item in read_verdicts(store, made)] == [
        ("village/pull/0000002", "absent-head"),
        ("village/pull/0000004", "absent-head"),
    ]


def test_pulls_whose_head_is_absent_get_a_verdict(store: Store, village: Path) -> None:
    head = run("git", "--git-dir", str(village), "rev-parse", "refs/pull/3/head").strip()
    (village / "objects" / head[:2] / head[2:]).unlink()
    made, found = harvest(store, village)
    assert made.counts == {"records": 3, "verdict:absent-head": 1}
    assert [(item.id, item.detail) for item in read_verdicts(store, made)] == [("village/pull/0000003", head)]
    assert sorted(found) == [1, 2, 4]
