"""What a Hub knows: accounts, repositories, branches, commits, files. Hashes are git's and LFS's own."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LFS_SUFFIXES = (".safetensors", ".gguf", ".bin", ".parquet", ".arrow")
LFS_NAMES = ("tokenizer.json",)


class HubError(Exception):
    """An answer other than 2xx, as the Hub words it."""

    def __init__(self, status: int, code: str, message: str, **body: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.body = status, code, message, body


@dataclass(frozen=True)
class Account:
    """Who a token belongs to and what it may do."""

    user: str
    role: Literal["read", "write", "fineGrained"] = "write"
    organizations: tuple[tuple[str, str], ...] = ()
    """Name and the user's role in it: read, contributor, write or admin."""
    scoped: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """Of a fine-grained token: entity type (user, org, model), entity name, permissions."""

    def may_write(self, repo_id: str) -> bool:
        """Whether the token may write in the repository."""
        owner = repo_id.split("/")[0]
        if owner != self.user and dict(self.organizations).get(owner) not in ("write", "admin", "contributor"):
            return False
        if self.role == "fineGrained":
            return any(name in (owner, repo_id) and "repo.write" in granted for _, name, granted in self.scoped)
        return self.role == "write"

    def may_read(self, repo_id: str) -> bool:
        """Whether the token may see a private repository."""
        owner = repo_id.split("/")[0]
        return owner == self.user or owner in dict(self.organizations)

    def whoami(self) -> dict[str, Any]:
        """The answer of /api/whoami-v2."""
        token: dict[str, Any] = {"displayName": "rawtune", "role": self.role, "createdAt": "2026-01-01T00:00:00.000Z"}
        if self.role == "fineGrained":
            token["fineGrained"] = {
                "canReadGatedRepos": False,
                "global": [],
                "scoped": [
                    {"entity": {"_id": "0" * 24, "type": kind, "name": name}, "permissions": list(granted)}
                    for kind, name, granted in self.scoped
                ],
            }
        return {
            "type": "user",
            "id": hashlib.sha1(self.user.encode()).hexdigest()[:24],
            "name": self.user,
            "fullname": self.user,
            "orgs": [{"type": "org", "name": name, "roleInOrg": role} for name, role in self.organizations],
            "auth": {"type": "access_token", "accessToken": token},
        }


@dataclass(frozen=True)
class File:
    """One file of a commit."""

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the content: an LFS object's id."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def blob(self) -> bytes:
        """What git stores: the content, or the pointer to it."""
        if not self.lfs:
            return self.data
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def oid(self) -> str:
        """Git's id of the blob."""
        return hashlib.sha1(f"blob {len(self.blob)}\0".encode() + self.blob).hexdigest()

    @property
    def etag(self) -> str:
        """What `resolve` names the content by."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """A commit with the whole tree."""

    oid: str
    parent: str | None
    title: str
    message: str
    files: Mapping[str, File]


@dataclass
class Repository:
    """Branches and tags over commits."""

    id: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, title: str, message: str, files: Mapping[str, File]) -> Commit:
        """Adds a commit to a branch."""
        parent = self.branches.get(branch)
        made = Commit(secrets.token_hex(20), parent, title, message, dict(files))
        self.commits[made.oid] = made
        self.branches[branch] = made.oid
        return made

    def at(self, revision: str) -> Commit:
        """The commit that a branch, a tag or a commit id stands for."""
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self.commits[oid]

    def history(self, revision: str) -> list[Commit]:
        """Commits from the newest to the first."""
        found: list[Commit] = []
        oid: str | None = self.at(revision).oid
        while oid is not None:
            found.append(self.commits[oid])
            oid = self.commits[oid].parent
        return found


@dataclass
class Hub:
    """Everything behind one endpoint."""

    accounts: dict[str, Account]
    """Token → account."""
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    """(models | datasets, id) → repository."""
    objects: dict[str, bytes] = field(default_factory=dict)
    """LFS object id as the uploader named it → the bytes that arrived."""

    def create(self, kind: str, repo_id: str, private: bool) -> Repository:
        """A new repository with the first commit that the Hub makes itself."""
        repository = self.repositories[kind, repo_id] = Repository(repo_id, private)
        attributes = "\n".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text" for suffix in LFS_SUFFIXES) + "\n"
        repository.commit("main", "initial commit", "", {".gitattributes": File(attributes.encode(), lfs=False)})
        return repository

    def find(self, kind: str, repo_id: str, account: Account | None) -> Repository:
        """A repository that the account may see."""
        found = self.repositories.get((kind, repo_id))
        if found is None or (found.private and (account is None or not account.may_read(repo_id))):
            raise HubError(404 if account else 401, "RepoNotFound", "Repository not found")
        return found


def is_lfs(path: str, size: int) -> bool:
    """Whether the Hub keeps a file outside git; empty files never."""
    return size > 0 and (path.endswith(LFS_SUFFIXES) or path in LFS_NAMES or size > 10 * 2**20)
