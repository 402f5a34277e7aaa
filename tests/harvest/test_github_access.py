import logging
import os
from pathlib import Path

import pytest

from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.harvest.params import GithubParams, Servers, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tests.emulators.github_api import Fault, Github
from tests.harvest.town import NOW, TOKEN, Town, harvest, hashes, resolved


def test_harvest_without_graphql_falls_back_to_rest(store: Store, other: Store, github: Github) -> None:
    whole = harvest(other, github)
    github.hub.graphql = False
    assert hashes(harvest(store, github)) == hashes(whole)


def test_harvest_without_token_reads_public_repository(
    store: Store, github: Github, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert harvest(store, github)[1].counts == {"records": 12}
    assert not [asked for asked in github.requests if asked.path == "/graphql"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("401", r"^GITHUB_TOKEN is not accepted by http.*create a new token$"),
        ("403", r"^GitHub forbids reading .*the token needs the permissions pull_requests=read$"),
        ("sso", r"^GitHub forbids reading .*single sign-on$"),
        ("404", r"^sources.repo: GitHub has no repository town/hall, the token may not see it"),
    ],
)
def test_harvest_refused_says_what_is_wrong(store: Store, github: Github, kind: str, words: str) -> None:
    github.faults.append(Fault(kind, times=2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words) as raised:
        resolved(store, github)
    assert "\n" not in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_harvest_unknown_repository_says_so(store: Store, github: Github) -> None:
    with pytest.raises(InputError, match="GitHub has no repository town/nowhere"):
        resolved(store, github, repo="town/nowhere")


def test_harvest_private_repository_with_token_leaves_no_trace_of_it(
    store: Store, github: Github, town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.repository.private = True
    with caplog.at_level(logging.DEBUG):
        assert harvest(store, github)[1].counts == {"records": 12}
    assert TOKEN not in caplog.text
    for folder, _, names in os.walk(store.uri):
        for name in names:
            assert TOKEN.encode() not in (Path(folder) / name).read_bytes(), name


def test_harvest_by_git_alone_without_access_to_it_is_bad_input(store: Store, github: Github) -> None:
    github.hub.git = False
    words = r"^sources.repo: town/hall cannot be cloned from .*contents=read$"
    for threads in ("graphql", "rest"):
        with pytest.raises(InputError, match=words):
            resolved(store, github, threads)


@pytest.mark.parametrize(("threads", "path"), [("graphql", "/api/graphql"), ("rest", "/api/v3/repos/town/hall/pulls")])
def test_harvest_enterprise_address_has_its_paths(store: Store, github: Github, threads: str, path: str) -> None:
    reached = GithubParams.model_validate({"api_url": f"{github.url}/api/v3", "threads": threads})
    found = resolve_source(SourceParams(repo="town/hall", wiki=None), Servers(github=reached), NOW, store)
    assert found.pulls is not None
    assert pulls.direct(store, source=found.pulls).counts == {"records": 12}
    assert path in {item.path for item in github.requests}
