"""The GitHub token: from a Prefect Secret block or the environment, handed to PyGithub and git, written nowhere."""

from __future__ import annotations

import base64
import os
from urllib.parse import urlsplit

from tasks.base.errors import InputError
from tasks.harvest.params import GithubParams


def github_token(github: GithubParams) -> str | None:
    """The token, or None where there is none.

    Raises:
        InputError: the named Secret block cannot be loaded.
    """
    if github.token_block is None:
        return os.environ.get("GITHUB_TOKEN") or None
    from prefect.blocks.system import Secret

    try:
        block = Secret.load(github.token_block)
    except ValueError as error:
        raise InputError(
            f"github.token_block: there is no Prefect Secret block {github.token_block}; create it, or set GITHUB_TOKEN"
        ) from error
    return str(block.get())  # type: ignore[union-attr]


def git_credentials(github: GithubParams, clone_url: str) -> dict[str, str]:
    """Environment variables that give git the token for a clone URL of the same GitHub; empty without one.

    Through the environment, so that the token is neither in a process list nor in a configuration on disk.
    """
    token = github_token(github)
    api, clone = urlsplit(github.api_url), urlsplit(clone_url)
    if token is None or clone.hostname not in {api.hostname, (api.hostname or "").removeprefix("api.")}:
        return {}
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{clone.scheme}://{clone.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
