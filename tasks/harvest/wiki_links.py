"""Links between the pages of a wiki, as GitHub resolves them: by page name, wherever the page's file lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

_WIKI_LINK: Final = re.compile(r"\[\[([^\[\]\n|]+)(?:\|([^\[\]\n|]+))?\]\]")
_MARKDOWN_LINK: Final = re.compile(r"(?<!!)\[([^\[\]\n]*)\]\(\s*<?([^()\s<>]+)>?(?:\s+\"[^\"\n]*\")?\s*\)")
_ASCIIDOC_LINK: Final = re.compile(r"(?:link|xref):([^\[\]\s]+)\[([^\[\]\n]*)\]|<<([^<>,\n]+?)(?:,\s*([^<>\n]*))?>>")
_RST_LINK: Final = re.compile(r"`([^`<>\n]+?)\s*<([^`<>\s]+)>`_")
_ORG_LINK: Final = re.compile(r"\[\[(?:file:)?([^\[\]\n]+)\](?:\[([^\[\]\n]+)\])?\]")

_OUTSIDE: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]*://|//|#|mailto:|tel:)", re.IGNORECASE)


class Link(NamedTuple):
    """A link from a page to another page of the wiki."""

    text: str
    target: str
    """As written, without a fragment."""
    page: str | None
    """Path of the page that it leads to; null for a page that does not exist."""

    def meta(self) -> dict[str, str | None]:
        """The link as a document's `meta` bears it."""
        return self._asdict()


def page_names(paths: Iterable[str]) -> dict[str, str]:
    """Path of each page by what links call it: its file name without extension, spaces as hyphens, in lower case.

    Of several pages of one name the first by path is meant, as on GitHub.
    """
    names: dict[str, str] = {}
    for path in sorted(paths):
        names.setdefault(page_name(path), path)
    return names


def page_name(target: str) -> str:
    """What a link target or a path is looked up by."""
    stem = target.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"\s+", "-", re.sub(r"\.[A-Za-z]{2,9}$", "", stem).strip()).lower()


def page_links(text: str, markup: str, names: Mapping[str, str]) -> list[Link]:
    """The links of a page to pages of the same wiki, in order of appearance; links to elsewhere are left out."""
    links = []
    for words, target in _written(text, markup):
        bare = unquote(target.partition("#")[0]).strip()
        if not bare or _OUTSIDE.match(target):
            continue
        links.append(Link(words.strip() or bare, bare, names.get(page_name(bare))))
    return links


def _written(text: str, markup: str) -> Iterator[tuple[str, str]]:
    """Words and target of every link."""
    found: list[tuple[int, str, str]] = []
    if markup == "org":
        found += [(match.start(), match[2] or match[1], match[1]) for match in _ORG_LINK.finditer(text)]
    else:
        # GitHub's order is [[words|page]]; MediaWiki's own is [[page|words]].
        for match in _WIKI_LINK.finditer(text):
            first, second = match[1], match[2] or match[1]
            words, target = (second, first) if markup == "mediawiki" else (first, second)
            found.append((match.start(), words, target))
    if markup == "markdown":
        found += [(match.start(), match[1], match[2]) for match in _MARKDOWN_LINK.finditer(text)]
    if markup == "asciidoc":
        for match in _ASCIIDOC_LINK.finditer(text):
            target = match[1] or match[3]
            found.append((match.start(), match[2] or match[4] or target, target))
    if markup == "rst":
        found += [(match.start(), match[1], match[2]) for match in _RST_LINK.finditer(text)]
    for _, words, target in sorted(found):
        yield words, target
