"""Publishing to an emulated Hub with the real client."""

from pathlib import Path

import pytest

from tasks.base.errors import InputError, ReleaseError
from tasks.release import hub
from tasks.release.hub import check_access
from tasks.release.params import ReleaseParams
from tests.emulators.hub_api import Fault, HubEmulator
from tests.release.conftest import REPO, contents, make_release, on_hub

FIRST, SECOND = "snapshot/2024-01-31-11111111", "snapshot/2024-02-29-22222222"


def test_push_new_repository_is_private_and_holds_the_folder(emulator: HubEmulator, tmp_path: Path) -> None:
    folder = make_release(tmp_path / "one", 1)
    head = hub.push(folder, REPO, FIRST, private=True)
    repository = emulator.hub.repositories["models", REPO]
    assert repository.private
    assert on_hub(emulator, FIRST) == on_hub(emulator, "main") == contents(folder)
    assert repository.branches["main"] == head
    assert [commit.title for commit in repository.history("main")] == [f"Publish {FIRST}", "initial commit"]


def test_push_again_changes_nothing(emulator: HubEmulator, tmp_path: Path) -> None:
    folder = make_release(tmp_path / "one", 1)
    head = hub.push(folder, REPO, FIRST, private=True)
    before = len(emulator.writes())
    assert hub.push(folder, REPO, FIRST, private=True) == head
    assert len(emulator.writes()) == before


def test_push_second_release_replaces_every_file(emulator: HubEmulator, tmp_path: Path) -> None:
    hub.push(make_release(tmp_path / "one", 1), REPO, FIRST, private=True)
    second = make_release(tmp_path / "two", 2)
    (second / "merged" / "config.json").rename(second / "extra.json")
    hub.push(second, REPO, SECOND, private=True)
    assert on_hub(emulator, "main") == on_hub(emulator, SECOND) == contents(second)
    assert hub.promotions(REPO) == [FIRST, SECOND]


def test_make_latest_restores_identical_files_without_uploading(emulator: HubEmulator, tmp_path: Path) -> None:
    first = make_release(tmp_path / "one", 1)
    hub.push(first, REPO, FIRST, private=True)
    hub.push(make_release(tmp_path / "two", 2), REPO, SECOND, private=True)
    uploads = sum(method == "PUT" for method, _ in emulator.requests)
    hub.make_latest(REPO, FIRST, "Roll back to")
    assert on_hub(emulator, "main") == contents(first)
    assert hub.promotions(REPO) == [FIRST, SECOND, FIRST]
    assert sum(method == "PUT" for method, _ in emulator.requests) == uploads


def test_make_latest_of_unknown_release_is_refused(emulator: HubEmulator, tmp_path: Path) -> None:
    hub.push(make_release(tmp_path / "one", 1), REPO, FIRST, private=True)
    with pytest.raises(InputError, match="no branch snapshot/2024-02-29"):
        hub.make_latest(REPO, SECOND)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault("status", "PUT", "/upload/", status=503), marks=pytest.mark.slow),
        pytest.param(Fault("status", "POST", "/preupload/", status=429), marks=pytest.mark.slow),
        pytest.param(Fault("status", "POST", "/info/lfs/objects/batch", status=502), marks=pytest.mark.slow),
        pytest.param(Fault("status", "POST", "/repos/create", status=429), marks=pytest.mark.slow),
        pytest.param(Fault("status", "GET", "/tree/", status=503, times=3), marks=pytest.mark.slow),
        Fault("status", "POST", "/commit/", status=500),
        pytest.param(Fault("status", "POST", "/commit/", status=429), marks=pytest.mark.slow),
        Fault("truncate", "PUT", "/upload/"),
        pytest.param(Fault("corrupt", "PUT", "/upload/"), marks=pytest.mark.slow),
        pytest.param(Fault("drop_before", "PUT", "/upload/"), marks=pytest.mark.slow),
        pytest.param(Fault("drop_before", "POST", "/commit/"), marks=pytest.mark.slow),
        pytest.param(Fault("drop_after", "POST", "/commit/snapshot"), marks=pytest.mark.slow),
        Fault("drop_after", "POST", "/commit/main"),
        Fault("drop_after", "POST", "/branch/"),
    ],
    ids=str,
)
def test_push_through_a_fault_ends_with_one_commit_each(emulator: HubEmulator, tmp_path: Path, fault: Fault) -> None:
    folder = make_release(tmp_path / "one", 1)
    emulator.plant(fault)
    try:
        hub.push(folder, REPO, FIRST, private=True)
    except ReleaseError:
        hub.push(folder, REPO, FIRST, private=True)
    assert fault.reached.is_set()
    assert on_hub(emulator, "main") == contents(folder)
    titles = [commit.title for commit in emulator.hub.repositories["models", REPO].history("main")]
    assert titles == [f"Publish {FIRST}", "initial commit"]


def test_push_hub_that_keeps_damaging_files_never_reaches_main(emulator: HubEmulator, tmp_path: Path) -> None:
    first = make_release(tmp_path / "one", 1)
    hub.push(first, REPO, FIRST, private=True)
    emulator.plant(Fault("corrupt", "PUT", "/upload/", times=100))
    with pytest.raises(ReleaseError, match="other hashes"):
        hub.push(make_release(tmp_path / "two", 2), REPO, SECOND, private=True)
    assert on_hub(emulator, "main") == contents(first)


def test_push_card_that_the_hub_does_not_accept_never_reaches_main(emulator: HubEmulator, tmp_path: Path) -> None:
    first = make_release(tmp_path / "one", 1)
    hub.push(first, REPO, FIRST, private=True)
    second = make_release(tmp_path / "two", 2)
    (second / "README.md").write_text("---\nlicense: Not A Licence\n---\n# Release\n")
    with pytest.raises(ReleaseError, match="license"):
        hub.push(second, REPO, SECOND, private=True)
    assert on_hub(emulator, "main") == contents(first)


def test_push_while_somebody_else_commits_is_retried_on_their_commit(emulator: HubEmulator, tmp_path: Path) -> None:
    first = make_release(tmp_path / "one", 1)
    hub.push(first, REPO, FIRST, private=True)
    emulator.plant(Fault("status", "POST", "/commit/main", status=412))
    second = make_release(tmp_path / "two", 2)
    hub.push(second, REPO, SECOND, private=True)
    assert on_hub(emulator, "main") == contents(second)


@pytest.mark.parametrize("token", ["write", "fine"])
def test_check_access_token_that_may_write_passes(
    emulator: HubEmulator, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    access = check_access(ReleaseParams(repo_id=REPO))
    assert access is not None
    assert (access.user, access.exists) == ("octocat", False)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("read", "read-only"),
        ("narrow", r"lacks repo\.write"),
        ("stranger", "role 'read' in octocat"),
        ("invalid", "401"),
        ("", "needs a token"),
    ],
)
def test_check_access_token_that_may_not_write_is_reported_without_the_token(
    emulator: HubEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str, says: str
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match=says) as caught:
        check_access(ReleaseParams(repo_id=REPO))
    assert "release.repo_id" in str(caught.value) or "HF_TOKEN" in str(caught.value)
    assert emulator.writes() == []


def test_check_access_public_repository_for_a_private_release_is_refused(emulator: HubEmulator, tmp_path: Path) -> None:
    hub.push(make_release(tmp_path / "one", 1), REPO, FIRST, private=False)
    with pytest.raises(InputError, match="is public"):
        check_access(ReleaseParams(repo_id=REPO))
    assert check_access(ReleaseParams(repo_id=REPO, private=False)) is not None
