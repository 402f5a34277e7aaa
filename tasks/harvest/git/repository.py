"""Reading a git repository without touching it.

Every repository is read through a *view*: a bare repository in the store's cache that has no refs and no remotes, only
the source's object folder as an alternate. So nothing is written to the source, its configuration (external diff
drivers, hooks, lazy fetching of a partial clone) has no effect, and a blob that is absent reads as absent. The few
calls that look at the source itself, for its references and its object folder, have no transport (`command.py`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tasks.base.errors import SourceError
from tasks.harvest.dates import seconds
from tasks.harvest.git.command import PIPE_BYTES, git, git_stream
from tasks.harvest.git.drivers import DIFF_ATTRIBUTES
from tasks.harvest.git.paths import display_path

NUMBER: Final = re.compile(r"[0-9]{1,9}")
"""A pull request's number; whatever else stands in its place is a name."""


MAX_ENTRIES: Final = 1_000_000
"""A tree with more files and folders is not read."""
MAX_LOOKED_AT: Final = 20_000
"""Commits in which removed files are looked for."""
MAX_PATH_BYTES: Final = 100_000
"""Longer paths exist in no file system."""


class Entry(NamedTuple):
    """One entry of a commit's tree."""

    path: str
    raw_path: bytes
    mode: str
    object_id: str
    bytes: int | None
    """Null for a submodule and for a blob that the repository lacks."""


class TreeTooLargeError(SourceError):
    """A tree has more entries than are read."""


@dataclass(frozen=True)
class Repository:
    """A view of a git repository's objects. All methods read; revisions are object ids."""

    folder: Path
    """The view's git directory."""

    def run(self, verb: str, *options: str, revisions: Sequence[str] = (), stdin: bytes | None = None) -> bytes:
        """Output of a git command (`command.git`).

        Raises:
            SourceError: git failed.
        """
        return git(verb, *options, at=self.folder, revisions=revisions, stdin=stdin)

    def first_parent_head(self, head: str, until: int) -> str | None:
        """The first commit on the first-parent line from `head` that was committed by `until` (seconds since 1970)."""
        found = self.run("rev-list", "--first-parent", "-1", f"--before=@{until} +0000", revisions=[head])
        return found.decode().strip() or None

    def cut(self) -> frozenset[str]:
        """Commits at which a shallow clone ends: git shows them without their parents. None in a whole one."""
        file = self.folder / "shallow"
        return frozenset(file.read_text("ascii").split()) if file.exists() else frozenset()

    def parents(self, revision: str) -> tuple[str, ...]:
        """A commit's parents as it names them, whether or not they are there."""
        head, _, _ = self.run("cat-file", "commit", revisions=[revision]).partition(b"\n\n")
        lines = [line.split() for line in head.split(b"\n")]
        return tuple(line[1].decode() for line in lines if line[0] == b"parent")

    def committed(self, revision: str) -> int:
        """Committer date of a commit, seconds since 1970; 0 if it has none that can be read."""
        head, _, _ = self.run("cat-file", "commit", revisions=[revision]).partition(b"\n\n")
        line = next((line for line in head.split(b"\n") if line.startswith(b"committer ")), b"")
        return seconds(line.rpartition(b"> ")[2].partition(b" ")[0])

    def absent(self, object_ids: Iterable[str]) -> set[str]:
        """Those of the objects that are not there."""
        wanted = "".join(f"{object_id}\n" for object_id in sorted(set(object_ids))).encode()
        listing = self.run("cat-file", "--batch-check=%(objecttype)", "--buffer", stdin=wanted).decode()
        return {line.split()[0] for line in listing.splitlines() if line.endswith(" missing")}

    def larger(self, object_ids: Iterable[str], most_bytes: int) -> set[str]:
        """Those of the objects that are there and have more bytes."""
        wanted = "".join(f"{object_id}\n" for object_id in sorted(set(object_ids))).encode()
        listing = self.run("cat-file", "--batch-check=%(objectname) %(objectsize)", "--buffer", stdin=wanted).decode()
        sizes = (line.split() for line in listing.splitlines() if not line.endswith(" missing"))
        return {object_id for object_id, size in sizes if int(size) > most_bytes}

    def entries(self, revision: str, most: int = MAX_ENTRIES) -> list[Entry]:
        """All entries of a commit's tree but folders, recursively, sorted by path as text.

        A few folders can contain each other so often that they list more files than there is memory, so the listing
        ends after `most` files and folders.

        Raises:
            TreeTooLargeError: there are more, or a path is longer than any system allows.
            SourceError: git failed.
        """
        options = ("-r", "-t", "-z", "-l", "--full-tree")  # with folders: empty ones would nest without a line
        found = []
        with git_stream("ls-tree", *options, at=self.folder, revisions=[revision]) as process:
            assert process.stdout is not None
            rest = b""
            listed = 0
            while block := process.stdout.read(PIPE_BYTES):
                *lines, rest = (rest + block).split(b"\0")
                listed += len(lines)
                if listed > most or len(rest) > MAX_PATH_BYTES:
                    raise TreeTooLargeError(f"the tree {revision} has more than {most:,} entries, or endless names")
                for line in lines:
                    facts, path = line.split(b"\t", 1)
                    mode, kind, object_id, size = facts.decode().split()
                    if kind != "tree":
                        size_bytes = int(size) if size.isdecimal() else None
                        found.append(Entry(display_path(path), path, mode, object_id, size_bytes))
        if process.returncode:
            raise SourceError(f"git ls-tree cannot list {revision}; run git fsck in the repository")
        return sorted(found)

    def removed_paths(self, revision: str) -> set[str]:
        """Paths of files that a commit on the first-parent line removed or renamed, present again or not.

        Looks at folders alone, so that a mirror needs no blobs for it; at most at the newest `MAX_LOOKED_AT` commits.
        """
        options = ("--first-parent", "-m", "--diff-filter=D", "--no-renames", "--name-only", "--format=", "-z")
        listing = self.run("log", f"--max-count={MAX_LOOKED_AT}", *options, revisions=[revision])
        return {display_path(path) for path in listing.split(b"\0") if path}

    def blobs(self, object_ids: Sequence[str]) -> Iterator[bytes | None]:
        """Contents of blobs in the order asked, None for an absent one; streams, holding one blob at a time."""
        with tempfile.TemporaryFile() as wanted:
            wanted.writelines(f"{object_id}\n".encode() for object_id in object_ids)
            wanted.seek(0)
            with git_stream("cat-file", "--batch", "--buffer", at=self.folder, stdin=wanted) as process:
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


def git_folder(path: Path) -> Path | None:
    """The git directory of the repository, bare or not, or of the work tree at exactly this path, or None."""
    try:
        answer = git(
            *("rev-parse", "--absolute-git-dir"),
            inside=path,
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
            return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", at=folder).decode().strip()
        except SourceError:
            continue
    return next(iter(branches.values())) if len(branches) == 1 else None


def origin(folder: Path) -> str | None:
    """The address that a git directory was cloned from, or None."""
    try:
        return os.fsdecode(git("config", "--get", "remote.origin.url", at=folder)).strip() or None
    except SourceError:
        return None


PULL_HEADS: Final = {"refs/pull": "head", "refs/merge-requests": "head", "refs/pull-requests": "from"}
"""Where GitHub, Gitea and Azure, GitLab, and Bitbucket Server keep the heads: below a number, under this name."""


def pull_heads(folder: Path) -> dict[int, str]:
    """Heads of pull and merge requests of a git directory, by number."""
    found: dict[int, str] = {}
    for prefix, head in PULL_HEADS.items():
        for name, object_id in _refs(folder, prefix):
            number, _, rest = name.removeprefix(f"{prefix}/").partition("/")
            if rest == head and NUMBER.fullmatch(number):
                found.setdefault(int(number), object_id)
    return found


def open_view(folder: Path, cache: Path) -> Repository:
    """The view of a git directory, made in `cache` if missing or if it is not what is made here."""
    view = cache / (hashlib.sha256(os.fsencode(folder)).hexdigest()[:20] + ".git")
    # A linked work tree has its objects elsewhere.
    facts = ("rev-parse", "--show-object-format", "--git-path", "objects")
    kind, _, objects = git(*facts, at=folder).rstrip(b"\n").partition(b"\n")
    wanted = {"info/attributes": DIFF_ATTRIBUTES.encode(), "objects/info/alternates": objects + b"\n"}
    if view.exists() and not _is_view(view, wanted):
        shutil.rmtree(view)
    if not view.exists():
        fresh = view.with_name(f"{view.name}.{uuid.uuid4().hex[:8]}")
        git("init", "--quiet", "--bare", "--template=", f"--object-format={kind.decode()}", operands=[str(fresh)])
        (fresh / "info").mkdir(exist_ok=True)
        for name, content in wanted.items():
            (fresh / name).write_bytes(content)
        (fresh / "made").write_bytes(_digest(fresh))
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


def _is_view(view: Path, wanted: Mapping[str, bytes]) -> bool:
    try:
        are_there = all((view / name).read_bytes() == content for name, content in wanted.items())
        return are_there and (view / "refs").is_dir() and (view / "made").read_bytes() == _digest(view)
    except OSError:
        return False


def _digest(view: Path) -> bytes:
    """Of the files by which git takes a folder for a repository."""
    return hashlib.sha256(b"\0".join((view / name).read_bytes() for name in ("HEAD", "config"))).hexdigest().encode()


def _refs(folder: Path, prefix: str) -> list[tuple[str, str]]:
    listing = git("for-each-ref", "--format=%(objectname) %(refname)", prefix, at=folder)
    pairs = (line.split(" ", 1) for line in listing.decode("utf-8", "replace").splitlines())
    return [(name, object_id) for object_id, name in pairs]
