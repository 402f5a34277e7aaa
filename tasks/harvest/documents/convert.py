"""A document's bytes as Markdown: by pandoc what it reads, by pypdf what it does not.

pandoc is a dependency already and takes about 0.02 s a document. markitdown reads the charts of slides, which pandoc
leaves out, and would bring 300 MB. pandoc reads no PDF; pypdf has 0.4 MB.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Final

from tasks.harvest.decoding import decode
from tasks.harvest.documents.pdf import ENCRYPTED, PDF_SECONDS
from tasks.harvest.wiki.markup import as_markdown, by_pandoc
from tasks.harvest.wiki.pages import MARKUPS

ROOT: Final = Path(__file__).resolve().parents[3]
"""The folder that holds the package `tasks`."""
ZIPPED: Final = {"docx": "docx", "pptx": "pptx", "odt": "odt", "epub": "epub"}
"""Formats that are ZIP archives, by extension, with pandoc's readers."""
WRITTEN: Final = {"html": "html", "htm": "html", "xhtml": "html", "rtf": "rtf"}
"""Formats that are text, beside those of wikis."""
WRITER: Final = "gfm-raw_html"
"""GitHub's Markdown without the HTML of what Markdown cannot say."""
MACROS: Final = frozenset({"docm", "dotm", "pptm", "potm", "xlsm"})
OLD: Final = frozenset({"doc", "ppt", "dot", "pps"})

MAX_UNPACKED_BYTES: Final = 200_000_000
"""Of all that an archive claims to hold; a document with photographs has some tens of MB."""
MAX_RATIO: Final = 200
"""Unpacked to packed size of an archive above 10 MB; text packs to a tenth, a bomb to a thousandth."""
MIN_PDF_CHARACTERS: Final = 20
"""A page with fewer in the mean is a scan."""
REPEATED: Final = 0.6
"""A first or last line on more than this share of the pages is a header or footer."""


class Unreadable(Exception):  # a verdict, no fault
    """Why a document has no text; `args` are reason and detail of its verdict."""


def extension(path: str) -> str:
    """Lower case, without the dot."""
    return path.rpartition(".")[2].lower() if "." in path.rsplit("/", 1)[-1] else ""


def markdown_of(path: str, data: bytes) -> str:
    """The text as GitHub's Markdown.

    Raises:
        Unreadable: it has none, or is not what its name says.
    """
    kind = extension(path)
    if kind in MACROS:
        raise Unreadable("macro-document", "")
    if kind in OLD:
        raise Unreadable("old-office", "save it as docx or pptx")
    if kind == "pdf":
        return _pdf(data)
    if kind in ZIPPED:
        _check_archive(data)
        text = by_pandoc(data, ZIPPED[kind], writer=WRITER)
    elif kind in WRITTEN or kind in MARKUPS:
        decoded = decode(data)
        if decoded is None:
            raise Unreadable("binary", "")
        if kind in MARKUPS:
            text = as_markdown(decoded.text, MARKUPS[kind])
        else:
            text = by_pandoc(decoded.text.encode("utf-8", "replace"), WRITTEN[kind], writer=WRITER)
    else:
        raise Unreadable("not-a-document", "")
    if text is None:
        raise Unreadable("unreadable-markup", kind)
    if not text.strip():
        raise Unreadable("empty", "")
    return text


def _check_archive(data: bytes) -> None:
    """Looks at what an archive claims, before anything unpacks it."""
    if data[:4] == b"\xd0\xcf\x11\xe0":  # an OLE container: an encrypted document, or an old one under a new name
        raise Unreadable("encrypted", "or an old Office document under a new name")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise Unreadable("broken-archive", str(error)[:100]) from error
    if any(member.flag_bits & 1 for member in members):
        raise Unreadable("encrypted", "")
    if any(member.filename.lower().endswith("vbaproject.bin") for member in members):
        raise Unreadable("macro-document", "")
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED_BYTES or (unpacked > 10_000_000 and unpacked > MAX_RATIO * len(data)):
        raise Unreadable("archive-too-large", f"{unpacked} bytes unpacked")


def _pdf(data: bytes) -> str:
    """Text of a PDF's pages, each under a heading, read by a process of its own that is bounded in time and memory."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tasks.harvest.documents.pdf"],
            input=data,
            capture_output=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)},
            timeout=PDF_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreadable("too-slow", f"{PDF_SECONDS} seconds") from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1]
        raise Unreadable("encrypted" if done.returncode == ENCRYPTED else "broken-pdf", last[:100])
    pages = done.stdout.decode("utf-8", "replace").removesuffix("\f").split("\f")
    if sum(map(len, pages)) < MIN_PDF_CHARACTERS * len(pages):
        raise Unreadable("scanned", f"{len(pages)} pages without text")
    kept = _without_margins([page.strip("\n").split("\n") for page in pages])
    return "\n\n".join(f"## Page {number}\n\n{text}" for number, text in enumerate(kept, 1) if text) + "\n"


def _without_margins(pages: list[list[str]]) -> list[str]:
    """Pages without the first and last lines that most of them share, page numbers aside."""

    def bare(line: str) -> str:
        return "".join("0" if letter.isdigit() else letter for letter in line.strip())

    for end in (0, -1):
        while len(pages) > 2:
            counts = Counter(bare(page[end]) for page in pages if page)
            shared, number = counts.most_common(1)[0] if counts else ("", 0)
            if number <= REPEATED * len(pages):
                break
            for page in pages:
                if page and bare(page[end]) == shared:
                    page.pop(end)
    return ["\n".join(page).strip() for page in pages]
