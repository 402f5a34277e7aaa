import datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.params import Servers, SourceParams
from tasks.harvest.resolve import resolve_source
from tasks.harvest.wiki.pages import wiki
from tests.harvest.histories import Files, History, moment

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)


def source_repository(folder: Path) -> Path:
    history = History()
    history.commit("refs/heads/main", {"a.py": b"a = 1\n"}, 0)
    return history.write(folder)


def write_wiki(folder: Path, *edits: Files) -> Path:
    history = History()
    mark = 0
    for number, files in enumerate(edits):
        mark = history.commit("refs/heads/master", files, number, [mark] if mark else [])
    history.write(folder)
    (folder / "HEAD").write_text("ref: refs/heads/master\n")
    return folder


def harvest(store: Store, repo: Path, **wish: Any) -> tuple[Artifact, dict[str, Document]]:
    asked = SourceParams.model_validate({"repo": str(repo), **wish})
    found = resolve_source(asked, Servers(), NOW, store)
    assert found.wiki is not None
    made = wiki.direct(store, source=found.wiki)
    return made, {item.path: item for item in read_records(store, made, Document)}


PAGES: Files = {
    "Home.md": b"# Home\n\nSee [[Set up|Setting-Up]], [[API: v2]], [guide](Guide) and [gone](Nowhere#x).\n"
    b"[out](https://example.org)\n",
    "guides/Setting-Up.md": b"# Setting up\n",
    "API:-v2.mediawiki": b"== API ==\n[[Home|start here]]\n",
    "Guide.asciidoc": b"= Guide\n\nlink:Home[home] and <<Set-Up>>\n",
    "Rest.rst": b"Rest\n====\n\n`home <Home>`_\n",
    "Notes.org": b"* Notes\n[[file:Home.md][home]]\n",
    "\u4e2d\u6587\u9875.md": "# 中文\n".encode(),
    "_Sidebar.md": b"* [[Home]]\n",
    "guides/_Footer.md": b"footer\n",
    "images/logo.png": b"\x89PNG\0",
    "Empty.md": b" \n",
}


def test_wiki_beside_a_bare_repository_is_harvested(tmp_path: Path, store: Store) -> None:
    repository = source_repository(tmp_path / "town.git")
    write_wiki(tmp_path / "town.wiki.git", PAGES, {"Home.md": PAGES["Home.md"], "Rest.rst": b"Rest\n====\n"})
    made, pages = harvest(store, repository)

    assert made.counts == {
        "records": 7,
        "verdict:empty": 1,
        "verdict:navigation": 2,
        "verdict:not-a-page": 1,
    }
    assert [(item.path, item.title, item.meta["format"]) for item in pages.values()] == [
        ("API:-v2.mediawiki", "API: v2", "mediawiki"),
        ("Guide.asciidoc", "Guide", "asciidoc"),
        ("Home.md", "Home", "markdown"),
        ("Notes.org", "Notes", "org"),
        ("Rest.rst", "Rest", "rst"),
        ("guides/Setting-Up.md", "Setting Up", "markdown"),
        ("中文页.md", "中文页", "markdown"),
    ]
    assert pages["Home.md"].id == "town/wiki/Home.md"
    assert (pages["Rest.rst"].created_at, pages["Rest.rst"].updated_at) == (moment(0), moment(1))
    assert (pages["Home.md"].created_at, pages["Home.md"].updated_at) == (moment(0), moment(0))
    reasons = {verdict.id.removeprefix("town/wiki/"): verdict.reason for verdict in read_verdicts(store, made)}
    assert reasons == {
        "Empty.md": "empty",
        "_Sidebar.md": "navigation",
        "guides/_Footer.md": "navigation",
        "images/logo.png": "not-a-page",
    }


def test_wiki_as_of_takes_the_pages_of_that_day(tmp_path: Path, store: Store) -> None:
    repository = source_repository(tmp_path / "town.git")
    write_wiki(tmp_path / "town.wiki.git", {"Home.md": b"old\n"}, {"Home.md": b"new\n"})
    assert harvest(store, repository, as_of="2023-01-02")[1]["Home.md"].text == "old\n"
    assert harvest(store, repository)[1]["Home.md"].text == "new\n"


def test_wiki_that_is_not_there_is_no_error(tmp_path: Path, store: Store) -> None:
    made, _ = harvest(store, source_repository(tmp_path / "town.git"))
    assert made.counts == {"records": 0}


def test_wiki_younger_than_the_date_is_no_error(tmp_path: Path, store: Store) -> None:
    repository = source_repository(tmp_path / "town.git")
    history = History()
    history.commit("refs/heads/main", {"Home.md": b"late\n"}, 90)
    history.write(tmp_path / "town.wiki.git")
    assert harvest(store, repository, as_of="2023-02-01")[0].counts == {"records": 0}


def test_wiki_in_a_plain_folder_has_its_content_as_revision(tmp_path: Path, store: Store) -> None:
    repository = source_repository(tmp_path / "town.git")
    pages = tmp_path / "pages"
    (pages / "deep").mkdir(parents=True)
    (pages / "Fastly.txt").write_text("How Fastly is used.\n")
    (pages / "deep" / "Router.md").write_text("# Router\n")
    made, found = harvest(store, repository, wiki=str(pages))

    assert sorted(found) == ["Fastly.txt", "deep/Router.md"]
    assert found["Fastly.txt"].updated_at is None
    assert harvest(store, repository, wiki=str(pages))[0] == made
    (pages / "Fastly.txt").write_text("Changed.\n")
    assert harvest(store, repository, wiki=str(pages))[0].sha256 != made.sha256
    assert sorted(path.name for path in pages.rglob("*")) == ["Fastly.txt", "Router.md", "deep"]


def test_wiki_named_but_missing_is_bad_input(tmp_path: Path, store: Store) -> None:
    repository = source_repository(tmp_path / "town.git")
    with pytest.raises(InputError, match=r"^sources.wiki: there is no .*nowhere"):
        harvest(store, repository, wiki=str(tmp_path / "nowhere"))


def test_wiki_switched_off_resolves_to_none(tmp_path: Path, store: Store) -> None:
    asked = SourceParams(repo=str(source_repository(tmp_path / "town.git")), wiki=None)
    assert resolve_source(asked, Servers(), NOW, store).wiki is None


@pytest.mark.slow  # pandoc is given its whole time
def test_page_that_cannot_be_read_stays_as_it_was_written(tmp_path: Path, store: Store) -> None:
    text = b"Above.\n\n----\n```\n# no heading\n"
    write_wiki(tmp_path / "town.wiki.git", {"Deploy.adoc": text, "Home.org": b"* Home\n"})
    made, pages = harvest(store, source_repository(tmp_path / "town.git"))
    assert made.counts == {"records": 2, "as_written": 1}
    assert pages["Deploy.adoc"].text == f"````asciidoc\n{text.decode().strip()}\n````\n"
    assert [item.meta.get("as_written") for item in pages.values()] == [True, None]
