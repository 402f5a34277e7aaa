"""Publishing on the Hub (HF_ENDPOINT).

A release is one commit on a branch named after it, read back and verified, then one commit on `main`, which is
"latest". Every call looks at what is there and does what is missing, so an interrupted push is finished by the next
one, a repeated one does nothing, and `main` always holds one whole release. Large files go up before the commit that
names them and are not sent again once they are there.

Reaching the Hub comes first: endpoint, token, what that token may do, and the Hub's errors as one line for a person.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from tasks.base.artifacts import file_sha256
from tasks.base.errors import InputError, RawtuneError, ReleaseError
from tasks.release.folder import check_publishable, git_blob_sha1
from tasks.release.params import ReleaseParams

MAIN: Final = "main"
PUBLIC_HUB: Final = "https://huggingface.co"
WRITE_PERMISSION: Final = "repo.write"
"""What a fine-grained token needs on the repository or its owner, as /api/whoami-v2 names it."""
WRITING_ROLES: Final = ("admin", "write", "contributor")
"""Roles in an organisation that may make repositories (https://huggingface.co/docs/hub/organizations-security)."""
RETRY_SECONDS: Final = (0.5, 2.0, 8.0)
"""Pauses before a commit is tried again. The client itself retries uploads, and not commits, because the answer to one
that took effect may be lost; here the branch is looked at first."""
KEPT: Final = frozenset({".gitattributes"})
"""Files of a repository that belong to the Hub, not to a release."""
TITLE: Final = re.compile(r"(Publish|Promote|Roll back to) (snapshot/\S+)")
"""Titles of the commits on `main` that change the latest release; their sequence is its history."""
Kind = Literal["model", "dataset"]
T = TypeVar("T")

logger = logging.getLogger(__name__)


class HubAccess(BaseModel):
    """What was found out about the target of a release before anything was spent."""

    model_config = ConfigDict(frozen=True)

    repo_id: str
    endpoint: str
    user: str
    exists: bool


def endpoint() -> str:
    """Address of the Hub, from HF_ENDPOINT."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")


def connect() -> Any:
    """The Hub's client for that endpoint, with the token from HF_TOKEN or `hf auth login`; silent."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    if "huggingface.co" not in endpoint():
        # Xet is a service beside the public Hub; other endpoints take files by Git LFS, and the client does not ask
        constants.HF_HUB_DISABLE_XET = True
    return HfApi(endpoint=endpoint())


def check_access(params: ReleaseParams) -> HubAccess | None:
    """Whether the release can be published where it shall be; None for a release in the store only.

    Raises:
        InputError: no token, a token that cannot write there, or a public repository where a private one was asked for.
    """
    if params.dataset_repo_id is not None:
        _check("release.dataset_repo_id", params.dataset_repo_id, "dataset", private=True)
    if params.repo_id is None:
        return None
    return _check("release.repo_id", params.repo_id, "model", params.private)


def _check(field: str, repo_id: str, kind: Literal["model", "dataset"], private: bool) -> HubAccess:
    from huggingface_hub.errors import RepositoryNotFoundError

    api = connect()
    with speaking(f"asking the Hub about {repo_id}"):
        if api.token is None and _saved_token() is None:
            raise InputError(f"{field}: publishing to {repo_id} needs a token with write permission in HF_TOKEN")
        who = api.whoami()
        problem = refusal(who, repo_id)
        if problem is not None:
            raise InputError(f"{field}: {problem}")
        try:
            repository = api.repo_info(repo_id, repo_type=kind)
        except RepositoryNotFoundError:
            return HubAccess(repo_id=repo_id, endpoint=endpoint(), user=who["name"], exists=False)
    if private and not repository.private:
        remedy = " or set release.private to false" if kind == "model" else ""
        raise InputError(f"{field}: {repo_id} exists and is public; make it private there{remedy}")
    return HubAccess(repo_id=repo_id, endpoint=endpoint(), user=who["name"], exists=True)


def refusal(who: dict[str, Any], repo_id: str) -> str | None:
    """Why the token cannot write in the repository, from the Hub's own answer about it; None if it can."""
    owner = repo_id.split("/")[0]
    roles = {entry["name"]: entry.get("roleInOrg", "write") for entry in who.get("orgs", [])}
    if owner != who["name"] and roles.get(owner) not in WRITING_ROLES:
        there = f"has the role {roles[owner]!r} in" if owner in roles else "is not a member of"
        return f"{who['name']} {there} {owner} and cannot write {repo_id}; ask there, or choose another repository"
    token = who.get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        return f"the token of {who['name']} is read-only; make one that may write {repo_id} and put it into HF_TOKEN"
    if token.get("role") == "fineGrained":
        granted = {
            permission
            for scope in token.get("fineGrained", {}).get("scoped", [])
            if scope["entity"].get("name") in (owner, repo_id)
            for permission in scope["permissions"]
        }
        if WRITE_PERMISSION not in granted:
            return f"the fine-grained token of {who['name']} lacks {WRITE_PERMISSION} on {repo_id}; add it on the Hub"
    return None


@contextmanager
def speaking(doing: str) -> Iterator[None]:
    """Turns what the client raises into this project's errors; no token is in any of its texts.

    Raises:
        InputError: the Hub does not accept the token, or it may not do this.
        ReleaseError: anything else the Hub or the network did.
    """
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except RawtuneError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise InputError(f"{doing}: the Hub says {status}, {_reason(error)}; check HF_TOKEN") from error
        raise ReleaseError(f"{doing}: the Hub says {status}, {_reason(error)}") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ValueError):  # such as a model card that the Hub does not accept, with its reasons
            raise ReleaseError(f"{doing}: {' '.join(str(error).split())}") from error
        root = error.__cause__ or error
        raise ReleaseError(
            f"{doing}: {type(root).__name__}: {str(root).splitlines()[0] if str(root) else ''}"
        ) from error


def is_final(error: Exception) -> bool:
    """Whether trying again cannot help: the Hub understood and refused."""
    from huggingface_hub.errors import HfHubHTTPError

    cause = error.__cause__ if isinstance(error, RuntimeError | ValueError) and error.__cause__ else error
    if not isinstance(cause, HfHubHTTPError):
        return isinstance(error, RawtuneError | TypeError | AttributeError)
    status = cause.response.status_code
    return 400 <= status < 500 and status not in (408, 409, 412, 429)


def _saved_token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def _reason(error: Any) -> str:
    return str(error.server_message or error).splitlines()[0]


@dataclass(frozen=True)
class Entry:
    """One file on the Hub: its LFS object's SHA-256, or git's id of its blob."""

    digest: str
    lfs: bool


@dataclass(frozen=True)
class LocalFile:
    """One file of a release folder, hashed as the Hub hashes it."""

    path: Path

    @cached_property
    def sha256(self) -> str:
        """Id as an LFS object."""
        return file_sha256(self.path)

    @cached_property
    def blob(self) -> str:
        """Id as a git blob."""
        return git_blob_sha1(self.path)

    def equals(self, entry: Entry | None) -> bool:
        """Whether the Hub has these bytes."""
        return entry is not None and entry.digest == (self.sha256 if entry.lfs else self.blob)


Tree = Mapping[str, Entry]


def address(repo_id: str, revision: str = MAIN, kind: Kind = "model") -> str:
    """Where people look at a release."""
    return f"{endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repo_id}/tree/{revision}"


def push(folder: Path, repo_id: str, revision: str, private: bool, kind: Kind = "model") -> str:
    """Publishes a release folder and makes it the latest.

    Args:
        folder: the release; every file of it, and no other file, is on `main` afterwards.
        repo_id: repository; created if missing.
        revision: name of the release's branch.
        private: whether a repository that is created becomes private.
        kind: of repository.

    Returns:
        The commit of `main` that holds the release.

    Raises:
        InputError: the token may not write there.
        ReleaseError: the Hub failed, or what it has is not what was sent; `main` then is what it was.
    """
    api = connect()
    files = {path.relative_to(folder).as_posix(): LocalFile(path) for path in check_publishable(folder)}
    with speaking(f"publishing {revision} to {repo_id}"):
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        if revision not in branches(api, repo_id, kind):
            api.create_branch(repo_id, repo_type=kind, branch=revision, exist_ok=True)
        for branch in (revision, MAIN):
            head = _bring(api, repo_id, branch, f"Publish {revision}", *_from_folder(files), kind=kind)
    return head


def make_latest(repo_id: str, revision: str, action: str = "Promote") -> str:
    """Makes an earlier release the latest by one commit on `main`; returns that commit.

    The files are copied on the Hub.

    Raises:
        InputError: there is no such release, or the token may not write there.
        ReleaseError: the Hub failed; `main` then is what it was.
    """
    api = connect()
    with speaking(f"making {revision} the latest of {repo_id}"):
        known = branches(api, repo_id)
        if revision not in known:
            raise InputError(f"release: {repo_id} has no branch {revision}; `rawtune release list` shows what there is")
        return _bring(api, repo_id, MAIN, f"{action} {revision}", *_from_commit(api, repo_id, known[revision]))


def promotions(repo_id: str, kind: Kind = "model") -> list[str]:
    """Names of the releases that `main` held, in order; the last is the latest. None for a repository not yet made."""
    from huggingface_hub.errors import RepositoryNotFoundError

    api = connect()
    with speaking(f"reading the history of {repo_id}"):
        try:
            commits = api.list_repo_commits(repo_id, repo_type=kind, revision=MAIN)
        except RepositoryNotFoundError:
            return []
    titles = [TITLE.fullmatch(commit.title) for commit in reversed(commits)]
    return [match[2] for match in titles if match is not None]


def forget(repo_id: str, revision: str) -> None:
    """Deletes a release's branch; nothing happens if it has none."""
    api = connect()
    with speaking(f"deleting {revision} of {repo_id}"):
        if revision in branches(api, repo_id):
            api.delete_branch(repo_id, branch=revision)


def branches(api: Any, repo_id: str, kind: Kind = "model") -> dict[str, str]:
    """Branch → commit."""
    return {branch.name: branch.target_commit for branch in api.list_repo_refs(repo_id, repo_type=kind).branches}


def _from_folder(files: Mapping[str, LocalFile]) -> tuple[Callable[[Tree], bool], Callable[[Tree], list[Any]]]:
    from huggingface_hub import CommitOperationAdd

    def is_there(tree: Tree) -> bool:
        return tree.keys() == files.keys() and all(file.equals(tree[name]) for name, file in files.items())

    def additions(tree: Tree) -> list[Any]:
        return [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(file.path))
            for name, file in files.items()
            if not file.equals(tree.get(name))
        ] + _deletions(tree, files)

    return is_there, additions


def _from_commit(api: Any, repo_id: str, commit: str) -> tuple[Callable[[Tree], bool], Callable[[Tree], list[Any]]]:
    from huggingface_hub import CommitOperationCopy

    source = _tree(api, repo_id, commit)

    def is_there(tree: Tree) -> bool:
        return tree == source

    def copies(tree: Tree) -> list[Any]:
        return [
            CommitOperationCopy(src_path_in_repo=name, path_in_repo=name, src_revision=commit)
            for name, entry in source.items()
            if tree.get(name) != entry
        ] + _deletions(tree, source)

    return is_there, copies


def _deletions(tree: Tree, wanted: Mapping[str, object]) -> list[Any]:
    from huggingface_hub import CommitOperationDelete

    return [CommitOperationDelete(path_in_repo=name, is_folder=False) for name in tree if name not in wanted]


def _bring(
    api: Any,
    repo_id: str,
    branch: str,
    title: str,
    is_there: Callable[[Tree], bool],
    operations: Callable[[Tree], list[Any]],
    kind: Kind = "model",
) -> str:
    """Commits until a branch, read back, holds what it should; the commit that does."""
    failure: Exception | None = None
    for pause in (0.0, *RETRY_SECONDS, None):
        head = _patiently(lambda: branches(api, repo_id, kind)[branch])
        tree = _patiently(partial(_tree, api, repo_id, head, kind))
        if is_there(tree):
            return head
        if pause is None:
            break
        time.sleep(pause if failure else 0.0)
        try:
            api.create_commit(
                repo_id,
                operations(tree),
                repo_type=kind,
                commit_message=title,
                revision=branch,
                parent_commit=head,
                num_threads=2,
            )
            failure = ReleaseError(f"{branch} of {repo_id} has other hashes than what was sent")
        except Exception as error:  # a commit may have taken effect although its answer is lost: look, then try again
            if is_final(error):
                raise
            logger.warning("commit on %s of %s: %s; looking again", branch, repo_id, type(error).__name__)
            failure = error
    assert failure is not None
    raise failure


def _patiently(read: Callable[[], T]) -> T:
    """Reads, and reads again after a pause where the Hub only stumbled: no upload fails at being looked at."""
    for pause in RETRY_SECONDS:
        try:
            return read()
        except Exception as error:  # the client has its own types for what the network does, and passes on httpx's
            if is_final(error):
                raise
            logger.warning("reading: %s; once more", type(error).__name__)
            time.sleep(pause)
    return read()


def _tree(api: Any, repo_id: str, commit: str, kind: Kind = "model") -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for entry in api.list_repo_tree(repo_id, repo_type=kind, revision=commit, recursive=True):
        if hasattr(entry, "blob_id") and entry.path not in KEPT:  # else a folder
            entries[entry.path] = Entry(entry.lfs.sha256 if entry.lfs else entry.blob_id, lfs=entry.lfs is not None)
    return entries
