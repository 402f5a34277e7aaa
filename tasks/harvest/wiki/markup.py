"""Wiki pages of every markup as Markdown, by pandoc: headings, lists, tables and links mean one thing ever after.

pandoc 3.9 begins to write after 11 ms. It runs in its sandbox: a page can include no file and fetch nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError

READERS: Final = {
    "asciidoc": "asciidoc",
    "rst": "rst",
    "mediawiki": "mediawiki",
    "org": "org-special_strings",
    "textile": "textile-smart",
    "creole": "creole",
    "pod": "pod",
}
"""pandoc's reader for each markup that is not Markdown, without finer dashes, since `--all` is an option; RDoc and
plain text have none and stay as written.
"""

LIMIT: Final = 20
"""Seconds that a page may take; the largest that are read take one."""

FILTER: Final = Path(__file__).with_name("as_people_write.lua")
"""What pandoc made of a page, changed into what people write in Markdown."""

_TEMPLATE: Final = "$if(title)$# $title$\n\n$endif$$body$\n"
_FOREIGN: Final = {
    "org": ("#+BEGIN_SRC {}", "#+END_SRC"),
    "mediawiki": ('<syntaxhighlight lang="{}">', "</syntaxhighlight>"),
}
"""What stands for fences of Markdown and of Trac, which people write in other markups too."""
_FENCE: Final = re.compile(r"(?:```|\{\{\{)[ \t]{0,8}([\w+-]{0,40})")

_ORG_OPTIONS: Final = "#+OPTIONS: ^:{} H:6\n\n"
"""`a_b` is a name, as people write it in pages about programs; `a_{b}` has a lowered letter. Six levels
are headings, not three."""

_UNDERLINED: Final = "=-~^+"
"""Characters below a title of AsciiDoc's first form, by level."""
_TITLE: Final = re.compile(r"[^\s\[|].*\w.*|\w")
_HEAD: Final = re.compile(r"[ \t]{0,80}$|:[\w!-]+:|\[[^\n]{0,200}\][ \t]{0,80}$|//")
_BEFORE_TITLE: Final = re.compile(_HEAD.pattern + r"|={1,6} ")
_DELIMITER: Final = re.compile(r"([-.=*+_/])\1{3,}$|--$|\|={3,}$|```")
_CLOSED_TITLE: Final = re.compile(r"((={1,6}) \S.{0,200}?) \2[ \t]{0,80}$")
_UNSET: Final = re.compile(r":[\w-]+!:|:![\w-]+:")
_BLOCK_TITLE: Final = re.compile(r"\.[^\s.]")
LONG_DELIMITER: Final = 10
"""Blocks within blocks have shorter delimiters than this, by which they are told apart."""
_ADMONITION: Final = re.compile(r"\[(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]{0,80}$")


def as_markdown(text: str, markup: str) -> str | None:
    """A page as GitHub's Markdown; itself where it is Markdown or has no structure; None if pandoc cannot read it."""
    reader = READERS.get(markup)
    if reader is None:
        return text
    options = [f"--lua-filter={FILTER}"]
    if markup in _FOREIGN:
        text = "\n".join(_with_own_fences(text.split("\n"), *_FOREIGN[markup]))
    if markup == "org":
        text = _ORG_OPTIONS + text
    elif markup == "asciidoc":  # its first heading is the title of the document, which only a template shows
        options += ["--standalone", f"--template={_pandoc()[1]}", "--shift-heading-level-by=1"]
        text = "\n".join(_of_one_line([line.rstrip() for line in text.splitlines()]))
    return by_pandoc(text.encode("utf-8", "replace"), reader, *options)


def as_written(text: str, markup: str) -> str:
    """A page that pandoc cannot read: itself in a fence, so that nothing in it passes for Markdown's structure."""
    fence = "`" * (max(map(len, re.findall(r"`{3,}", text)), default=2) + 1)
    return f"{fence}{markup}\n{text.strip()}\n{fence}\n"


def by_pandoc(data: bytes, reader: str, *options: str, writer: str = "gfm") -> str | None:
    """What pandoc makes of some bytes, with its own names of reader and writer; None if it cannot or takes too long."""
    command = [_pandoc()[0], "--sandbox", "--wrap=none", f"--from={reader}", *options]
    try:
        done = subprocess.run(
            [*command, f"--to={writer}"],
            input=data,
            capture_output=True,
            timeout=LIMIT,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.decode("utf-8", "replace").strip("\n") + "\n" if done.returncode == 0 else None


def _with_own_fences(lines: list[str], begin: str, end: str) -> list[str]:
    """Lines with a markup's own begin and end of code in place of fences; one that is never closed stays."""
    kept: list[str] = []
    opened = None
    for number, line in enumerate(lines):
        if opened is None and (fence := _FENCE.fullmatch(line.rstrip())):
            opened = number
            kept.append(begin.format(fence[1] or "text"))
        elif opened is not None and line.rstrip() in ("```", "}}}"):
            opened = None
            kept.append(end)
        else:
            kept.append(line)
    return kept if opened is None else [*kept[:opened], *lines[opened:]]


def _of_one_line(lines: list[str]) -> Iterator[str]:
    """AsciiDoc with the titles and admonitions that pandoc does not know, which take two lines, on one.

    An underline is as long as its title, give or take one, as Asciidoctor has it. A title of the first level that
    stands below text, where pandoc gives up, becomes one of the second.
    """
    block, before, is_head = "", "", True
    last = {line: number for number, line in enumerate(lines)}
    waiting = iter(enumerate(zip(lines, [*lines[1:], ""], strict=True), 1))
    for number, (line, following) in waiting:
        level = _UNDERLINED.find(following[:1]) + 1 if following else 0
        if (
            block
            and line[:4] == block[:4]
            and _DELIMITER.match(line)
            and (min(len(line), len(block)) >= LONG_DELIMITER or last.get(block, -1) < number)
        ):
            line = block  # the end, though of another length
        if block or _DELIMITER.match(line):
            if not block and before.strip() and not before.startswith(("[", ".", "+")):
                yield ""  # it ends a paragraph
            block = "" if block == line else block or ("```" if line.startswith("```") else line)
        elif (
            level
            and following.rstrip() == following[0] * len(following.rstrip())
            and abs(len(following.rstrip()) - len(line.rstrip())) <= 1
            and _TITLE.match(line)
            and _BEFORE_TITLE.match(before)
        ):
            line = f"{'=' * level} {line}"
            next(waiting)
        elif (named := _ADMONITION.match(line)) and following.strip() and not _DELIMITER.match(following):
            line = f"{named[1]}: {following}"
            next(waiting)
        elif line.endswith("::") and not following.strip():
            next(waiting)  # what is indented below would pass for code
        elif _BLOCK_TITLE.match(line) and not following.strip():
            line = f"*{line[1:]}*"  # it names no block
        if not block and _UNSET.match(line):
            continue
        if not block and (closed := _CLOSED_TITLE.match(line)):
            line = closed[1]
        if line.startswith("= ") and not block and not is_head:
            line = f"={line}"
        is_head = is_head and _HEAD.match(line) is not None
        yield line
        before = line


@lru_cache(maxsize=1)
def _pandoc() -> tuple[str, str]:
    """Paths of pandoc and of the template, which is written where this process keeps temporary files."""
    import atexit
    import tempfile

    import pypandoc

    try:
        pandoc = pypandoc.get_pandoc_path()
    except OSError as error:
        raise InputError("pandoc is missing; install pypandoc_binary again") from error
    with tempfile.NamedTemporaryFile("w", suffix=".markdown", delete=False) as file:
        file.write(_TEMPLATE)
    atexit.register(lambda: Path(file.name).unlink(missing_ok=True))
    return str(pandoc), file.name
