"""A forge's token, from a Prefect Secret block or the environment.

It is handed to the forge's client and to git, and written nowhere.
"""

from __future__ import annotations

import base64
import os
from urllib.parse import urlsplit

from tasks.base.errors import InputError
from tasks.harvest.params import AnyForge, GiteaParams, GitlabParams


def token_of(server: AnyForge) -> str | None:
    """The token, or None where there is none.

    Raises:
        InputError: the named Secret block cannot be loaded.
    """
    section = section_of(server)
    variable = f"{section.upper()}_TOKEN"
    if server.token_block is None:
        return os.environ.get(variable) or None
    from prefect.blocks.system import Secret

    try:
        block = Secret.load(server.token_block)
    except ValueError as error:
        raise InputError(
            f"{section}.token_block: there is no Prefect Secret block {server.token_block}; create it,"
            f" or set {variable}"
        ) from error
    return str(block.get())  # type: ignore[union-attr]


def section_of(server: AnyForge) -> str:
    """The section of the parameters that says how a forge is reached; its token's variable begins with it."""
    if isinstance(server, GitlabParams):
        return "gitlab"
    return "gitea" if isinstance(server, GiteaParams) else "github"


def git_credentials(server: AnyForge, clone_url: str) -> dict[str, str]:
    """Environment variables that give git the token for a clone URL of the same forge; empty without one.

    Through the environment, so that the token is neither in a process list nor in a configuration on disk. What is
    reached by HTTPS gets none over plain HTTP.
    """
    token = token_of(server)
    api, clone = urlsplit(server.address), urlsplit(clone_url)
    hosts = (
        {api.hostname, (api.hostname or "").removeprefix("api.")} if section_of(server) == "github" else {api.hostname}
    )
    if token is None or clone.hostname not in hosts or (api.scheme == "https" and clone.scheme != "https"):
        return {}
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{clone.scheme}://{clone.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }
