"""Reaching the Hub: endpoint, token, what that token may do, and the Hub's errors as one line for a person."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from tasks.base.errors import InputError, RawtuneError, ReleaseError
from tasks.release.params import ReleaseParams

PUBLIC_HUB: Final = "https://huggingface.co"
WRITE_PERMISSION: Final = "repo.write"
"""What a fine-grained token needs on the repository or its owner, as /api/whoami-v2 names it."""

WRITING_ROLES: Final = ("admin", "write", "contributor")
"""Roles in an organisation that may make repositories (https://huggingface.co/docs/hub/organizations-security)."""


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
    """The Hub's client for that endpoint, with the token from HF_TOKEN or `hf auth login`; it prints nothing."""
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
            found = api.repo_info(repo_id, repo_type=kind)
        except RepositoryNotFoundError:
            return HubAccess(repo_id=repo_id, endpoint=endpoint(), user=who["name"], exists=False)
    if private and not found.private:
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
