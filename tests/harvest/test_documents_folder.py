"""Archives and `s3://` prefixes as folders: the same documents, hostile archives in one line."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tasks.base.errors import InputError
from tasks.base.store import Store
from tasks.harvest.documents import folder
from tasks.harvest.documents.folder import as_folder
from tests.harvest.test_documents import PAGE, office, pdf
from tests.harvest.test_wiki import source_repository

FILES = {"trip.md": b"# Trip\n", "deep/er/notes.txt": b"Notes.\n"}


def read(place: str) -> dict[str, bytes]:
    root = Path(place)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in FILES.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("passwords")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("name", ["all.zip", "all.tar", "all.tar.gz", "all.tgz", "all.tar.bz2", "all.tar.xz"])
def test_archive_is_the_folder_that_it_holds(store: Store, tmp_path: Path, name: str) -> None:
    mode = {"tgz": "w:gz", "gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(name.rpartition(".")[2], "w")
    path = zipped(tmp_path / name, FILES) if name.endswith("zip") else tarred(tmp_path / name, mode)
    place = as_folder(str(path), 10, store)
    assert read(place) == FILES
    assert as_folder(str(path), 10, store) == place
    assert sorted(Path(place).parent.iterdir()) == [Path(place)]


def test_names_that_lead_out_of_an_archive_are_left_out(store: Store, tmp_path: Path) -> None:
    hostile = {"../out.md": b"x", "/abs.md": b"x", "a/../../b.md": b"x", ".git/config": b"x", "C:\\c.md": b"x"}
    path = zipped(tmp_path / "hostile.zip", hostile | FILES)
    assert read(as_folder(str(path), 10, store)) == FILES
    assert not (tmp_path / "out.md").exists()


def test_bad_archives_are_refused_in_one_line(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = zipped(tmp_path / "bomb.zip", {"a.md": bytes(2_000_000)})
    (tmp_path / "broken.zip").write_bytes(bomb.read_bytes()[:50])
    (tmp_path / "cut.tar.gz").write_bytes(tarred(tmp_path / "whole.tar.gz", "w:gz").read_bytes()[:40])
    locked = bytearray(zipped(tmp_path / "locked.zip", FILES).read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = locked.find(mark)
        while at >= 0:
            locked[at + place] |= 1
            at = locked.find(mark, at + 4)
    (tmp_path / "locked.zip").write_bytes(bytes(locked))
    zipped(tmp_path / "nothing.zip", {})
    for name, said in (
        ("bomb.zip", "unpacks to more than 1000000 bytes"),
        ("broken.zip", "is a broken archive"),
        ("cut.tar.gz", "is a broken archive"),
        ("locked.zip", "is encrypted; unpack it and name the folder"),
        ("nothing.zip", "holds no files"),
    ):
        with pytest.raises(InputError, match=rf"sources\.documents\.path: .*{name} {said}"):
            as_folder(str(tmp_path / name), 10, store)
    cache = store.local("cache", "documents")
    assert list(cache.iterdir()) == []


def test_prefix_reads_only_what_is_new(store: Store, s3_bucket: str) -> None:
    import boto3

    client, bucket = boto3.client("s3"), urlsplit(s3_bucket).netloc
    for name, data in FILES.items():
        client.put_object(Bucket=bucket, Key=f"papers/{name}", Body=data)
    client.put_object(Bucket=bucket, Key="papers2/other.md", Body=b"no")
    place = as_folder(f"{s3_bucket}/papers", 1_000, store)
    assert read(place) == FILES
    kept = (Path(place) / "trip.md").stat()
    client.delete_object(Bucket=bucket, Key="papers/deep/er/notes.txt")
    client.put_object(Bucket=bucket, Key="papers/large.md", Body=bytes(5_000))

    assert as_folder(f"{s3_bucket}/papers/", 1_000, store) != place  # another address
    assert as_folder(f"{s3_bucket}/papers", 1_000, store) == place

    assert {name: len(data) for name, data in read(place).items()} == {"trip.md": 7, "large.md": 1_001}
    assert (Path(place) / "trip.md").stat().st_mtime_ns == kept.st_mtime_ns
    with pytest.raises(InputError, match=r"sources\.documents\.path: s3://rawtune-tests/none has 0 objects"):
        as_folder(f"{s3_bucket}/none", 1_000, store)


READ: Final = """
import datetime, json, resource, sys
from tasks.base.store import Store
from tasks.harvest.documents.step import documents_beside
from tasks.harvest.params import Servers, SourceParams
from tasks.harvest.resolve import resolve_source
wish = {"repo": sys.argv[1], "pulls": None, "documents": {"path": sys.argv[2]}}
store = Store(sys.argv[3])
now = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
found = resolve_source(SourceParams.model_validate(wish), Servers(), now, store)
made = documents_beside.direct(store, source=found.documents)
peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([peak, made.counts]))
"""
"""Prints the largest resident set of a process, in KiB, and the counts."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hundred_mixed_documents_and_a_huge_mailbox_take_bounded_memory(tmp_path: Path) -> None:
    source = source_repository(tmp_path / "town")
    word, slides, long = (
        office(PAGE, "docx"),
        office(PAGE, "pptx"),
        "All work and no play. " * 20_000,
    )  # pandoc gets less

    def read_folder(number: int) -> tuple[int, dict[str, int]]:
        papers = tmp_path / f"papers{number}"
        papers.mkdir()
        for place in range(number // 10):
            for name, made in (("a.docx", word), ("b.pptx", slides)):
                with_note = io.BytesIO(made)
                with zipfile.ZipFile(with_note, "a") as archive:
                    archive.comment = str(place).encode()
                (papers / f"{place}{name}").write_bytes(with_note.getvalue())
            (papers / f"{place}c.pdf").write_bytes(pdf(f"Page of {place}, with words enough.", "Another page of it."))
            (papers / f"{place}d.html").write_text(f"<h1>{place}</h1><p>{long[:9_000]}</p>")
            for kind, size in (("e.md", len(long)), ("f.txt", len(long)), ("g.rst", 9_000), ("h.org", 9_000)):
                (papers / f"{place}{kind}").write_text(f"{kind} {place}\n\n{long[:size]}\n")
            said = [{"id": one, "thread": one // 9, "text": f"{place} {one} {long[:900]}"} for one in range(900)]
            (papers / f"{place}i.jsonl").write_text("\n".join(map(json.dumps, said)))
            mail = "".join(f"From a\nFrom: a@b\nMessage-ID: <{place}.{one}>\n\n{long[:900]}\n" for one in range(90))
            (papers / f"{place}j.mbox").write_text(mail)
        if number == 200:
            with (papers / "huge.mbox").open("wb") as huge:
                huge.truncate(1_000_000_000)
        command = [sys.executable, "-c", READ, str(source), str(papers), str(tmp_path / f"store{number}")]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        peak, counts = json.loads(done.stdout.splitlines()[-1])
        return peak, counts

    few, _ = read_folder(20)
    many, counts = read_folder(200)

    assert counts["records"] == 20 * (8 + 100 + 90)
    assert counts["verdict:too-large"] == 1
    assert many < few + 60_000  # KiB
