"""Text as people wrote it: encodings, notebooks, markups, words of other forges, names that changed owners."""

import json
from pathlib import Path

import pytest

from tasks.base.store import Store
from tasks.harvest.decoding import decode, whole
from tasks.harvest.git.history import merges
from tasks.harvest.git.mirror import open_source
from tasks.harvest.notebooks import notebook_text
from tasks.harvest.wiki.markup import READERS, as_markdown
from tests.emulators.github_api import Github
from tests.harvest.histories import History, run
from tests.harvest.test_plain_pulls import harvest as harvest_pulls
from tests.harvest.town import build_town, documents, harvest

EASTERN = {
    "gb18030": "// 你好世界，这是一个测试文件\n",
    "euc_kr": "// 안녕하세요 세계\n",
    "euc_jp": "// データベース接続を初期化\n",
    "shift_jis": "// データベース接続を初期化する関数です\n",
    "big5": "// 資料庫連線的初始化程式\n",
    "cp1251": "// Инициализация соединения с базой данных\n",
    "koi8_r": "// Инициализация соединения с базой данных\n",
}


@pytest.mark.parametrize("encoding", EASTERN)
def test_text_of_old_encodings_is_read_right(encoding: str) -> None:
    text = (EASTERN[encoding] + "int main() { return 0; }\n") * 20
    found = decode(text.encode(encoding))
    assert found
    assert (found.text, found.encoding) == (text, encoding)


@pytest.mark.parametrize(
    "text", ["Größe der Fläche – größer", "l’été à la plage, où ça", "© 2020 Jørgen", "price: 5 €"]
)
def test_text_of_western_europe_is_windows_1252(text: str) -> None:
    found = decode((text + "\n").encode("cp1252"))
    assert found
    assert (found.text, found.encoding) == (f"{text}\n", "cp1252")


def test_stray_byte_in_utf8_is_replaced_and_counted() -> None:
    found = decode("// Größe der Fläche\n".encode() * 20 + b"// \xff\n")
    assert found
    assert (found.encoding, found.stray, found.text[-5:]) == ("utf-8", 1, "// \ufffd\n")


def test_bytes_of_no_known_encoding_are_no_text() -> None:
    assert decode(bytes(range(128, 256)) * 40) is None


def test_notebook_is_its_words_and_code() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Words ![x](data:image/png;base64," + "A" * 200 + ")"]},
        {"cell_type": "code", "source": "print('```')", "outputs": [{"data": {"image/png": "iVBOR" * 100}}]},
        {"cell_type": "code", "source": []},
    ]
    book = json.dumps({"cells": cells, "metadata": {"language_info": {"name": "julia"}}, "nbformat": 4})
    assert notebook_text(book) == "# Title\nWords ![x]()\n\n````julia\nprint('```')\n````\n"
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1"]}]}], "nbformat": 3}
    assert notebook_text(json.dumps(old)) == "```python\na = 1\n```\n"
    for broken in ("{", "[]", "{}", "[" * 100_000, '{"cells": 1}'):
        assert notebook_text(broken) is None
    assert notebook_text('{"cells": [{"cell_type": "markdown", "source": "a \\ud83d"}]}') == "a \ufffd\n"


def test_half_surrogate_pairs_are_replaced_and_counted() -> None:
    assert whole({"a": ["x\ud83d", {"b": "\udc00\udc00"}], "c": 1}) == (
        {"a": ["x\ufffd", {"b": "\ufffd\ufffd"}], "c": 1},
        3,
    )


def test_title_with_half_a_character_loses_no_pull_request(store: Store, github: Github) -> None:
    github.hub.repositories[0].pulls[1].title = "Cut \ud83d"
    made = harvest(store, github)[1]
    found = documents(store, made)
    assert found[2].title == "Cut \ufffd"
    assert made.counts["half_characters"] == 1
    assert len(found) == 12


@pytest.mark.parametrize("threads", ["graphql", "rest"])
def test_repository_that_took_the_name_of_another_is_not_mixed_with_it(
    store: Store, other: Store, github: Github, tmp_path: Path, threads: str
) -> None:
    harvest(store, github, threads)
    new = build_town(tmp_path / "new.git", 3)
    new.repository.id = 78
    for pull in new.repository.pulls:
        pull.title = f"New {pull.number}"
    github.hub.repositories[:] = [new.repository]
    warm, cold = (harvest(place, github, threads)[1] for place in (store, other))
    assert warm.sha256 == cold.sha256
    assert [item.title for item in documents(store, warm).values()] == ["New 1", "New 2", "New 3"]


MARKUPS = {
    "asciidoc": "= Guide\n\nWords.\n\n== Installing\n\n[source,bash]\n----\nsudo apt install x\n----\n",
    "mediawiki": "= Guide =\nWords.\n\n# Click\n# Wait\n\n== Installing ==\n<pre>sudo apt install x</pre>\n",
    "textile": "h1. Guide\n\nWords.\n\n# Click\n# Wait\n\nh2. Installing\n\nbc. sudo apt install x\n",
    "rst": "Guide\n=====\n\nWords.\n\nInstalling\n----------\n\n::\n\n    sudo apt install x\n",
    "org": "* Guide\n\nWords.\n\n** Installing\n\n#+BEGIN_SRC bash\nsudo apt install x\n#+END_SRC\n",
    "creole": "= Guide\n\nWords.\n\n== Installing\n\n{{{\nsudo apt install x\n}}}\n",
    "pod": "=head1 Guide\n\nWords.\n\n=head2 Installing\n\n  sudo apt install x\n",
}


@pytest.mark.parametrize("markup", MARKUPS)
def test_pages_of_every_markup_have_their_headings(markup: str) -> None:
    made = as_markdown(MARKUPS[markup], markup)
    assert made
    lines = made.splitlines()
    assert [line for line in lines if line.startswith("#")] == ["# Guide", "## Installing"]
    assert "Words." in lines
    assert any("sudo apt install x" in line and not line.startswith("#") for line in lines)


@pytest.mark.parametrize(
    ("markup", "text", "expected"),
    [
        (
            "asciidoc",
            ":toc:\n\nGuide\n=====\n\n[[x]]\nThe steps\n---------\nWords.\n\n"
            "Last\n~~~~\n----\nnot this\n--------\n----\n",
            "# Guide\n\n## The steps\n\nWords.\n\n### Last\n\n    not this\n    --------\n",
        ),
        ("asciidoc", "Above.\n\n= Late\n\n[TIP]\nShort.\n", "Above.\n\n## Late\n\n> [!TIP]\n> Short.\n"),
        (
            "asciidoc",
            "== A ==\n----\nx\n------\n\n.Alone\n\n--all::\n\n    Every `int x` one.\n\n****\nAside.\n****\n",
            "## A\n\n    x\n\n**Alone**\n\n--all  \nEvery `int x` one.\n\nAside.\n",
        ),
        ("asciidoc", "|===\n|a |b\n\n|1 |2\n|===\n", "| a   | b   |\n|-----|-----|\n| 1   | 2   |\n"),
        ("org", "Say bin/x --create, and so on...\n", "Say bin/x --create, and so on...\n"),
        ("textile", "Say bin/x --create.\n", "Say bin/x --create.\n"),
        ("asciidoc", "Pass `io=<a>[,...]`.\n", "Pass `io=<a>[,...]`.\n"),
        ("org", "As in `f(x, y)` and `z`.\n", "As in `f(x, y)` and `z`.\n"),
        ("asciidoc", "* a\n\n* b\n\n.Under\nimage::x.png[Alt]\n", "- a\n\n- b\n\n![Alt](x.png)\n\nUnder\n"),
        (
            "mediawiki",
            "Do:\n\n cd \\x\n  ls -l\n\n```\nint *a;\n```\n",
            "Do:\n\n    cd \\x\n     ls -l\n\n``` text\nint *a;\n```\n",
        ),
        ("org", "**** Deep\n{{{ ruby\n@a = b_c\n}}}\n", "#### Deep\n\n``` ruby\n@a = b_c\n```\n"),
        ("mediawiki", "See [[Start|the start]] and [[Other]].\n", "See [the start](Start) and [Other](Other).\n"),
        (
            "org",
            "See [[Start][the start]] and my_own_name, a_{b}.\n",
            "See [the start](Start) and my_own_name, a<sub>b</sub>.\n",
        ),
    ],
)
def test_pages_become_markdown_as_people_write_it(markup: str, text: str, expected: str) -> None:
    assert as_markdown(text, markup) == expected


def test_markup_cannot_read_files_of_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("planted")
    for markup, text in (
        ("rst", f".. include:: {secret}\n\nWords\n"),
        ("rst", f".. csv-table::\n   :file: {secret}\n"),
        ("asciidoc", f"include::{secret}[]\n"),
        ("org", f'#+INCLUDE: "{secret}"\n'),
    ):
        assert "planted" not in (as_markdown(text, markup) or "")
    assert set(READERS) == set(MARKUPS)
    assert as_markdown("= Plain", "rdoc") == "= Plain"


WORDS = {
    7: "Merge branch 'g' into 'main'\n\nAdd g\n\nBecause.\n\nSee merge request group/sub/project!7\n",
    9: "Merged in feature/x (pull request #9)\n\nAdd x\n\nMore\n",
    10: "Merge pull request #10 from ann/y\n\nAdd y\n",
}
SINGLE = {
    8: "Merged PR 8: Add z\n\nWhy\n",
    11: "Pull request #11: Add w\n\nMerge in P/r from w to main\n",
    12: "Add v (#12)\n",
}


def test_merges_are_known_by_the_words_of_every_forge(tmp_path: Path, store: Store) -> None:
    history = History()
    trunk = history.commit("refs/heads/main", {"a": b"1\n"}, 0)
    for number, words in WORDS.items():
        side = history.commit("refs/heads/side", {f"{number}": b"1\n"}, number, [trunk], f"Work {number}\n")
        trunk = history.commit("refs/heads/main", {f"{number}": b"1\n"}, number + 0.5, [trunk, side], words)
    for number, words in SINGLE.items():
        trunk = history.commit("refs/heads/main", {f"{number}": b"1\n"}, 20 + number, [trunk], words)
    folder = history.write(tmp_path / "r.git")
    run("git", "--git-dir", str(folder), "branch", "-D", "side")
    found = merges(open_source(str(folder), store), history.shas[trunk])
    assert {number: (merge.title, merge.body) for number, merge in found.items()} == {
        7: ("Add g", "Because."),
        8: ("Add z", "Why"),
        9: ("Add x", "More"),
        10: ("Add y", ""),
        11: ("Add w", "Merge in P/r from w to main"),
        12: ("Add v", ""),
    }
    assert len(harvest_pulls(store, folder)[1]) == 6


@pytest.mark.parametrize("place", ["refs/merge-requests/3/head", "refs/pull-requests/3/from", "refs/pull/3/head"])
def test_heads_are_found_where_the_forge_keeps_them(tmp_path: Path, store: Store, place: str) -> None:
    history = History()
    first = history.commit("refs/heads/main", {"a": b"1\n"}, 0)
    second = history.commit(place, {"b": b"1\n"}, 1, [first], "First\n\nWhy.\n")
    history.commit(place, {"c": b"1\n"}, 2, [second], "Second\n")
    folder = history.write(tmp_path / "r.git")
    for address in (folder, f"file://localhost{folder}"):
        made = harvest_pulls(Store(f"{store.uri}-{len(str(address))}"), address)[1]
        assert (made[3].title, made[3].text) == ("First", "Why.\n\nSecond")


def test_repository_without_pull_requests_says_so(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    history = History()
    history.commit("refs/heads/main", {"a": b"1\n"}, 0)
    harvest_pulls(store, history.write(tmp_path / "r.git"))
    assert "has no pull requests that git knows of" in caplog.text


def test_account_of_an_enterprise_may_have_an_underscore() -> None:
    from tasks.harvest.git.opened import ON_GITHUB

    assert ON_GITHUB.fullmatch("octo-cat_acme/tool")
    assert not ON_GITHUB.fullmatch("_acme/tool")


def test_large_notebook_with_few_words_is_kept(tmp_path: Path, store: Store) -> None:
    from tasks.harvest.params import SnapshotParams
    from tests.harvest.test_snapshot import read

    book = {"cells": [{"cell_type": "markdown", "source": "Words"}], "metadata": {"x": "y" * 2_000_000}, "nbformat": 4}
    kept, dropped = read(tmp_path, {"a.ipynb": json.dumps(book).encode(), "b.ipynb": b"{}"}, SnapshotParams())
    assert kept["a.ipynb"].text == "Words\n"
    assert dropped["b.ipynb"].reason == "broken-notebook"
