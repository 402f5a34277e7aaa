"""Changed files of a pull request with patches, byte for byte as GitHub's files API gives them.

`git diff-tree` with GitHub's rename detection, built-in drivers (`drivers.py`) and `--inter-hunk-context=1`: of 266
patches in recordings of its API (PyGithub's tests/ReplayData, whose commits are public) 260 come out equal; five of the
others were edited by hand in the recording, and one of 2012 splits a hunk.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import IO, Any, Final, NamedTuple

from tasks.base.errors import SourceError
from tasks.harvest.decoding import decode
from tasks.harvest.git.command import git, git_stream
from tasks.harvest.git.objects import object_reader
from tasks.harvest.git.paths import display_path, unquote_path
from tasks.harvest.git.repository import Repository

_OPTIONS: Final = (
    "-r",
    "--raw",
    "-p",
    "-M",
    "--full-index",
    "--no-abbrev",
    "--inter-hunk-context=1",
    "--no-ext-diff",
    "--no-textconv",
)
_STATUSES: Final = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
MAX_CHANGED_FILES: Final = 20_000
"""A pull request with more changed files and folders is not compared; GitHub's own list ends at 3,000."""
MAX_PATCHED_BYTES: Final = 5_000_000
"""Files larger than this on either side have no patch."""
MAX_PULL_BYTES: Final = 16_000_000
"""The patches of a pull request end before the file with which they would exceed this."""

FOLDER, SUBMODULE = 0o040000, 0o160000
"""Modes of entries that are no blobs."""
_SETTINGS: Final = (f"core.bigFileThreshold={MAX_PATCHED_BYTES}",)
_HEADER: Final = re.compile(rb"^[0-9a-f]{40,64} [0-9a-f]{40,64}$")


class Change(NamedTuple):
    """One changed file."""

    path: str
    status: str
    previous_path: str | None
    patch: str | None
    """From the first `@@`, without the final newline; null for binary files, renames, mode changes, absent blobs."""
    left_out: str = ""
    """Why a patch is null that could have been made: `too-large`, `beyond-limit` or `unknown-encoding`."""

    def meta(self) -> dict[str, Any]:
        """The change as a document's `meta` bears it."""
        return {"path": self.path, "status": self.status, "previous_path": self.previous_path, "patch": self.patch}


class Changes(NamedTuple):
    """Changed files between two trees."""

    files: list[Change]
    whole: bool
    """False where a blob is absent, so that patches are missing and renames are not recognised."""


Trees = tuple[str, str]
"""Before and after."""


class Survey(NamedTuple):
    """What pairs of trees would take to compare."""

    blobs: set[str]
    """The blobs on either side of every changed file, which a mirror needs before `changed_files`."""
    too_many: set[Trees]
    """Pairs with more changed files and folders than `MAX_CHANGED_FILES`; their blobs are not listed."""


def survey(repository: Repository, trees: Sequence[Trees]) -> Survey:
    """Looks at the changed files of each pair without reading one.

    By folders and not by git, which unfolds all of a comparison before it says the first word of it: a few folders that
    contain each other many times are thousands of millions of files.
    """
    reader = object_reader(repository)
    found = Survey(set(), set())
    for pair in trees:
        blobs: set[str] = set()
        for number, (_, blob) in enumerate(changed_entries(reader, *pair)):
            if number > MAX_CHANGED_FILES:
                found.too_many.add(pair)
                break
            blobs.update([blob] if blob else ())
        else:
            found.blobs.update(blobs)
    return found


def changed_entries(reader: Any, before: str | None, after: str | None) -> Iterator[tuple[bytes, str | None]]:
    """Path and blob of changed files, old and new, and of changed folders, whose blob is None; read as it is asked.

    Args:
        reader: pygit2's repository.
        before: tree; None for no files.
        after: tree.
    """
    waiting: list[tuple[bytes, str | None, str | None]] = [(b"", before, after)]
    while waiting:
        path, *trees = waiting.pop()
        yield path, None
        old, new = (_entries(reader, tree) for tree in trees)
        for name in old.keys() | new.keys():
            either = old.get(name), new.get(name)
            if either[0] == either[1]:
                continue
            folders = [entry[1] if entry and entry[0] == FOLDER else None for entry in either]
            if any(folders):
                waiting.append((path + name + b"/", folders[0], folders[1]))
            yield from ((path + name, entry[1]) for entry in either if entry and entry[0] not in (FOLDER, SUBMODULE))


def _entries(reader: Any, tree: str | None) -> dict[bytes, tuple[int, str]]:
    """Mode and id by name; none of a tree that is absent."""
    found = reader.get(tree) if tree else None
    return {entry.raw_name: (int(entry.filemode), str(entry.id)) for entry in found or ()}


def changed_files(
    repository: Repository, trees: Sequence[Trees], oversized: AbstractSet[str] = frozenset()
) -> Iterator[Changes]:
    """Changed files between the trees of each pair, in the order asked; one git process for all of them.

    An absent blob ends that process; its pair is then read file by file and a new process goes on after it. So does a
    pair with more patches than `MAX_PULL_BYTES`, which has what came before.

    Args:
        repository: has the trees.
        trees: the pairs.
        oversized: blobs larger than `MAX_PATCHED_BYTES`.
    """
    done = 0
    while done < len(trees):
        for lines in _stream(repository, trees[done:]):
            yield Changes(_parse(repository, lines, oversized), whole=True)
            done += 1
            if lines[-1:] == [_CUT]:
                break
        else:
            if done < len(trees):
                yield Changes(_one_by_one(repository, *trees[done]), whole=False)
                done += 1


_CUT: Final = b""
"""Stands after the lines of a pair whose patches were broken off."""


@contextmanager
def _asked(trees: Sequence[Trees]) -> Iterator[IO[bytes]]:
    """What `diff-tree --stdin` reads."""
    with tempfile.TemporaryFile() as wanted:
        wanted.writelines(f"{before} {after}\n".encode() for before, after in trees)
        wanted.seek(0)
        yield wanted


def _stream(repository: Repository, trees: Sequence[Trees]) -> Iterator[list[bytes]]:
    """The lines of each pair's output; ends early, before a pair that git could not finish, or after one cut off."""
    with (
        _asked(trees) as wanted,
        git_stream(
            "diff-tree", "--stdin", *_OPTIONS, at=repository.folder, stdin=wanted, settings=_SETTINGS
        ) as process,
    ):
        assert process.stdout is not None
        lines: list[bytes] | None = None
        size = file = 0
        while line := process.stdout.readline(MAX_PULL_BYTES):
            if _HEADER.match(line):
                if lines is not None:
                    yield lines
                lines, size, file = [], 0, 0
            elif lines is not None:
                file = len(lines) if line.startswith(b"diff --git ") else file
                size += 0 if line.startswith(b":") else len(line)
                lines.append(line)
                if size > MAX_PULL_BYTES:
                    yield [*lines[:file], _CUT]
                    return
    if process.returncode == 0 and lines is not None:
        yield lines


def _parse(repository: Repository, lines: list[bytes], oversized: AbstractSet[str]) -> list[Change]:
    raw = [line for line in lines if line.startswith(b":")]
    patches: list[list[bytes]] = []
    cut = lines[-1:] == [_CUT]
    for line in lines[len(raw) :]:
        if line.startswith(b"diff --git "):
            patches.append([])
        elif patches:
            patches[-1].append(line)
    queue = iter(patches)
    changes = []
    for line in raw:
        change = _raw_change(line)
        shown = next(queue, None)
        if shown is None and cut:
            changes.append(change._replace(left_out="beyond-limit"))
            continue
        patch = _patch(repository, line, shown or [])
        if line.split(b"\t", 1)[0].split()[4][:1] == b"T":  # a change of type is shown as a removal and an addition
            patch = _patch(repository, line, next(queue, [])) or patch
        reason = ""
        if patch is None and not oversized.isdisjoint(_blobs(line)):
            reason = "too-large"
        elif patch is None and any(part.startswith(b"@@ ") for part in shown or []):
            reason = "unknown-encoding"
        changes.append(change._replace(patch=patch, left_out=reason))
    return changes


def _blobs(line: bytes) -> set[str]:
    """The blobs of a line of `--raw`."""
    before_mode, after_mode, before, after, _ = line[1:].split(b"\t", 1)[0].decode().split()
    return {blob for mode, blob in ((before_mode, before), (after_mode, after)) if mode not in ("000000", "160000")}


def _sides(change: bytes) -> list[str]:
    """The blob before and the one after; the other one where there is none."""
    before, after = change.split()[2:4]
    empty = b"0" * len(before)
    return [(before if before != empty else after).decode(), (after if after != empty else before).decode()]


def _raw_change(line: bytes) -> Change:
    facts, *paths = line.rstrip(b"\n").split(b"\t")
    status = _STATUSES.get(facts.split()[4][:1].decode(), "modified")
    names = [display_path(unquote_path(path)) for path in paths]
    return Change(names[-1], status, names[0] if len(names) > 1 else None, None)


def _patch(repository: Repository, change: bytes, lines: list[bytes]) -> str | None:
    """The hunks of a file's patch, if it has any in a known encoding; `change` is its line of `--raw`."""
    for number, line in enumerate(lines):
        if line.startswith(b"@@ "):
            text = _decoded(repository, change, lines[number:])
            return None if text is None else text.removesuffix("\n")
    return None


def _decoded(repository: Repository, change: bytes, lines: list[bytes]) -> str | None:
    """The lines of a patch in UTF-8 or, for each side of an old file, in what that whole file is in; None if unknown.

    Git cuts what it shows of a function behind `@@` within a character.
    """
    hunks = b"".join(line for line in lines if not line.startswith(b"@@ "))
    before = after = "utf-8"
    try:
        hunks.decode("utf-8")
    except UnicodeDecodeError:
        first, second = (decode(data or b"") for data in repository.blobs(_sides(change)))
        if first is None or second is None:
            return None
        before, after = first.encoding, second.encoding
    return "".join(line.decode(before if line.startswith(b"-") else after, "replace") for line in lines)


def _one_by_one(repository: Repository, before: str, after: str) -> list[Change]:
    options = ("-r", "--raw", "--no-renames", "--no-abbrev")
    listing = repository.run("diff-tree", *options, revisions=[before, after])
    changes = []
    for line in listing.splitlines(keepends=True):
        paths = [unquote_path(path) for path in line.rstrip(b"\n").split(b"\t")[1:]]
        found = _raw_change(line)
        pathspec = ":(literal)" + paths[-1].decode("utf-8", "surrogateescape")
        for lines in _single(repository, before, after, pathspec):
            found = found._replace(patch=_patch(repository, line, lines))
        changes.append(found)
    return changes


def _single(repository: Repository, before: str, after: str, pathspec: str) -> Iterator[list[bytes]]:
    try:
        patch = git(
            "diff-tree",
            *_OPTIONS,
            at=repository.folder,
            revisions=[before, after],
            operands=[pathspec],
            settings=_SETTINGS,
        )
    except SourceError:  # a blob is absent
        return
    yield patch.splitlines(keepends=True)
