import copy
from pathlib import Path

import pytest

from tasks.base.errors import SourceError
from tasks.base.store import Store
from tasks.harvest.params import PullReference, ResolvedSource
from tests.emulators.github_api import Fault, Pull, serve
from tests.harvest.histories import moment
from tests.harvest.town import TOKEN, Town, build_town, documents, harvest, hashes, resolved

OLD = 103
DAY = "2023-04-15"
"""When the last of the old ones was opened."""


def crowded(folder: Path, newer: int) -> Town:
    """A town of `OLD` pull requests, and many that came after them in half a year."""
    town = build_town(folder, OLD)
    trunk = town.history.shas[town.trunk]
    first = town.history.shas[1]
    for place in range(newer):
        when = moment(OLD + 1 + place * 180 / newer)
        town.repository.pulls.append(Pull(OLD + 1 + place, f"Later {place}", "", trunk, first, when, when))
    return town


def selected(found: ResolvedSource) -> tuple[PullReference, ...]:
    assert found.pulls is not None
    return found.pulls.selection


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """2,000 newer ones; tests that change it work on a copy."""
    return crowded(tmp_path_factory.mktemp("crowd") / "hall.git", 2_000)


@pytest.mark.parametrize(("threads", "bound"), [("graphql", 30), pytest.param("rest", 133, marks=pytest.mark.slow)])
def test_listing_passes_over_thousands_of_newer_pulls_in_few_requests(
    store: Store, crowd: Town, monkeypatch: pytest.MonkeyPatch, threads: str, bound: int
) -> None:
    # By REST the newest hundred take 109 (100 lists of reviews, 8 pages of comments); 20 pages are passed.
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    town = copy.deepcopy(crowd)
    with serve(town.repository, token=TOKEN) as github:
        made = harvest(store, github, threads, as_of=DAY)
        cold = len(github.api_requests)
        assert cold <= bound
        assert sorted(documents(store, made[1])) == list(range(4, 104))

        assert hashes(harvest(store, github, threads, as_of=DAY)) == hashes(made)
        assert len(github.api_requests) - cold <= 3

        changed = town.repository.pulls[59]
        changed.title, changed.updated_at = "Another title", moment(400)
        before = len(github.api_requests)
        again = documents(store, harvest(store, github, threads, as_of=DAY)[1])
        assert again[60].title == "Another title"
        assert len(github.api_requests) - before <= 5

        before = len(github.api_requests)  # ten days on, of which each brought 11 more
        later = documents(store, harvest(store, github, threads, as_of="2023-04-26", pulls={"limit": 120})[1])
        assert sorted(later) == list(range(max(later) - 119, max(later) + 1))
        assert later[max(later)].created_at <= "2023-04-26T23:59:59Z" < town.repository.pulls[max(later)].created_at
        assert len(github.api_requests) - before <= bound * 120 / 100


@pytest.mark.parametrize("threads", ["graphql", pytest.param("rest", marks=pytest.mark.slow)])
def test_listing_that_breaks_off_goes_on_where_it_was(
    store: Store, other: Store, crowd: Town, monkeypatch: pytest.MonkeyPatch, threads: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    town = copy.deepcopy(crowd)
    town.repository.pulls = town.repository.pulls[:1_600]
    with serve(town.repository, token=TOKEN) as github:
        github.faults.append(Fault("primary", "/graphql" if threads == "graphql" else "/pulls", wait=500, skip=12))
        with pytest.raises(SourceError, match="run again later: what was read is kept"):
            resolved(store, github, threads, pulls={"limit": None})
        town.repository.pulls[0].updated_at = moment(390)
        before = len(github.api_requests)
        found = resolved(store, github, threads, pulls={"limit": None})
        # The top by update, and the rest of sixteen pages.
        assert len(github.api_requests) - before <= 5 + 16 - 11
        whole = resolved(other, github, threads, pulls={"limit": None})
    assert selected(found) == selected(whole)
    assert len(selected(found)) == 1_600


def test_listing_anew_is_cheaper_than_thousands_of_changes(
    store: Store, other: Store, crowd: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    town = copy.deepcopy(crowd)
    with serve(town.repository, token=TOKEN) as github:
        resolved(store, github, as_of=DAY)
        for number, pull in enumerate(town.repository.pulls[50:]):
            pull.updated_at = moment(500 + number / 100)
        before = len(github.api_requests)
        found = resolved(store, github, as_of=DAY)
        assert len(github.api_requests) - before <= 30
        assert selected(found) == selected(resolved(other, github, as_of=DAY))


def test_listing_after_newer_dates_does_not_page_down_to_older_ones(
    store: Store, other: Store, crowd: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    with serve(crowd.repository, token=TOKEN) as github:
        for day in (None, DAY, "2023-06-01"):
            before = len(github.api_requests)
            found = resolved(store, github, as_of=day, pulls={"limit": 50})
            assert len(github.api_requests) - before <= 25, day
            cold = Store(f"{other.uri}-{day}")
            assert selected(found) == selected(resolved(cold, github, as_of=day, pulls={"limit": 50}))
