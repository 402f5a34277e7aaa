"""GitHub on loopback: REST, GraphQL and git over HTTP, from local git repositories and threads written by hand.

with serve(repository) as github:
    github.url          # for `github.api_url`
    github.requests     # what was asked, in order
    github.faults.append(Fault("429"))
"""

from tests.emulators.github_api.faults import Fault
from tests.emulators.github_api.hub import (
    Comment,
    Discussion,
    Event,
    Hub,
    Issue,
    Pull,
    Release,
    Repository,
    Review,
    User,
)
from tests.emulators.github_api.server import Asked, Github, serve

__all__ = [
    "Asked", "Comment", "Discussion", "Event", "Fault", "Github",
    "Hub", "Issue", "Pull", "Release", "Repository", "Review", "User", "serve",
]  # fmt: skip
