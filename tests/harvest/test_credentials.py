import base64
from collections.abc import Iterator

import pytest
from prefect.blocks.system import Secret
from prefect.testing.utilities import prefect_test_harness

from tasks.base.errors import InputError
from tasks.harvest.credentials import git_credentials, token_of
from tasks.harvest.params import GiteaParams, GithubParams, GitlabParams


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness():
        yield


@pytest.mark.slow
def test_token_comes_from_the_named_secret_block(server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "of the environment")
    Secret(value="of the block").save("rawtune-github")  # type: ignore[unused-coroutine]
    assert token_of(GithubParams(token_block="rawtune-github")) == "of the block"
    with pytest.raises(InputError, match=r"^github.token_block: there is no Prefect Secret block elsewhere;"):
        token_of(GithubParams(token_block="elsewhere"))


def test_token_goes_to_the_hosts_of_its_github_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "t0k")
    found = git_credentials(GithubParams(), "https://github.com/a/b.git")
    assert found["GIT_CONFIG_KEY_0"] == "http.https://github.com/.extraHeader"
    assert base64.b64decode(found["GIT_CONFIG_VALUE_0"].rpartition(" ")[2]) == b"x-access-token:t0k"
    assert git_credentials(GithubParams(), "https://example.org/a/b.git") == {}
    assert git_credentials(GithubParams(api_url="https://git.example.org/api/v3"), "https://git.example.org/a/b.git")
    assert git_credentials(GithubParams(), "http://github.com/a/b.git") == {}  # not in the clear
    assert git_credentials(GitlabParams(), "https://gitlab.com/a/b.git") == {}  # that of another forge
    monkeypatch.setenv("GITLAB_TOKEN", "of gitlab")
    monkeypatch.setenv("GITEA_TOKEN", "of gitea")
    assert git_credentials(GitlabParams(), "https://gitlab.com/a/b.git")
    assert git_credentials(GitlabParams(), "https://codeberg.org/a/b.git") == {}
    assert git_credentials(GiteaParams(), "https://codeberg.org/a/b.git")
    monkeypatch.delenv("GITHUB_TOKEN")
    assert git_credentials(GithubParams(), "https://github.com/a/b.git") == {}
