"""Which forge a source is on."""

from __future__ import annotations

import re
from typing import Final

from tasks.base.errors import InputError
from tasks.harvest.forge.client import OnWait
from tasks.harvest.forge.forge import Forge
from tasks.harvest.git.opened import ON_GITHUB, local_folder
from tasks.harvest.gitea.forge import GiteaForge
from tasks.harvest.github.forge import GithubForge
from tasks.harvest.gitlab.forge import GitlabForge
from tasks.harvest.params import AnyForge, ForgeName, GiteaParams, GitlabParams, Servers, SourceParams

_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]*+(?<!\.)"
PATHS: Final = {
    "gitlab": re.compile(rf"\A{_PART}(?:/{_PART}){{1,21}}"),
    "gitea": re.compile(rf"\A{_PART}/[A-Za-z0-9._-]+"),
}
"""What a repository is called; GitLab has groups within groups, 20 deep."""


def forge_name(source: SourceParams) -> ForgeName | None:
    """The forge that a source is on; None for plain git.

    Raises:
        InputError: a forge is named, and the repository is not called as it calls one.
    """
    if source.forge == "github":
        return "github" if ON_GITHUB.fullmatch(source.repo) and local_folder(source.repo) is None else None
    if not PATHS[source.forge].fullmatch(source.repo):
        called = "GROUP/NAME or GROUP/SUBGROUP/NAME" if source.forge == "gitlab" else "OWNER/NAME"
        raise InputError(
            f"sources.repo: {source.repo} is no name of {source.forge}'s; give {called}, and its address in"
            f" {source.forge}.url"
        )
    return source.forge


def server_of(name: ForgeName, servers: Servers) -> AnyForge:
    """How a forge is reached."""
    found: AnyForge = getattr(servers, name)
    return found


def forge_at(server: AnyForge, repo: str, on_wait: OnWait | None = None) -> Forge:
    """One repository on a forge."""
    if isinstance(server, GitlabParams):
        return GitlabForge(server, repo, on_wait)
    if isinstance(server, GiteaParams):
        return GiteaForge(server, repo, on_wait)
    return GithubForge(server, repo, on_wait)
