from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.base.store import Store
from tests.emulators.github_api import Github, serve
from tests.harvest.town import Town, build_town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return build_town(tmp_path / "hall.git", 12)


@pytest.fixture
def github(town: Town, monkeypatch: pytest.MonkeyPatch) -> Iterator[Github]:
    """The town on an emulated GitHub that wants a token, which the environment has."""
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_town")
    with serve(town.repository, token="ghp_town") as running:
        yield running


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """A second store, for a cold run."""
    return Store(str(tmp_path / "other"))
