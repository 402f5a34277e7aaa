import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.errors import InputError, SourceError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Artifact, Store
from tasks.harvest.params import GithubParams, PullsParams, SnapshotParams, SourceParams
from tasks.harvest.pulls import pulls
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import snapshot
from tasks.harvest.wiki import wiki
from tests.emulators.github_api import Comment, Fault, Github, Pull, Review, User, serve
from tests.emulators.github_api.rest import files as files_by_rest
from tests.harvest.conftest import Town, build_town, source_file
from tests.harvest.histories import History, moment

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


def params_of(github: Github, threads: str = "auto", **more: object) -> GithubParams:
    return GithubParams.model_validate(
        {"api_url": github.url, "threads": threads, "secondary_wait": 0.05, "max_wait": 30, "timeout": 1, **more}
    )


def harvest(
    store: Store, github: Github, threads: str = "auto", **source: object
) -> tuple[Artifact, Artifact, Artifact]:
    asked = SourceParams.model_validate({"repo": "town/hall", **source})
    found = resolve_source(asked, params_of(github, threads), NOW, store)
    assert found.pulls is not None
    assert found.wiki is not None
    return (
        snapshot.direct(store, source=found.snapshot, params=asked.files),
        pulls.direct(store, source=found.pulls),
        wiki.direct(store, source=found.wiki),
    )


def documents(store: Store, artifact: Artifact) -> list[Document]:
    return list(read_records(store, artifact, Document))


def test_try(store: Store, github: Github, town: Town) -> None:
    made = harvest(store, github)
    for asked in github.requests:
        print(asked)
    print(made)
    n = len(github.requests)
    made2 = harvest(store, github)
    for asked in github.requests[n:]:
        print(asked)
    assert made == made2
    rest = Store(str(Path(store.uri).with_name("rest")))
    n = len(github.requests)
    made3 = harvest(rest, github, "rest")
    for asked in github.requests[n:]:
        print(asked)
    a=[d.line() for d in documents(store,made[1])]
    b=[d.line() for d in documents(rest,made3[1])]
    for x,y in zip(a,b): assert json.loads(x)==json.loads(y)
    assert [m.sha256 for m in made] == [m.sha256 for m in made3]
    assert 0
