"""Repositories, addresses and pull requests that mean harm: what a stranger controls runs nothing, hangs nothing and
breaks nothing.
"""

import datetime
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError, RawtuneError, SourceError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.git.command import git, git_environment
from tasks.harvest.git.mirror import open_source
from tasks.harvest.git.opened import open_repository
from tasks.harvest.git.repository import PULL_HEADS
from tasks.harvest.params import Remote, ResolvedPulls, ResolvedSource, Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.harvest.wiki.pages import wiki
from tasks.harvest.wiki.source import named_wiki
from tests.emulators.github_api import Github
from tests.harvest.histories import START, History, run
from tests.harvest.town import harvest as harvest_town
from tests.peak import peak_of

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
COMMANDS = (
    "--upload-pack=touch${IFS}PWNED;x@y:",
    "--upload-pack=touch PWNED",
    "-u touch${IFS}PWNED",
    "-c core.sshCommand=touch",
    "ext::sh -c touch% PWNED",
    "ext::touch${IFS}PWNED@x:y",
    "ssh://-oProxyCommand=touch${IFS}PWNED/x",
    "-oProxyCommand=touch${IFS}PWNED@x:y",
    "x@-oProxyCommand=touch${IFS}PWNED:y",
    "file:///nowhere\n--upload-pack=touch PWNED",
    "fd::17/PWNED",
)


def resolved(store: Store, repo: Path | str, **wish: Any) -> ResolvedSource:
    return resolve_source(SourceParams.model_validate({"repo": str(repo), **wish}), Servers(), NOW, store)


def harvest_all(store: Store, repo: Path | str, **wish: Any) -> None:
    found = resolved(store, repo, **wish)
    assert found.pulls
    assert found.wiki
    snapshot.direct(store, source=found.snapshot, params=SourceParams(repo=str(repo)).files)
    pulls.direct(store, source=found.pulls)
    wiki.direct(store, source=found.wiki)


def read_pulls(uri: str, source: ResolvedPulls) -> Artifact:
    return pulls.direct(Store(uri), source=source)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    history = History()
    first = history.commit("refs/heads/main", {"a.py": b"a = 1\n", ".gitattributes": b"*.x linguist-generated\n"}, 0)
    history.commit("refs/pull/1/head", {"a.py": b"a = 2\n"}, 1, [first], "Two\n")
    return history.write(tmp_path / "town.git")


@pytest.mark.parametrize("address", COMMANDS)
@pytest.mark.parametrize("field", ["repo", "wiki"])
def test_address_that_is_a_command_runs_nothing(
    tmp_path: Path, repository: Path, store: Store, monkeypatch: pytest.MonkeyPatch, address: str, field: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"repo": str(repository)} | {field: address}
    with pytest.raises((ValidationError, RawtuneError)):
        resolve_source(SourceParams.model_validate(given), Servers(), NOW, store)
    with pytest.raises((ValidationError, RawtuneError)):  # whoever calls below the parameters
        open_repository(address, "sources.repo", store)
    with pytest.raises((ValidationError, RawtuneError)):
        named_wiki(address, "town", 2**31, store)
    assert not (tmp_path / "PWNED").exists()


def test_parameters_refuse_addresses_that_begin_with_a_dash() -> None:
    for make in (
        lambda: SourceParams(repo="-x"),
        lambda: SourceParams(repo="a/b", wiki="--upload-pack=x"),
        lambda: Remote(url="-x"),
        lambda: SourceParams(repo="a\nb"),
    ):
        with pytest.raises(ValidationError, match="begins with a dash or has control characters"):
            make()
    assert SourceParams(repo="./-odd").repo == "./-odd"


@pytest.mark.slow
def test_command_line_refuses_an_address_that_is_a_command(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("rawtune")), "plan", "dry-run", "--set"]
    done = subprocess.run(
        [*command, f'sources.0.repo="{COMMANDS[0]}"', "--store", str(tmp_path / "store")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "begins with a dash" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("transport", ["uploadpack", "vcs", "url"])
def test_partial_clone_with_a_command_of_its_own_does_not_run_it(
    tmp_path: Path, repository: Path, store: Store, transport: str
) -> None:
    mark = tmp_path / "PWNED"
    program = tmp_path / "git-remote-harm"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    hostile = {
        "uploadpack": f"\turl = {tmp_path}\n\tuploadpack = {program}\n",
        "vcs": "\turl = x\n\tvcs = harm\n",
        "url": f"\turl = ext::{program}\n",
    }[transport]
    with (repository / "config").open("a") as config:
        config.write(f'[extensions]\n\tpartialClone = origin\n[remote "origin"]\n\tpromisor = true\n{hostile}')
        config.write("[core]\n\trepositoryformatversion = 1\n[protocol]\n\tallow = always\n")
    head = run("git", "--git-dir", str(repository), "rev-parse", "main").strip()
    for missing in (head, run("git", "--git-dir", str(repository), "rev-parse", "main:a.py").strip()):
        (repository / "objects" / missing[:2] / missing[2:]).unlink(missing_ok=True)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{tmp_path}:{path}"
    try:
        with pytest.raises((InputError, SourceError)):
            harvest_all(store, repository)
        with pytest.raises(SourceError):
            git("cat-file", "-p", at=repository, revisions=[head])
        open_source(str(repository), store).absent([head])
    finally:
        os.environ["PATH"] = path
    assert not mark.exists()


RECORDER = """#!{python}
import os, sys
with open({log!r}, "ab") as log:
    told = [name + "=" + os.environ.get(name, "") for name in ("GIT_ALLOW_PROTOCOL", "GIT_CONFIG_GLOBAL")]
    log.write("\\0".join([*told, *sorted(os.environ), "#", *sys.argv[1:]]).encode() + b"\\n")
os.execv({git!r}, ["git", *sys.argv[1:]])
"""
OPTIONS_OF_GIT = ("-c", "-C")
WORDS = {
    "commit",
    "blob",
    "tree",
    "remote.origin.url",
    "linguist-generated",
    "linguist-vendored",
    "refs/heads",
    "HEAD",
    *PULL_HEADS,
}
WORDS |= {"HEAD^{commit}", "refs/heads/main^{commit}", "refs/heads/master^{commit}", "objects"}
PLANTED = ("PGPASSWORD", "GITHUB_PAT", "PREFECT_API_AUTH_STRING", "DATABASE_URL", "OPENAI_API_KEY", "GITHUB_TOKEN")


def test_every_call_of_git_has_addresses_and_paths_behind_dashes(
    tmp_path: Path, repository: Path, store: Store, github: Github, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    log = tmp_path / "calls"
    recorder = tmp_path / "bin" / "git"
    recorder.parent.mkdir()
    recorder.write_text(RECORDER.format(python=sys.executable, log=str(log), git=real))
    recorder.chmod(0o755)
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "Home.md").write_text("# Home\n")
    monkeypatch.setenv("PATH", f"{recorder.parent}:{os.environ['PATH']}")
    for name in PLANTED:
        monkeypatch.setenv(name, "ghp_town")

    harvest_all(store, repository, wiki=str(pages))
    blob = run(real, "--git-dir", str(repository), "rev-parse", "refs/pull/1/head:a.py").strip()
    bare = tmp_path / "-odd.git"
    run(real, "clone", "--quiet", "--mirror", str(repository), str(bare))
    harvest_all(Store(str(tmp_path / "second")), f"file://localhost{bare}")
    (repository / "objects" / blob[:2] / blob[2:]).unlink()
    harvest_all(Store(str(tmp_path / "third")), repository)
    harvest_town(Store(str(tmp_path / "fourth")), github)

    calls = [line.split("\0") for line in log.read_text().splitlines()]
    ours = [call for call in calls if "core.quotePath=true" in call]
    assert len(ours) > 40
    verbs = set()
    for call in ours:
        allowed, configured = call[0].partition("=")[2], call[1].partition("=")[2]
        split = call.index("#")
        assert set(call[2:split]).isdisjoint(PLANTED)
        arguments = call[split + 1 :]
        while arguments[0].startswith("-"):
            width = 2 if arguments[0] in OPTIONS_OF_GIT else 1
            assert width == 2 or arguments[0].startswith("--git-dir=/")
            assert arguments[0] != "-C" or arguments[1].startswith("/")
            arguments = arguments[width:]
        verb, *rest = arguments
        verbs.add(verb)
        before = rest[: rest.index("--")] if "--" in rest else rest
        for word in before:
            assert word.startswith("-") or word in WORDS or len(word) in (40, 64), (verb, rest)
            assert str(tmp_path) not in word, (verb, rest)
            assert "://" not in word, (verb, rest)
        if verb in ("fetch", "ls-remote"):
            assert allowed == "file:git:http:https:ssh"
        else:
            assert (allowed, configured) == ("none", os.devnull), (verb, rest)
    assert {"fetch", "ls-remote", "init", "add", "diff-tree", "ls-tree", "cat-file", "log", "rev-list"} <= verbs


def test_git_is_called_in_one_place_only() -> None:
    """The two others call pandoc and this Python."""
    root = Path(__file__).parents[2]
    calling = {
        str(path.relative_to(root))
        for folder in ("tasks/harvest", "tasks/corpus", "tasks/text")
        for path in (root / folder).rglob("*.py")
        if "subprocess" in path.read_text("utf-8")
    }
    assert calling == {
        "tasks/harvest/documents/convert.py",
        "tasks/harvest/git/command.py",
        "tasks/harvest/wiki/markup.py",
    }


def test_git_gets_nothing_that_it_has_no_use_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLANTED:
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    assert "planted" not in (git_environment() | git_environment(network=True)).values()
    assert "GIT_DIR" not in git_environment(network=True)
    assert git_environment(network=True)["SSH_AUTH_SOCK"] == "/agent"
    assert "SSH_AUTH_SOCK" not in git_environment()


def test_revision_that_is_no_object_id_is_refused(repository: Path) -> None:
    for revision in ("--output=x", "main", "HEAD", "", "a" * 39, "A" * 40, f"{'a' * 40} "):
        with pytest.raises(SourceError, match="is not the id of an object"):
            git("show", "-s", at=repository, revisions=[revision])


def odd_commit(folder: Path, parent: str, tree: str, date: str, message: str) -> str:
    """Writes a commit object with a date as given, whatever git thinks of it."""
    text = f"tree {tree}\nparent {parent}\nauthor A <a@b> {date} +0000\ncommitter A <a@b> {date} +0000\n\n{message}"
    command = ["git", "--git-dir", str(folder), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode().strip()


@pytest.mark.parametrize("date", ["999999999999", "99999999999999999999", "-5", "1", "x"])
@pytest.mark.parametrize("message", ["Merge pull request #" + "7" * 5000 + " from a/b\n", f"Add (#{'7' * 5000})\n"])
def test_one_odd_commit_breaks_nothing(repository: Path, store: Store, date: str, message: str) -> None:
    git_dir = ("git", "--git-dir", str(repository))
    head = run(*git_dir, "rev-parse", "main").strip()
    side = run(*git_dir, "rev-parse", "refs/pull/1/head").strip()
    odd = odd_commit(repository, head, run(*git_dir, "rev-parse", "refs/pull/1/head^{tree}").strip(), date, message)
    run(*git_dir, "update-ref", "refs/heads/main", odd)
    run(*git_dir, "update-ref", "refs/pull/2/head", odd)
    for name in ("²", "7" * 5000, "٣", "-1", "+1", "1_0"):
        place = repository / "refs" / "pull" / name[:200] / "head"
        place.parent.mkdir(parents=True)
        place.write_text(f"{side}\n")
    found = resolved(store, repository)
    assert found.pulls
    made = pulls.direct(store, source=found.pulls)
    numbers = {item.meta["number"] for item in read_records(store, made, Document)}
    unread = {int(item.id[-7:]) for item in read_verdicts(store, made) if item.reason == "unreadable-commit"}
    if date in ("-5", "1"):
        assert (numbers, unread) == ({1, 2}, set())
    elif date == "999999999999":  # that is after the date of the snapshot
        assert (numbers, unread) == ({1}, set())
    else:  # libgit2 makes no commit of it
        assert numbers | unread == {1, 2}


@pytest.mark.parametrize("encoding", ["GBK", "no-such-encoding", "utf-16"])
def test_commit_whose_header_lies_about_its_encoding_is_read(repository: Path, store: Store, encoding: str) -> None:
    head = run("git", "--git-dir", str(repository), "rev-parse", "main").strip()
    tree = run("git", "--git-dir", str(repository), "rev-parse", "refs/pull/1/head^{tree}").strip()
    who = f"Zoë <z@b> {int(START.timestamp())} +0000"
    text = f"tree {tree}\nparent {head}\nauthor {who}\ncommitter {who}\nencoding {encoding}\n\n修复按钮 a€\n"
    command = ["git", "--git-dir", str(repository), "hash-object", "-t", "commit", "-w", "--stdin"]
    odd = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout.decode().strip()
    run("git", "--git-dir", str(repository), "update-ref", "refs/pull/3/head", odd)
    found = resolved(store, repository)
    assert found.pulls
    made = pulls.direct(store, source=found.pulls)
    third = next(item for item in read_records(store, made, Document) if item.meta["number"] == 3)
    assert (third.title, third.meta["author"]) == ("修复按钮 a€", "Zoë")


@pytest.mark.slow
def test_sixty_paths_to_one_large_blob_have_no_patches(repository: Path, store: Store) -> None:
    """20 MB under 60 names would be 1.2 GB of patches; of files below that limit those come that fit 16 MB."""
    large = b"0123456789abcdef\n" * 1_200_000
    middling = b"0123456789abcdef\n" * 200_000
    history = History()
    first = history.commit("refs/heads/other", {"b": b"b\n"}, 0)
    history.commit("refs/pull/7/head", {f"large/{number:02}": large for number in range(3)}, 1, [first])
    history.commit("refs/pull/8/head", {f"file/{number:02}": middling for number in range(60)}, 2, [first])
    history.write(repository)
    tree = ("git", "--git-dir", str(repository), "mktree")
    blob = run("git", "--git-dir", str(repository), "rev-parse", "refs/pull/7/head:large/00").strip()
    listing = "".join(f"100644 blob {blob}\t{number:02}\n" for number in range(60))
    sixty = subprocess.run(tree, input=listing.encode(), capture_output=True, check=True).stdout.decode().strip()
    head = run("git", "--git-dir", str(repository), "rev-parse", "refs/heads/other").strip()
    bomb = odd_commit(repository, head, sixty, str(int(START.timestamp()) + 9), "Sixty\n")
    run("git", "--git-dir", str(repository), "update-ref", "refs/pull/9/head", bomb)

    found = resolved(store, repository)
    assert found.pulls
    made, peak_bytes = peak_of(read_pulls, store.uri, found.pulls)
    assert peak_bytes < 400e6  # 257 MB were measured, the imports among them
    records = {item.meta["number"]: item for item in read_records(store, made, Document)}
    files = {number: records[number].meta["files"] for number in (7, 8, 9)}
    assert [len([file for file in files[number] if file["patch"]]) for number in (7, 8, 9)] == [1, 5, 0]
    assert [len(files[number]) for number in (7, 8, 9)] == [4, 61, 60]
    assert made.counts["verdict:patch-too-large"] == 3 + 60
    assert made.counts["verdict:patch-beyond-limit"] == 61 - 5


def bomb(folder: Path, depth: int) -> str:
    """A tree of 100 ** depth pages in a few hundred bytes each level."""
    command = ["git", "--git-dir", str(folder), "mktree"]
    blob = run("git", "--git-dir", str(folder), "rev-parse", "main:a.py").strip()
    entry, ending = f"100644 blob {blob}", ".md"
    for _ in range(depth):
        listing = "".join(f"{entry}\t{number:02}{ending}\n" for number in range(100))
        tree = subprocess.run(command, input=listing.encode(), capture_output=True, check=True).stdout.decode().strip()
        entry, ending = f"040000 tree {tree}", ""
    return tree


def test_bombs_of_trees_are_not_unfolded(repository: Path, store: Store) -> None:
    tree = bomb(repository, 5)  # 10 thousand million pages
    git_dir = ("git", "--git-dir", str(repository))
    head = run(*git_dir, "rev-parse", "main").strip()
    odd = odd_commit(repository, head, tree, str(int(START.timestamp()) + 9), "Everything\n")
    run(*git_dir, "update-ref", "refs/pull/2/head", odd)
    pages = repository.with_name("town.wiki.git")
    run("git", "clone", "--quiet", "--bare", str(repository), str(pages))
    run("git", "--git-dir", str(pages), "update-ref", "refs/heads/main", odd)

    found = resolved(store, repository)
    assert found.pulls
    assert found.wiki
    made = pulls.direct(store, source=found.pulls)
    records = {item.meta["number"]: item for item in read_records(store, made, Document)}
    assert (records[2].title, records[2].meta["files"]) == ("Everything", [])
    assert records[1].meta["files"][0]["patch"]
    verdicts = [(item.id, item.reason) for item in read_verdicts(store, made)]
    assert verdicts == [("town/pull/0000002", "too-many-files")]
    empty = wiki.direct(store, source=found.wiki)
    assert [(item.id, item.reason) for item in read_verdicts(store, empty)] == [("town/wiki", "too-many-files")]


@pytest.mark.slow
def test_bomb_in_the_repository_itself_is_told_in_one_line(repository: Path, store: Store) -> None:
    head = run("git", "--git-dir", str(repository), "rev-parse", "main").strip()
    odd = odd_commit(repository, head, bomb(repository, 5), str(int(START.timestamp()) + 9), "Everything\n")
    run("git", "--git-dir", str(repository), "update-ref", "refs/heads/main", odd)
    found = resolved(store, repository).snapshot
    with pytest.raises(SourceError, match="more than 1,000,000 entries"):
        snapshot.direct(store, source=found, params=SourceParams(repo="x").files)


def test_large_page_of_a_wiki_is_left_out_unread(repository: Path, store: Store) -> None:
    history = History()
    history.commit("refs/heads/main", {"Home.md": b"# Home\n", "Large.md": b"word " * 400_000}, 0)
    history.write(repository.with_name("town.wiki.git"))
    found = resolved(store, repository).wiki
    assert found
    made = wiki.direct(store, source=found)
    assert [item.path for item in read_records(store, made, Document)] == ["Home.md"]
    assert [(item.id, item.reason, item.detail) for item in read_verdicts(store, made)] == [
        ("town/wiki/Large.md", "too-large", "2000000 bytes")
    ]


def test_message_of_a_megabyte_is_left_out(repository: Path, store: Store) -> None:
    head = run("git", "--git-dir", str(repository), "rev-parse", "main").strip()
    tree = run("git", "--git-dir", str(repository), "rev-parse", "refs/pull/1/head^{tree}").strip()
    odd = odd_commit(repository, head, tree, str(int(START.timestamp()) + 9), "Words\n" + "a" * 1_000_000)
    run("git", "--git-dir", str(repository), "update-ref", "refs/pull/2/head", odd)
    found = resolved(store, repository)
    assert found.pulls
    made = pulls.direct(store, source=found.pulls)
    second = next(item for item in read_records(store, made, Document) if item.meta["number"] == 2)
    assert second.meta["commits"] == [{"sha": odd, "message": ""}]
    assert made.counts["verdict:message-too-large"] == 1


def test_damaged_diff_cache_is_made_again(repository: Path, store: Store) -> None:
    found = resolved(store, repository)
    assert found.pulls
    before = pulls.direct(store, source=found.pulls)
    (file,) = store.local("cache", "diffs").glob("diffs-*.sqlite")
    with closing(sqlite3.connect(file)) as cache, cache:
        changed = cache.execute("UPDATE kept SET value = CAST(replace(value, 'a = 2', 'a = 9') AS BLOB)").rowcount
    assert changed == 1
    again = Store(str(Path(store.uri).with_name("again")))
    shutil.copytree(store.local("cache"), again.local("cache"), dirs_exist_ok=True)
    assert pulls.direct(again, source=found.pulls).sha256 == before.sha256
    file.write_bytes(b"no database")
    third = Store(str(Path(store.uri).with_name("third")))
    shutil.copytree(store.local("cache"), third.local("cache"), dirs_exist_ok=True)
    assert pulls.direct(third, source=found.pulls).sha256 == before.sha256
