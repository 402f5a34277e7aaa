import time
from collections.abc import Iterator

import pytest

from tasks.base.errors import SourceError
from tasks.base.progress import Event, listening
from tasks.base.store import Store
from tasks.harvest.pulls import pulls
from tests.emulators.github_api import Fault, Github, serve
from tests.harvest.town import TOKEN, build_town, harvest, hashes, resolved

KINDS = (
    "primary", "secondary", "secondary-retry-after", "429", "429-retry-after", "graphql-rate-limited",
    "graphql-partial", "graphql-timeout", "502", "503", "truncated", "reset", "timeout",
)  # fmt: skip
"""Every fault that passes."""

QUICK = {
    ("rest", "primary"), ("rest", "secondary"), ("rest", "429"), ("rest", "502"), ("rest", "truncated"),
    ("graphql", "graphql-rate-limited"), ("graphql", "graphql-partial"), ("graphql", "reset"), ("git", "502"),
}  # fmt: skip
"""Tried on every change; the others differ little from one of them, and run with the slow tests."""

PLACES = {
    "graphql": ("/graphql", "/graphql"),
    "rest": ("/pulls", "/reviews"),
    "git": (".git/info/refs", ".git/git-upload-pack"),
}
"""Where faults strike: in the list and among the threads."""


COMBINATIONS = [
    pytest.param(where, kind, marks=() if (where, kind) in QUICK else pytest.mark.slow)
    for where in PLACES
    for kind in KINDS
    if (where == "graphql" or not kind.startswith("graphql"))
    # Git's server knows no limit that passes but 429: a 403 is a refusal.
    and not (where == "git" and kind in ("primary", "secondary", "secondary-retry-after"))
]


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Github, list[str]]]:
    """A town that nobody changes, and what is harvested from it without faults."""
    folder = tmp_path_factory.mktemp("steady")
    town = build_town(folder / "hall.git", 6)
    with pytest.MonkeyPatch.context() as environment, serve(town.repository, token=TOKEN) as running:
        environment.setenv("GITHUB_TOKEN", TOKEN)
        whole = [hashes(harvest(Store(str(folder / threads)), running, threads))[:2] for threads in ("graphql", "rest")]
        assert whole[0] == whole[1]
        yield running, whole[0]


@pytest.mark.parametrize(("where", "kind"), COMBINATIONS)
def test_harvest_with_a_fault_gives_the_same_bytes(
    store: Store, steady: tuple[Github, list[str]], where: str, kind: str
) -> None:
    github, whole = steady
    threads = "rest" if where == "rest" else "graphql"
    places = PLACES[where]
    if kind in ("primary", "graphql-rate-limited"):  # a reset is given in whole seconds: once is long enough
        places = places[:1]
    wait = (6 if where == "git" else 1.5) if kind == "timeout" else 0.1
    github.faults += [Fault(kind, place, wait=wait) for place in places]  # type: ignore[arg-type]

    assert hashes(harvest(store, github, threads, seconds=1 if kind == "timeout" else 20))[:2] == whole
    assert github.faults == []


def test_harvest_graphql_too_slow_for_a_batch_asks_for_less(store: Store, github: Github) -> None:
    resolved(store, github)
    github.faults.append(Fault("graphql-timeout", times=4))
    before = len(github.api_requests)

    assert harvest(store, github)[1].counts == {"records": 12}
    assert {asked.path for asked in github.api_requests[before:]} == {"/graphql"}


@pytest.mark.slow
def test_harvest_spent_hourly_limit_is_waited_out(store: Store, github: Github) -> None:
    github.hub.hourly_limit, github.hub.resets_at = 5, time.time() + 4
    assert harvest(store, github, "rest")[1].counts == {"records": 12}
    assert [item.status for item in github.api_requests].count(403) >= 1
    assert time.time() >= github.hub.resets_at


def test_harvest_primary_limit_beyond_the_bound_stops_and_keeps_progress(store: Store, github: Github) -> None:
    found = resolved(store, github, "rest")
    assert found.pulls is not None
    github.faults.append(Fault("primary", "/pulls/6/reviews", wait=500))
    with pytest.raises(SourceError, match=r"hourly limit lasts \d+ seconds more, longer than github.max_wait"):
        pulls.direct(store, source=found.pulls)
    before = len(github.api_requests)

    assert pulls.direct(store, source=found.pulls).counts == {"records": 12}
    asked = [item.path for item in github.api_requests[before:] if "/reviews" in item.path]
    assert asked == [f"/repos/town/hall/pulls/{number}/reviews" for number in (6, 5, 4, 3, 2, 1)]


def test_harvest_waiting_for_a_limit_is_shown(store: Store, github: Github) -> None:
    found = resolved(store, github)
    assert found.pulls is not None
    github.faults.append(Fault("primary", "/graphql", wait=1))
    seen: list[Event] = []
    with listening(seen.append):
        pulls.direct(store, source=found.pulls)
    assert any(event.facts.get("why") == "hourly limit" for event in seen)
