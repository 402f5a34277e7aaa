"""Documents beside a repository: formats as Markdown, threads without people, bad files a verdict each."""

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pypandoc
import pypdf
import pytest

from tasks.base.errors import InputError
from tasks.base.records import Document, Kind
from tasks.base.runs import read_records, read_verdicts
from tasks.base.store import Store
from tasks.harvest.documents.conversations import Bad, conversations, entries_of
from tasks.harvest.documents.convert import Unreadable, markdown_of
from tasks.harvest.documents.step import documents_beside
from tasks.harvest.params import Servers, SourceParams
from tasks.harvest.resolve import resolve_source
from tasks.text.people import without_addresses
from tests.harvest.test_wiki import NOW, source_repository

PAGE = "# Trip\n\n## Cost\n\n| what | euro |\n|------|------|\n| bus  | 7    |\n\n- one\n- two\n"


def office(markdown: str, kind: str) -> bytes:
    command = [str(pypandoc.get_pandoc_path()), "--from=gfm", f"--to={kind}", "--output=-"]
    return subprocess.run(command, input=markdown.encode(), capture_output=True, check=True).stdout


def pdf(*pages: str) -> bytes:
    """A PDF of pages of lines in Helvetica, without a library."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, page in enumerate(pages):
        shown = "".join(f"({line}) Tj 0 -20 Td " for line in page.split("\n"))
        stream = f"BT /F1 12 Tf 50 700 Td {shown}ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def locked(document: bytes) -> bytes:
    """A PDF that a password opens."""
    writer = pypdf.PdfWriter(io.BytesIO(document))
    writer.encrypt("open sesame", algorithm="RC4-128")
    held = io.BytesIO()
    writer.write(held)
    return held.getvalue()


def zipped(**members: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return held.getvalue()


@pytest.mark.parametrize("kind", ["docx", "pptx", "odt", "html"])
def test_office_formats_keep_headings_lists_and_tables(kind: str) -> None:
    text = markdown_of(f"trip.{kind}", office(PAGE, kind))
    assert "Cost" in [line.strip("# ") for line in text.split("\n") if line.startswith("#")]
    assert [cell.strip() for row in text.split("\n") if "bus" in row for cell in row.strip("|").split("|")] == [
        "bus",
        "7",
    ]
    mark = "" if kind == "pptx" else "- "  # pandoc reads a slide's list as paragraphs
    assert [line for line in text.split("\n") if line.strip("- ") in ("one", "two")] == [f"{mark}one", f"{mark}two"]
    assert "<" not in text


def test_pdf_is_its_pages_without_header_and_footer() -> None:
    data = pdf(
        *(
            f"ACME travel rules\nRule {word} is about {word}.\nPage {number} of 3"
            for number, word in enumerate(("bus", "train", "ship"), 1)
        )
    )
    assert markdown_of("rules.pdf", data) == (
        "## Page 1\n\nRule bus is about bus.\n\n## Page 2\n\nRule train is about train.\n\n"
        "## Page 3\n\nRule ship is about ship.\n"
    )


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.docx", b"PK\x03\x04 broken", "broken-archive"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted"),
        ("a.docx", zipped(**{"word/vbaProject.bin": b"x"}), "macro-document"),
        ("a.docm", b"", "macro-document"),
        ("a.docx", zipped(**{"word/document.xml": b" " * 20_000_000}), "archive-too-large"),
        ("a.docx", zipped(**{"other.txt": b"x"}), "unreadable-markup"),
        ("a.doc", b"", "old-office"),
        ("a.pdf", b"%PDF-1.4 broken", "broken-pdf"),
        ("a.pdf", locked(pdf("Nobody reads this.")), "encrypted"),
        ("a.pdf", pdf("", "", ""), "scanned"),
        ("a.html", b"", "empty"),
        ("a.txt", b"\x00\x01\x02\xff" * 50, "binary"),
        ("a.exe", b"MZ", "not-a-document"),
    ],
)
def test_bad_document_is_one_verdict(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as why:
        markdown_of(name, data)
    assert why.value.args[0] == reason


def lines(*entries: dict[str, object]) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


SAID = "Ann Lee said so: call +49 30 1234567 or ann@acme.example."
ASKED = {"id": 1, "thread": "t1", "title": "Why is it slow?", "text": "Does anybody know?", "author": "Ann Lee"}
CHAT = lines(
    {"id": 2, "thread": "t1", "text": SAID, "author": "Bo", "created_at": "2024-01-02T10:00:00Z"},
    ASKED | {"created_at": "2024-01-01T10:00:00"},
    {"id": 3, "thread": "t1", "text": "Later.", "author": "Bo", "created_at": "2024-07-01T10:00:00Z"},
    {"id": 4, "text": "Alone."},
    {"id": 5},
)


def test_thread_is_one_conversation_in_order_without_people() -> None:
    found = list(entries_of("jsonl", CHAT + b"{oops\n"))
    assert [(one.place, one.reason) for one in found if isinstance(one, Bad)] == [
        ("line 5", "bad-entry"),
        ("line 6", "bad-json"),
    ]
    until = int(NOW.timestamp())
    alone, thread = conversations([one for one in found if not isinstance(one, Bad)], until, hide=True)
    assert (alone.text, alone.first) == ("Alone.\n", None)
    assert thread.text == (
        "# Why is it slow?\n\n**Person 1, 2024-01-01:**\n\nDoes anybody know?\n\n"
        "**Person 2, 2024-01-02:**\n\nPerson 1 said so: call [telephone] or [e-mail].\n"
    )
    kept = conversations([one for one in found if not isinstance(one, Bad)], None, hide=False)[1]
    assert "**Ann Lee, 2024-01-01:**" in kept.text
    assert kept.text.endswith("Later.\n")


@pytest.mark.parametrize(
    "text", ["version 1.2.3-4", "2024-01-02", "0x1234 5678", "IP 10.0.0.12", "lines 10-20", "ISBN 978"]
)
def test_numbers_that_are_no_telephones_stay(text: str) -> None:
    assert without_addresses(text) == text


MAIL = (
    b"From: Ann Lee <ann@acme.example>\nSubject: Slow\nMessage-ID: <1@x>\n"
    b"Date: Mon, 01 Jan 2024 10:00:00 +0000\n\nIt is slow.\n"
)
REPLY = (
    b"From: Bo <bo@acme.example>\nSubject: Re: Slow\nMessage-ID: <2@x>\nReferences: <1@x>\n"
    b"Date: Tue, 02 Jan 2024 10:00:00 +0000\n\n> It is slow.\nRestart it, Ann Lee.\n"
)


def test_mailbox_is_read_by_thread() -> None:
    box = b"From ann Mon Jan\n" + MAIL + b"\nFrom bo Tue Jan\n" + REPLY
    (thread,) = conversations(list(entries_of("mbox", box)), None, hide=True)  # type: ignore[arg-type]
    assert thread.title == "Slow"
    assert thread.text.endswith("**Person 2, 2024-01-02:**\n\nRestart it, Person 1.\n")


def test_folder_becomes_documents_and_verdicts_the_same_twice(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "trip.docx").write_bytes(office(PAGE, "docx"))
    (folder / "chat.jsonl").write_bytes(CHAT)
    (folder / "chat.jsonl-old.md").write_text("# Old\n\nNothing here.\n")
    (folder / "big.md").write_text("x" * 5000)
    (folder / "logo.exe").write_bytes(b"MZ")
    wish = {"path": str(folder), "max_bytes": 4096 * 4, "base_url": "https://papers.example"}
    (folder / "huge.txt").write_text("x" * 20_000)
    asked = SourceParams.model_validate(
        {"repo": str(source_repository(tmp_path / "town")), "wiki": None, "documents": wish}
    )
    resolved = [resolve_source(asked, Servers(), NOW, store).documents for _ in range(2)]
    assert resolved[0] is not None
    assert resolved[0] == resolved[1]
    assert resolved[0].until is None  # without a date the key does not change with the hour
    made = documents_beside.direct(store, source=resolved[0])
    found = {one.path: one for one in read_records(store, made, Document)}
    assert list(found) == ["big.md", "chat.jsonl#4", "chat.jsonl#t1", "chat.jsonl-old.md", "deep/trip.docx"]
    assert {one.kind for one in found.values()} == {Kind.DOCUMENT}
    assert found["deep/trip.docx"].url == "https://papers.example/deep/trip.docx"
    assert found["chat.jsonl#t1"].created_at == "2024-01-01T10:00:00Z"
    assert found["chat.jsonl#t1"].is_page
    reasons = {one.id.partition("/document/")[2]: one.reason for one in read_verdicts(store, made)}
    assert reasons == {"chat.jsonl#line 5": "bad-entry", "huge.txt": "too-large", "logo.exe": "not-a-document"}


def test_missing_folder_is_one_line_that_names_the_field(store: Store, tmp_path: Path) -> None:
    wish = {"repo": str(source_repository(tmp_path / "town")), "documents": {"path": str(tmp_path / "nowhere")}}
    with pytest.raises(InputError, match=r"sources\.documents\.path"):
        resolve_source(SourceParams.model_validate(wish), Servers(), NOW, store)


SLACK = {
    "users.json": [{"id": "U1", "name": "ann", "real_name": "Ann Lee"}, {"id": "U2", "name": "bo"}],
    "general/2024-01-01.json": [
        {"type": "message", "user": "U1", "text": "Slow?", "ts": "1704103200.000100", "thread_ts": "1704103200.000100"},
        {"type": "message", "user": "U2", "text": "Restart.", "ts": "1704103260.0", "thread_ts": "1704103200.000100"},
        {"type": "message", "bot_id": "B1", "text": "Deployed.", "ts": "1704103270.0"},
    ],
}
JIRA = {
    "issues": [
        {
            "key": "SHOP-7",
            "self": "https://jira.example/rest/api/2/issue/1",
            "fields": {
                "summary": "Slow",
                "description": None,
                "reporter": {"displayName": "Ann Lee"},
                "created": "2024-01-01T10:00:00.000+0000",
                "comment": {
                    "comments": [
                        {"id": "9", "author": None, "body": "Restart.", "created": "2024-01-02T10:00:00.000+0000"}
                    ]
                },
            },
        }
    ]
}


def test_documented_converters_write_what_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/documents.md").read_text("utf-8")
    slack, jira = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    for name, content in SLACK.items():
        (tmp_path / "slack" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "slack" / name).write_text(json.dumps(content))
    (tmp_path / "jira").write_text(json.dumps(JIRA))
    told = []
    for name, script in (("slack", slack), ("jira", jira)):
        target = tmp_path / f"{name}.jsonl"
        subprocess.run([sys.executable, "-c", script, str(tmp_path / name), str(target)], check=True)
        (thread,) = conversations(list(entries_of("jsonl", target.read_bytes())), None, hide=True)  # type: ignore[arg-type]
        told.append((thread.title, thread.text, thread.url))
    assert told == [
        (
            "general-1704103200.000100",
            "**Person 1, 2024-01-01:**\n\nSlow?\n\n**Person 2, 2024-01-01:**\n\nRestart.\n",
            None,
        ),
        (
            "Slow",
            "# Slow\n\n**Person 1, 2024-01-01:**\n\nSlow\n\n**2024-01-02:**\n\nRestart.\n",
            "https://jira.example/browse/SHOP-7",
        ),
    ]


def test_reader_of_a_pdf_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(
        f"#!/bin/sh\ncat > /dev/null\nenv > {tmp_path}/seen\nprintf 'Twenty characters of text.\\f'\n"
    )
    interpreter.chmod(0o755)
    for name in ("GITHUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setattr(sys, "executable", str(interpreter))
    assert "Twenty characters" in markdown_of("a.pdf", b"%PDF-1.7")
    assert "planted" not in (tmp_path / "seen").read_text()
