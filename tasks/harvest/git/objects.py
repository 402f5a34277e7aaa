"""Reading single objects of a repository: by libgit2, or by git itself where objects are named by SHA-256.

libgit2 1.9 does not open such repositories. `GitObjects` answers the few questions that are asked of pygit2 here with a
git process each, remembered; that is slow, 4 ms a question, and there are few such repositories.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from tasks.base.errors import SourceError
from tasks.harvest.dates import seconds
from tasks.harvest.git.repository import Repository


def object_reader(repository: Repository) -> Any:
    """pygit2's repository, or what answers like it for SHA-256."""
    kind = repository.run("rev-parse", "--show-object-format").strip()
    if kind == b"sha256":
        return GitObjects(repository)
    from pygit2 import Repository as ObjectReader

    return ObjectReader(str(repository.folder))


class TreeEntry(NamedTuple):
    """An entry of a folder."""

    raw_name: bytes
    filemode: int
    id: str


class GitObjects:
    """What pygit2's `Repository` says of objects, said by git."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: dict[str, tuple[bytes, bytes]] = {}
        self.odb = SimpleNamespace(read_header=self._header)

    def __contains__(self, sha: str) -> bool:
        return bool(self._object(sha)[0])

    def __getitem__(self, sha: str) -> SimpleNamespace:
        head, _, message = self._object(sha)[1].partition(b"\n\n")
        fields: dict[bytes, list[bytes]] = {}
        for line in head.split(b"\n"):
            name, _, value = line.partition(b" ")
            fields.setdefault(name, []).append(value)
        if b"tree" not in fields:
            raise KeyError(sha)
        committed = fields.get(b"committer", [b""])[0].rpartition(b"> ")[2].partition(b" ")[0]
        encoding = fields.get(b"encoding", [b""])[0].decode("ascii", "replace")
        return SimpleNamespace(
            id=sha,
            tree_id=fields[b"tree"][0].decode("ascii"),
            parent_ids=[parent.decode("ascii") for parent in fields.get(b"parent", [])],
            author=SimpleNamespace(raw_name=fields.get(b"author", [b""])[0].rpartition(b" <")[0]),
            commit_time=seconds(committed),
            raw_message=message,
            message_encoding=encoding or None,
        )

    def get(self, sha: str) -> list[TreeEntry] | None:
        """The entries of a folder, or None if it is absent."""
        kind, data = self._object(sha)
        if not kind:
            return None
        found = []
        while data:
            facts, _, rest = data.partition(b"\0")
            mode, _, name = facts.partition(b" ")
            found.append(TreeEntry(name, int(mode, 8), rest[:32].hex()))
            data = rest[32:]
        return found

    def merge_base(self, first: str, second: str) -> str | None:
        """The best common ancestor; None if there is none, or a commit is absent."""
        try:
            return self._repository.run("merge-base", revisions=[first, second]).decode().strip()
        except SourceError:
            return None

    def walk(self, head: str, sort: object) -> _Walk:
        """Commits from `head` down, parents after their children."""
        return _Walk(self, self._repository, head)

    def _header(self, sha: str) -> tuple[str, int]:
        kind, data = self._object(sha)
        return kind.decode(), len(data)

    def _object(self, sha: str) -> tuple[bytes, bytes]:
        """Kind and content; neither if it is absent."""
        if sha not in self._known:
            answer = self._repository.run("cat-file", "--batch", stdin=f"{sha}\n".encode())
            head, _, content = answer.partition(b"\n")
            fields = head.split()
            self._known[sha] = (fields[1], content[:-1]) if len(fields) == 3 else (b"", b"")
        return self._known[sha]


class _Walk:
    def __init__(self, reader: GitObjects, repository: Repository, head: str) -> None:
        self._reader, self._repository, self._head = reader, repository, head
        self._hidden = ""

    def hide(self, base: str) -> None:
        self._hidden = base

    def __iter__(self) -> Iterator[SimpleNamespace]:
        wanted = f"{self._head}\n" + (f"^{self._hidden}\n" if self._hidden else "")
        listing = self._repository.run("rev-list", "--topo-order", "--stdin", stdin=wanted.encode())
        return (self._reader[sha] for sha in listing.decode().split())
