"""Changed files of a pull request with patches, byte for byte as GitHub's files API gives them.

`git diff-tree` with GitHub's rename detection, built-in drivers (`drivers.py`) and `--inter-hunk-context=1`: of 266
patches in recordings of its API (PyGithub's tests/ReplayData, whose commits are public) 260 come out equal; five of the
others were edited by hand in the recording, and one of 2012 splits a hunk.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tasks.harvest.paths import display_path, unquote_path
from tasks.harvest.repository import Repository, clean_environment

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
_HEADER: Final = re.compile(rb"^[0-9a-f]{40,64} [0-9a-f]{40,64}$")


class Change(NamedTuple):
    """One changed file."""

    path: str
    status: str
    previous_path: str | None
    patch: str | None
    """From the first `@@`, without the final newline; null for binary files, renames, mode changes, absent blobs."""

    def meta(self) -> dict[str, Any]:
        """The change as a document's `meta` bears it."""
        return {"path": self.path, "status": self.status, "previous_path": self.previous_path, "patch": self.patch}


class Changes(NamedTuple):
    """Changed files between two trees."""

    files: list[Change]
    whole: bool
    """False where a blob is absent, so that patches are missing and renames are not recognised."""


def changed_files(repository: Repository, trees: Sequence[tuple[str, str]]) -> Iterator[Changes]:
    """Changed files between the trees of each pair, in the order asked; one git process for all of them.

    An absent blob ends that process; its pair is then read file by file and a new process goes on after it.
    """
    done = 0
    while done < len(trees):
        for lines in _stream(repository, trees[done:]):
            yield Changes(_parse(lines), whole=True)
            done += 1
        if done < len(trees):
            yield Changes(_one_by_one(repository, *trees[done]), whole=False)
            done += 1


def blobs_of_changes(repository: Repository, trees: Sequence[tuple[str, str]]) -> set[str]:
    """The blobs on either side of every changed file, which a mirror needs before `changed_files`."""
    wanted = "".join(f"{before} {after}\n" for before, after in trees).encode()
    listing = repository.run("diff-tree", "--stdin", "-r", "--raw", "--no-renames", "--no-abbrev", stdin=wanted)
    blobs = set()
    for line in listing.splitlines():
        if line.startswith(b":"):
            before_mode, after_mode, before, after, _ = line[1:].split(b"\t", 1)[0].decode().split()
            pairs = ((before_mode, before), (after_mode, after))
            blobs |= {blob for mode, blob in pairs if mode not in ("000000", "160000")}
    return blobs


def _stream(repository: Repository, trees: Sequence[tuple[str, str]]) -> Iterator[list[bytes]]:
    """The lines of each pair's output; ends early, before a pair that git could not finish."""
    with tempfile.TemporaryFile() as wanted:
        wanted.writelines(f"{before} {after}\n".encode() for before, after in trees)
        wanted.seek(0)
        command = ["git", "--git-dir", str(repository.folder), "diff-tree", "--stdin", *_OPTIONS]
        with subprocess.Popen(
            command, stdin=wanted, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment()
        ) as process:
            assert process.stdout is not None
            lines: list[bytes] | None = None
            for line in process.stdout:
                if _HEADER.match(line):
                    if lines is not None:
                        yield lines
                    lines = []
                elif lines is not None:
                    lines.append(line)
        if process.returncode == 0 and lines is not None:
            yield lines


def _parse(lines: list[bytes]) -> list[Change]:
    raw = [line for line in lines if line.startswith(b":")]
    patches: list[list[bytes]] = []
    for line in lines[len(raw) :]:
        if line.startswith(b"diff --git "):
            patches.append([])
        elif patches:
            patches[-1].append(line)
    queue = iter(patches)
    changes = []
    for line in raw:
        change = _raw_change(line)
        patch = _patch(next(queue, []))
        if line.split(b"\t", 1)[0].split()[4][:1] == b"T":  # a change of type is shown as a removal and an addition
            patch = _patch(next(queue, [])) or patch
        changes.append(change._replace(patch=patch))
    return changes


def _raw_change(line: bytes) -> Change:
    facts, *paths = line.rstrip(b"\n").split(b"\t")
    status = _STATUSES.get(facts.split()[4][:1].decode(), "modified")
    names = [display_path(unquote_path(path)) for path in paths]
    return Change(names[-1], status, names[0] if len(names) > 1 else None, None)


def _patch(lines: list[bytes]) -> str | None:
    for number, line in enumerate(lines):
        if line.startswith(b"@@ "):
            return b"".join(lines[number:]).decode("utf-8", "replace").removesuffix("\n")
    return None


def _one_by_one(repository: Repository, before: str, after: str) -> list[Change]:
    listing = repository.run("diff-tree", "-r", "--raw", "--no-renames", "--no-abbrev", before, after)
    changes = []
    for line in listing.splitlines(keepends=True):
        paths = [unquote_path(path) for path in line.rstrip(b"\n").split(b"\t")[1:]]
        found = _raw_change(line)
        pathspec = ":(literal)" + paths[-1].decode("utf-8", "surrogateescape")
        for lines in _single(repository, before, after, pathspec):
            found = found._replace(patch=_patch(lines))
        changes.append(found)
    return changes


def _single(repository: Repository, before: str, after: str, pathspec: str) -> Iterator[list[bytes]]:
    command = ["git", "--git-dir", str(repository.folder), "diff-tree", *_OPTIONS, before, after, "--", pathspec]
    done = subprocess.run(command, capture_output=True, env=clean_environment(), check=False)
    if done.returncode == 0:
        yield done.stdout.splitlines(keepends=True)
