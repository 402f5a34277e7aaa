"""Makes `tasks/text/general_text.jsonl.xz`, on which forgetting is measured, from files of packages.

    python tests/benchmarks/general_text.py FOLDER     FOLDER: the packages below, each unpacked under its own name

Ten pieces of text in a domain are worth little: a domain has some 6,500 tokens here, in pieces of about 450 tokens that
begin at a paragraph, drawn by a hash. Nothing of it is in a repository that somebody is likely to train on, and none of
the four languages is that of the repositories in docs/results.md.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import lzma
import random
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TARGET: Final = Path(__file__).resolve().parents[2] / "tasks" / "text" / "general_text.jsonl.xz"
PIECE_CHARACTERS: Final = 1_800
DOMAIN_CHARACTERS: Final = 27_000
CODE_CHARACTERS: Final = 21_000

Piece = tuple[str, str]
"""Name and text."""


def dictionary(folder: Path, name: str) -> Iterator[Piece]:
    """Long entries of a dictd database."""
    digits = {letter: n for n, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}

    def number(text: str) -> int:
        return sum(digits[letter] << (6 * place) for place, letter in enumerate(reversed(text)))

    base = folder / f"dict-{name}/usr/share/dictd/{name}"
    raw = gzip.decompress(Path(f"{base}.dict.dz").read_bytes())
    for line in Path(f"{base}.index").read_text("utf-8").splitlines():
        word, start, size = line.split("\t")[:3]
        if not word.startswith("00"):
            entry = raw[number(start) : number(start) + number(size)].decode("utf-8", "replace")
            text = re.sub(r"\n {2,}", "\n", entry).replace("{", "").replace("}", "").strip()
            if len(text) > 900 and "ftp" not in text.lower():
                yield f"{name}/{word}", re.sub(r"(?<![.\n:])\n(?=[\w(])", " ", text)


def austen(folder: Path) -> Iterator[Piece]:
    """Stretches of Jane Austen's novels in which people talk, from the R package's strings."""
    (database,) = folder.glob("r-cran-janeaustenr/**/data/Rdata.rdb")
    blob = database.read_bytes()
    at = 0
    while at < len(blob):
        unpacked = zlib.decompressobj()
        content = unpacked.decompress(blob[at + 4 :])
        at = len(blob) - len(unpacked.unused_data)
        lines, place = [], 0
        while (place := content.find(b"\x00\x04\x00\x09", place)) >= 0:
            (size,) = struct.unpack(">i", content[place + 4 : place + 8])
            lines.append(content[place + 8 : place + 8 + size].decode("utf-8", "replace") if 0 <= size < 200 else "")
            place += 8
        if len(lines) < 4_000:
            continue
        for number, paragraphs in enumerate(joined("\n".join(lines).split("\n\n"), PIECE_CHARACTERS)):
            if paragraphs.count('"') >= 12:
                yield f"austen/{at}-{number}", paragraphs


def releases(folder: Path) -> Iterator[Piece]:
    """What's New in Python, prose only, and Debian's history."""
    for path in sorted(folder.glob("python3.11-doc/**/_sources/whatsnew/*.rst.txt")):
        if path.name.startswith(("2.", "3.")):
            paragraphs = [plain(one) for one in path.read_text("utf-8").split("\n\n") if is_prose(one)]
            yield from named(f"whatsnew/{path.name}", joined(paragraphs, PIECE_CHARACTERS))
    for page in ("releases", "leaders", "intro"):
        (path,) = folder.glob(f"debian-history/**/docs/{page}.en.html")
        found = re.findall(r"<p>(.*?)</p>", path.read_text("utf-8"), re.S)
        text = [" ".join(html.unescape(re.sub(r"<[^>]+>", "", one)).split()) for one in found]
        yield from named(f"debian-history/{page}", joined(text, PIECE_CHARACTERS))


def questions(folder: Path) -> Iterator[Piece]:
    """Questions with their answers: perlfaq and Python's FAQ."""
    for path in sorted(folder.glob("perl-doc/**/pod/perlfaq[1-9].pod")):
        for one in re.split(r"^=head2 ", path.read_text("utf-8", "replace"), flags=re.M)[1:]:
            text = re.sub(r"[BCFIL]<+ ?(.*?) ?>+", r"\1", re.split(r"^=head1", one, flags=re.M)[0])
            text = re.sub(r"^=\w+.*\n", "", text, flags=re.M).strip()
            if len(text) > 500:
                yield (
                    f"{path.stem}/{text[:40]}",
                    f"Question: {text[:PIECE_CHARACTERS]}".replace("\n\n", "\n\nAnswer: ", 1),
                )
    for path in sorted(folder.glob("python3.11-doc/**/_sources/faq/*.rst.txt")):
        for found in re.finditer(
            r"^([^\n]+\?)\n-{3,}\n(.*?)(?=^[^\n]+\n-{3,}|\Z)", path.read_text("utf-8"), re.M | re.S
        ):
            answer = plain(found[2]).strip()
            if len(answer) > 400:
                yield (
                    f"{path.stem}/{found[1][:40]}",
                    f"Question: {plain(found[1])}\n\nAnswer: {answer}"[:PIECE_CHARACTERS],
                )


def mathematics(folder: Path) -> Iterator[Piece]:
    """Word problems with their solutions."""
    import sys

    sys.path.insert(0, str(folder / "reasoning-gym"))
    import reasoning_gym

    entries = reasoning_gym.create_dataset("gsm_symbolic", size=240, seed=20261130)
    told = [
        f"Problem: {' '.join(entry['question'].split()).split(' Give the result')[0].split(' Give only')[0]}\n"
        f"Solution: {entry['metadata']['answer_cot'].replace('####', 'The answer is')}."
        for entry in entries
    ]
    yield from named("gsm-symbolic", joined(told, PIECE_CHARACTERS))


def code(folder: Path, package: str, pattern: str) -> Iterator[Piece]:
    """Stretches of source files."""
    for path in sorted(folder.glob(f"{package}/**/{pattern}")):
        paragraphs = path.read_text("utf-8", "replace").split("\n\n")
        yield from named(f"{package}/{path.name}", joined(paragraphs, PIECE_CHARACTERS))


def joined(paragraphs: list[str], size: int) -> Iterator[str]:
    """Paragraphs put together until a piece has its size; a paragraph longer than that is cut."""
    piece = ""
    for paragraph in paragraphs:
        piece += ("\n\n" if piece else "") + paragraph.strip("\n")
        if len(piece) >= size:
            yield piece[: size + 200]
            piece = ""


def named(name: str, pieces: Iterator[str]) -> Iterator[Piece]:
    """The pieces with their numbers as names."""
    for number, piece in enumerate(pieces):
        yield f"{name}#{number:03d}", piece


def is_prose(paragraph: str) -> bool:
    """Whether a paragraph of reStructuredText is running text."""
    return len(paragraph) > 120 and not paragraph.startswith((" ", "..", "*", "+", "-", "=", ">>>", "|"))


def plain(text: str) -> str:
    """reStructuredText without its marks."""
    text = re.sub(r":[\w:+-]+:`[!~]?([^`<]*?)(?: <[^>]*>)?`", r"\1", text)
    text = re.sub(r"`([^`<]+?) ?<[^>]*>`_+", r"\1", text)
    return re.sub(r"^\.\. .*\n", "", text.replace("``", "").replace("::\n", ":\n"), flags=re.M).strip()


SOURCES: Final = {
    "encyclopaedia": lambda folder: [*dictionary(folder, "foldoc"), *dictionary(folder, "elements")],
    "news": lambda folder: list(releases(folder)),
    "dialogue": lambda folder: list(austen(folder)),
    "instructions": lambda folder: list(questions(folder)),
    "mathematics": lambda folder: list(mathematics(folder)),
    "code-go": lambda folder: list(code(folder, "golang-github-gorilla-mux-dev", "*.go")),
    "code-rust": lambda folder: (
        list(code(folder, "librust-semver-dev", "*.rs")) + list(code(folder, "librust-anyhow-dev", "[!e]*.rs"))
    ),
    "code-ruby": lambda folder: list(code(folder, "ruby-rack", "*.rb")),
    "code-c++": lambda folder: list(code(folder, "libfmt-dev", "*.h")),
}


def main() -> None:
    """Reads the packages, writes the file, prints its size by domain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    random.seed(0)
    lines = []
    for domain, read in SOURCES.items():
        limit = CODE_CHARACTERS if domain.startswith("code") else DOMAIN_CHARACTERS
        size = 0
        for name, text in sorted(read(folder), key=lambda piece: hashlib.sha256(piece[0].encode()).hexdigest()):
            if size < limit:
                lines.append({"id": f"{domain}/{name}", "domain": domain, "text": text})
                size += len(text)
        print(f"{domain:16} {sum(line['domain'] == domain for line in lines):4} pieces {size:7,} characters")
    lines.sort(key=lambda line: line["id"])
    TARGET.write_bytes(lzma.compress("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()))
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
