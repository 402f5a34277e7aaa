"""Wiki pages of every markup as Markdown, by pandoc: headings, lists, tables and links mean one thing ever after.

pandoc 3.9 begins to write after 11 ms. It runs in its sandbox: a page can include no file and fetch nothing.
"""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from typing import Final

from tasks.base.errors import InputError

READERS: Final = {
    "asciidoc": "asciidoc",
    "rst": "rst",
    "mediawiki": "mediawiki",
    "org": "org",
    "textile": "textile",
    "creole": "creole",
    "pod": "pod",
}
"""pandoc's reader for each markup that is not Markdown; RDoc and plain text have none and stay as written."""

LIMIT: Final = 20
"""Seconds that a page may take; the largest that are read take one."""

_TEMPLATE: Final = "$if(title)$# $title$\n\n$endif$$body$\n"


def as_markdown(text: str, markup: str) -> str | None:
    """A page as GitHub's Markdown; itself where it is Markdown or has no structure; None if pandoc cannot read it."""
    reader = READERS.get(markup)
    if reader is None:
        return text
    options = []
    if markup == "asciidoc":  # its first heading is the title of the document, which only a template shows
        options = ["--standalone", f"--template={_pandoc()[1]}", "--shift-heading-level-by=1"]
    return by_pandoc(text.encode("utf-8", "replace"), reader, *options)


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


@lru_cache(maxsize=1)
def _pandoc() -> tuple[str, str]:
    """Paths of pandoc and of the template, which is written where this process keeps temporary files."""
    import atexit
    import tempfile
    from pathlib import Path

    import pypandoc

    try:
        pandoc = pypandoc.get_pandoc_path()
    except OSError as error:
        raise InputError("pandoc is missing; install pypandoc_binary again") from error
    with tempfile.NamedTemporaryFile("w", suffix=".markdown", delete=False) as file:
        file.write(_TEMPLATE)
    atexit.register(lambda: Path(file.name).unlink(missing_ok=True))
    return str(pandoc), file.name
