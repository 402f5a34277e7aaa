import codecs
import datetime
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.base.errors import RecordError
from tasks.base.records import Document
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.git.paths import display_path
from tasks.harvest.git.repository import git, open_view
from tasks.harvest.params import ResolvedSnapshot, Servers, SnapshotParams, SourceParams
from tasks.harvest.resolve import resolve_source
from tasks.harvest.snapshot import Dropped, read_files, snapshot
from tests.harvest.histories import Files, History, commit, moment

NOW = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def read(
    tmp_path: Path, files: Files, params: SnapshotParams | None = None
) -> tuple[dict[str, Document], dict[str, Dropped]]:
    folder = tmp_path / "repo.git"
    revision = commit(folder, files)
    source = ResolvedSnapshot(repo="r", revision=revision, committed_at=moment(0), web_url=None, location=str(folder))
    found = list(read_files(open_view(folder, tmp_path), source, params or SnapshotParams()))
    assert [item.path for item in found] == sorted(item.path for item in found)
    documents = {item.path: item for item in found if isinstance(item, Document)}
    return documents, {item.path: item for item in found if isinstance(item, Dropped)}


name = st.binary(min_size=1, max_size=6).filter(
    lambda part: not set(part) & {0, 47} and part not in (b".", b"..") and not part.lower().startswith(b".git")
)
path = st.lists(name, min_size=1, max_size=3).map(b"/".join)
content = st.one_of(st.binary(max_size=60), st.text(max_size=40).map(str.encode), st.just(b""))
changes = st.dictionaries(path, st.one_of(content, content, st.none()), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, min_size=1, max_size=3))
def test_snapshot_of_random_history_has_every_entry_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[dict[bytes, bytes | None]]
) -> None:
    folder = tmp_path_factory.mktemp("random")
    history = History()
    mark = history.commit("refs/heads/main", {b"first": b"1"}, 0)
    for number, step in enumerate(steps):
        mark = history.commit("refs/heads/main", step, number + 1, [mark])
    repository = history.write(folder / "repo.git")
    store = Store(str(folder / "store"))
    asked = SourceParams.model_validate({"repo": str(repository)})
    found = resolve_source(asked, Servers(), NOW, store)
    made = snapshot.direct(store, source=found.snapshot, params=asked.files)

    listing = git("--git-dir", str(repository), "ls-tree", "-r", "-z", "main").split(b"\0")[:-1]
    tree = {display_path(line.split(b"\t", 1)[1]): line.split()[2].decode() for line in listing}
    assert len(tree) == len(listing)
    documents = list(read_records(store, made, Document))
    verdicts = [verdict.id for verdict in read_verdicts(store, made)]
    ids = [document.id for document in documents] + verdicts
    assert sorted(ids) == sorted(f"repo/file/{name}" for name in tree)
    for document in documents:
        data = git("--git-dir", str(repository), "cat-file", "blob", tree[document.path])
        encoding = document.meta.get("encoding", "utf-8")
        mark = MARKS[encoding] if document.meta.get("byte_order_mark") else b""
        assert mark + document.text.encode(encoding) == data


def test_snapshot_encodings_are_decoded_and_reported(tmp_path: Path, store: Store) -> None:
    files = {
        "bom.txt": b"\xef\xbb\xbfhello\n",
        "crlf.txt": b"a\r\nb\r\n",
        "latin.txt": "caf\xe9 na\xefve\n".encode("latin-1"),
        "utf16.txt": b"\xff\xfe" + "wide\n".encode("utf-16-le"),
        "utf16be.txt": b"\xfe\xff" + "wide b\n".encode("utf-16-be"),
        "nul.bin": b"a\0b",
        "noise.bin": bytes(range(1, 32)) * 4 + b"\xff\xfe\xfd",
        "cut.txt": "\u00e9".encode() * 5000,
    }
    documents, dropped = read(tmp_path, files)

    assert {name: document.text for name, document in documents.items() if name != "cut.txt"} == {
        "bom.txt": "hello\n",
        "crlf.txt": "a\r\nb\r\n",
        "latin.txt": "café naïve\n",
        "utf16.txt": "wide\n",
        "utf16be.txt": "wide b\n",
    }
    assert documents["latin.txt"].meta["encoding"] == "cp1252"
    assert documents["utf16.txt"].meta["encoding"] == "utf-16-le"
    assert documents["bom.txt"].meta["byte_order_mark"] is True
    assert len(documents["cut.txt"].text) == 5000  # a probe of the first 8,000 bytes would have cut a character
    assert {name: item.reason for name, item in dropped.items()} == {"nul.bin": "binary", "noise.bin": "binary"}
    asked = SourceParams(repo=str(tmp_path / "repo.git"))
    found = resolve_source(asked, Servers(), NOW, store)
    assert snapshot.direct(store, source=found.snapshot, params=asked.files).counts == {
        "byte_order_mark": 3,
        "crlf": 1,
        "encoding:cp1252": 1,
        "encoding:utf-16-be": 1,
        "encoding:utf-16-le": 1,
        "records": 6,
        "verdict:binary": 2,
    }


def test_snapshot_odd_entries_get_a_verdict_each(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    files: Files = {
        "a.py": b"x = 1\n",
        "b/copy.py": b"x = 1\n",
        "empty.py": b"",
        "link": ("120000", b"a.py"),
        "module": ("160000", b"0123456789" * 4),
        "big.psd": pointer,
        "huge.txt": b"y" * 101,
        b"caf\xe9.txt": b"old name\n",
        '"quoted".txt': b"new name\n",
        "run.sh": ("100755", b"#!/bin/sh\n"),
        "preis £.md": b"# Preis\n",
    }
    documents, dropped = read(tmp_path, files, SnapshotParams(max_bytes=100))

    assert sorted(documents) == [r'"\"quoted\".txt"', r'"caf\351.txt"', "a.py", "b/copy.py", "preis £.md", "run.sh"]
    assert {name: (item.reason, item.detail) for name, item in dropped.items()} == {
        "empty.py": ("empty", ""),
        "link": ("symlink", hashlib.sha1(b"blob 4\0a.py").hexdigest()),
        "module": ("submodule", "0123456789" * 4),
        "big.psd": ("lfs-pointer", ""),
        "huge.txt": ("too-large", "101 bytes"),
    }


def test_snapshot_reads_every_kind_of_text_and_judges_none(tmp_path: Path) -> None:
    files = {
        "yarn.lock": b"# yarn lockfile v1\n",
        "gen.go": b"// Code generated by stringer; DO NOT EDIT.\npackage a\n",
        "node_modules/left-pad/index.js": b"module.exports = 1\n",
        "logo.svg": b"<svg/>",
        "copy.svg": b"<svg/>",
        "LICENSE": b"MIT\n",
    }
    documents, dropped = read(tmp_path, files)
    assert (sorted(documents), dropped) == (sorted(files), {})


def test_snapshot_notes_what_gitattributes_state(tmp_path: Path) -> None:
    files = {
        ".gitattributes": b"schema.ts linguist-generated\nlib/** linguist-vendored=true\n"
        b"vendor/ours/* -linguist-vendored\n",
        "sub/.gitattributes": b"*.py linguist-generated=false\n",
        "schema.ts": b"export {}\n",
        "lib/a/b.js": b"let a\n",
        "vendor/ours/c.py": b"c = 1\n",
        "sub/e.py": b"# @generated\n",
        "plain.py": b"p = 1\n",
    }
    documents, _ = read(tmp_path, files)
    assert {name: document.meta["linguist"] for name, document in documents.items() if "linguist" in document.meta} == {
        "schema.ts": {"generated": True},
        "lib/a/b.js": {"vendored": True},
        "vendor/ours/c.py": {"vendored": False},
        "sub/e.py": {"generated": False},
    }


def test_snapshot_keys_that_moved_say_where_they_went() -> None:
    with pytest.raises(ValueError, match=r"`drop` is now `dataset\.filter\.drop`"):
        SnapshotParams.model_validate({"drop": []})


def loose(folder: Path, blob: str) -> Path:
    return folder / "objects" / blob[:2] / blob[2:]


def test_snapshot_absent_blobs_are_quarantined_not_fatal(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "repo.git"
    commit(folder, {f"f{number:02d}.py": f"x = {number}\n".encode() for number in range(30)})
    blobs = git("--git-dir", str(folder), "rev-parse", "main:f03.py", "main:f04.py").decode().split()

    def harvested() -> tuple[int, list[tuple[str, str]]]:
        asked = SourceParams(repo=str(folder))
        found = resolve_source(asked, Servers(), NOW, store)
        made = snapshot.direct(store, source=found.snapshot, params=asked.files)
        return made.counts["records"], [(verdict.id, verdict.reason) for verdict in read_verdicts(store, made)]

    loose(folder, blobs[0]).unlink()
    assert harvested() == (29, [("repo/file/f03.py", "absent-blob")])
    loose(folder, blobs[1]).unlink()
    other = Store(str(tmp_path / "other"))
    asked = SourceParams(repo=str(folder))
    found = resolve_source(asked, Servers(), NOW, other)
    with pytest.raises(RecordError, match="absent-blob 2"):
        snapshot.direct(other, source=found.snapshot, params=asked.files)


def test_snapshot_reads_without_changing_the_source(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "repo.git"
    commit(folder, {"a.py": b"a = 1\n"})
    (folder / "config").write_text((folder / "config").read_text() + "[diff]\n\texternal = false\n")
    before = {item: item.stat().st_mtime_ns for item in sorted(folder.rglob("*"))}
    found = resolve_source(SourceParams(repo=str(folder)), Servers(), NOW, store)
    snapshot.direct(store, source=found.snapshot, params=SnapshotParams())
    assert {item: item.stat().st_mtime_ns for item in sorted(folder.rglob("*"))} == before


def test_snapshot_document_has_blob_size_and_commit_date(tmp_path: Path) -> None:
    documents, _ = read(tmp_path, {"src/a.py": b"a = 1\n"})
    document = documents["src/a.py"]
    assert (document.id, document.title, document.path) == ("r/file/src/a.py", "a.py", "src/a.py")
    assert document.created_at is None
    blob = hashlib.sha1(b"blob 6\0a = 1\n").hexdigest()
    assert json.loads(document.line())["meta"] == {"committed_at": moment(0), "blob": blob, "bytes": 6}
