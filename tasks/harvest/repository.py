"""Reading a git repository without touching it.

Every repository is read through a *view*: a bare repository in the store's cache that has no refs and no remotes, only
the source's object folder as an alternate. So nothing is written to the source, its configuration (external diff
drivers, hooks, lazy fetching of a partial clone) has no effect, and a blob that is absent reads as absent.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError, SourceError
from tasks.harvest.drivers import DIFF_ATTRIBUTES

PIPE_BYTES: Final = 1 << 20
"""Room between git and this process: with the usual 64 KiB both wait for each other most of the time."""


_OF_NETWORK: Final = ("GIT_CONFIG_", "GIT_SSH", "GIT_SSL_", "GIT_PROXY_", "GIT_ASKPASS")


@dataclass(frozen=True)
class Repository:
    """A view of a git repository's objects. All methods read; revisions are object ids."""

    folder: Path
    """The view's git directory."""

    def run(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Output of a git command.

        Raises:
            SourceError: git failed.
        """
        return git("--git-dir", str(self.folder), *arguments, stdin=stdin)

    def first_parent_head(self, head: str, until: int) -> str | None:
        """The first commit on the first-parent line from `head` that was committed by `until` (seconds since 1970)."""
        found = self.run("rev-list", "--first-parent", "-1", f"--before=@{until} +0000", head).decode().strip()
        return found or None

    def cut(self) -> frozenset[str]:
        """Commits at which a shallow clone ends: git shows them without their parents. None in a whole one."""
        file = self.folder / "shallow"
        return frozenset(file.read_text("ascii").split()) if file.exists() else frozenset()

    def parents(self, revision: str) -> tuple[str, ...]:
        """A commit's parents as it names them, whether or not they are there."""
        head, _, _ = self.run("cat-file", "commit", revision).partition(b"\n\n")
        lines = [line.split() for line in head.split(b"\n")]
        return tuple(line[1].decode() for line in lines if line[0] == b"parent")

    def committed(self, revision: str) -> int:
        """Committer date of a commit, seconds since 1970."""
        return int(self.run("show", "-s", "--format=%ct", revision).split()[-1])

    def absent(self, object_ids: Iterable[str]) -> set[str]:
        """Those of the objects that are not there."""
        wanted = "".join(f"{object_id}\n" for object_id in sorted(set(object_ids))).encode()
        listing = self.run("cat-file", "--batch-check=%(objecttype)", "--buffer", stdin=wanted).decode()
        return {line.split()[0] for line in listing.splitlines() if line.endswith(" missing")}

    def blobs(self, object_ids: Sequence[str]) -> Iterator[bytes | None]:
        """Contents of blobs in the order asked, None for an absent one; streams, holding one blob at a time."""
        with tempfile.TemporaryFile() as wanted:
            wanted.writelines(f"{object_id}\n".encode() for object_id in object_ids)
            wanted.seek(0)
            command = _command("--git-dir", str(self.folder), "cat-file", "--batch", "--buffer")
            with subprocess.Popen(
                command,
                stdin=wanted,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=clean_environment(),
                bufsize=PIPE_BYTES,
                pipesize=PIPE_BYTES,
            ) as process:
                assert process.stdout is not None
                for object_id in object_ids:
                    header = process.stdout.readline().split()
                    if len(header) == 2:  # "<id> missing"
                        yield None
                        continue
                    if len(header) != 3:
                        raise SourceError(f"git cat-file stopped at object {object_id}; the repository may be damaged")
                    yield process.stdout.read(int(header[2]))
                    process.stdout.read(1)


def git(
    *arguments: str, stdin: bytes | None = None, environment: dict[str, str] | None = None, configured: bool = False
) -> bytes:
    """Output of a git command, without any configuration of this machine or its user unless `configured` asks for it.

    Raises:
        InputError: git is not installed.
        SourceError: git failed; the message is what git called fatal.
    """
    try:
        done = subprocess.run(
            _command(*arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=clean_environment(configured) | (environment or {}),
            check=False,
        )
    except FileNotFoundError as error:
        raise InputError("git is not installed or not on PATH; install git 2.30 or newer") from error
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        complaint = next((line.removeprefix("fatal: ") for line in lines if line.startswith("fatal: ")), lines[-1])
        raise SourceError(f"git {_verb(arguments)}: {complaint}")
    return done.stdout


def git_folder(path: Path) -> Path | None:
    """The git directory of the repository, bare or not, or of the work tree at exactly this path, or None."""
    try:
        answer = git(
            *("-C", str(path), "rev-parse", "--absolute-git-dir"),
            environment={"GIT_CEILING_DIRECTORIES": str(path.absolute().parent)},
        )
    except SourceError:
        return None
    return Path(os.fsdecode(answer.rstrip(b"\n")))


def head_commit(folder: Path) -> str | None:
    """The commit that HEAD names, or, where it names nothing, main, master or the only branch; else None."""
    branches = dict(_refs(folder, "refs/heads"))
    for name in ("HEAD", "refs/heads/main", "refs/heads/master"):
        try:
            return (
                git("--git-dir", str(folder), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
            )
        except SourceError:
            continue
    return next(iter(branches.values())) if len(branches) == 1 else None


def pull_heads(folder: Path) -> dict[int, str]:
    """Heads under `refs/pull/N/head` of a git directory, by pull number."""
    found = {}
    for name, object_id in _refs(folder, "refs/pull"):
        parts = name.split("/")
        if len(parts) == 4 and parts[3] == "head" and parts[2].isdigit():
            found[int(parts[2])] = object_id
    return found


def open_view(folder: Path, cache: Path) -> Repository:
    """The view of a git directory, made in `cache` if missing."""
    view = cache / (hashlib.sha256(os.fsencode(folder)).hexdigest()[:20] + ".git")
    if not view.exists():
        # A linked work tree has its objects elsewhere.
        facts = ("rev-parse", "--show-object-format", "--git-path", "objects")
        kind, _, objects = git("--git-dir", str(folder), *facts).rstrip(b"\n").partition(b"\n")
        fresh = view.with_name(f"{view.name}.{uuid.uuid4().hex[:8]}")
        git("init", "--quiet", "--bare", "--template=", f"--object-format={kind.decode()}", str(fresh))
        (fresh / "info").mkdir(exist_ok=True)
        (fresh / "info" / "attributes").write_text(DIFF_ATTRIBUTES, "utf-8")
        (fresh / "objects" / "info" / "alternates").write_bytes(objects + b"\n")
        try:
            fresh.rename(view)
        except OSError:  # another process made it first
            shutil.rmtree(fresh)
    alternates = (view / "objects" / "info" / "alternates").read_bytes()
    shallow = Path(os.fsdecode(alternates.rstrip(b"\n"))).parent / "shallow"
    if shallow.exists():
        shutil.copyfile(shallow, view / "shallow")
    else:
        (view / "shallow").unlink(missing_ok=True)
    return Repository(view)


def clean_environment(configured: bool = False) -> dict[str, str]:
    """This process's environment without git's own variables and without anything that could prompt.

    Args:
        configured: keep the user's configuration, which knows proxies and credential helpers.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or (configured and name.startswith(_OF_NETWORK))
    }
    hermetic = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
    always = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    return kept | ({} if configured else hermetic) | always


def _command(*arguments: str) -> list[str]:
    # `safe.directory` is honoured from the command line only; a repository of another user is read all the same.
    return ["git", "-c", "safe.directory=*", "-c", "core.quotePath=true", *arguments]


def _verb(arguments: Sequence[str]) -> str:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        rest = rest[2 if rest[0] in ("-C", "--git-dir", "-c") else 1 :]
    return rest[0] if rest else ""


def _refs(folder: Path, prefix: str) -> list[tuple[str, str]]:
    listing = git("--git-dir", str(folder), "for-each-ref", "--format=%(objectname) %(refname)", prefix)
    pairs = (line.split(" ", 1) for line in listing.decode("utf-8", "replace").splitlines())
    return [(name, object_id) for object_id, name in pairs]
