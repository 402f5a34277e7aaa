"""What a page names that can be looked up: paths, symbols, other pages.

Of addresses of other hosts nothing can be known. Only what is written as code in a sentence or as a link counts: prose
names many things that never were in the repository, and code between fences is mostly an example. A path needs a file
extension, a symbol needs mixed case or an underscore; both rules leave out more than they let through by mistake,
because a wrong alarm drops a good page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from tasks.text.markdown import split_code


class ReferenceKind(StrEnum):
    """What is named."""

    PATH = "path"
    SYMBOL = "symbol"
    PAGE = "page"


class Reference(NamedTuple):
    """One thing that a page names."""

    kind: ReferenceKind
    name: str
    """A path without leading `./`, `../` or `/`, an identifier, or a page's name."""
    is_link: bool = False
    """Whether the page links to it, and does not only name it."""


_ENDINGS: Final = """
bash c cc cfg cjs conf cpp cs css dockerfile env erb go gradle graphql h hbs hpp html ini java js json jsx kt kts
less lock md mdx mjs mustache php proto py pyi rb rs sass sbt sc scala scss sh snap sql svelte swift tf toml ts tsx
twig txt vue xml yaml yml
"""
EXTENSIONS: Final = frozenset(_ENDINGS.split())
"""Endings by which a name is taken for a file of a repository."""

BUILT: Final = frozenset({"html"})
"""Endings of pages that a site's generator makes of others."""
PAGES: Final = frozenset({"md", "markdown", "mdx"})
"""Endings of pages, which links often leave out."""

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,30}:|#|//", re.IGNORECASE)
_ABOVE: Final = re.compile(r"^/?(?:\.{1,2}/)*")
_IN_BRANCH: Final = re.compile(r"^(?:blob|tree|raw|edit)/[^/]+/")
"""`../blob/main/` leads from a wiki into the repository."""
_FORGE: Final = re.compile(
    r"(?:\.\./)+(?:actions|branches|commits?|compare|discussions|graphs|issues|labels|milestones?|network|packages|projects"
    r"|pulls?|pulse|releases|security|settings|stargazers|tags)(?:/|$)"
)
"""`../../actions/workflows/ci.yml` leads out of the repository to a page that the forge makes."""
_WIKI_FORGE: Final = re.compile(r"(?:^|/)_(?:access|compare|edit|history|new|pages|preview)(?:/|$)")
"""`wiki/_pages` is made by the forge too; `_Sidebar` is a page."""
_ENDING: Final = re.compile(r"[^/]\.([A-Za-z][A-Za-z0-9]{0,9})$")
"""The ending of a file's name; `.eslintrc` has none."""
_SITE_ADDRESS: Final = re.compile(r"[^/]\.[A-Za-z][A-Za-z0-9]{0,9}/$")
"""`setup.sh/` is where a site's generator puts `setup.sh.md`."""
_BARE_ENDING: Final = re.compile(r"(?:^|/)\.(?:[a-z]{1,4}|json|yaml|html|scss|toml)$")
"""`.yaml` names all files of that ending, and `.env` one that is never kept."""
_CODE: Final = re.compile(r"`([^`\n]{2,200})`")
_FORMER: Final = re.compile(
    r"\b(?:formerly|previously|(?:moved|renamed) from|replaces)\b[^`.\n]{0,40}`[^`\n]{2,200}`", re.IGNORECASE
)
"""What a page itself says is gone."""
_STRUCK: Final = re.compile(r"(?<!~)~~(?!~)[^~]{1,300}~~(?!~)")
_LINK: Final = re.compile(
    r"\]\([ \t]{0,8}<?([^)\]>\s]{1,2000})|^[ \t]{0,8}\[[^\[\]\n]{1,300}\]:[ \t]{0,8}(\S{1,2000})"
    r"|href=\"([^\"<>]{1,2000})\"",
    re.MULTILINE,
)
_WIKI_LINK: Final = re.compile(r"\[\[([^\[\]|\n]{1,300})(?:\|([^\[\]\n]{1,300}))?\]\]")
_ADDRESS: Final = re.compile(r"https?://[^\s<>()\[\]\"'`|]+")
_PATH: Final = re.compile(
    r"(?<![\w@:/.~$\]-])(?:\./|/)?((?:(?:[\w.@-]|\[[\w.]+\])+/)*(?:[\w.@-]|\[[\w.]+\])*\.([A-Za-z]{1,10}))(?![\w/-]|\.\w)"
)
_SYSTEM: Final = re.compile(
    r"^(?:Applications|Library|System|Users|Volumes|bin|dev|etc|home|lib|mnt|opt|private|proc|root|run|sbin|srv|sys|tmp|usr|var)/"
)
"""Folders of a machine, where a leading slash means the root of the machine and not of the repository."""
_SYMBOL: Final = re.compile(r"[A-Za-z_$][\w$]{3,80}")
_MIXED: Final = re.compile(r"[a-z0-9][A-Z]|[a-z0-9A-Z]_[a-zA-Z0-9]")
_REPOSITORY_FILE: Final = re.compile(r"^/([^/]+/[^/]+)/(?:blob|tree|raw|edit)/([^/]+)/(.+)$")
_TRUNK: Final = re.compile(r"(?:main|master|trunk|devel|develop|development|HEAD)$")
"""Where files come and go; a commit or a version stays, and another branch, perhaps with slashes, has its own."""


def find_references(text: str, repo: str, in_wiki: bool = True) -> list[Reference]:
    """What a Markdown page of a repository names, each thing once, sorted.

    Args:
        text: of the page.
        repo: OWNER/NAME.
        in_wiki: whether the page lies in the wiki. `[[X]]` and `[x](X)` lead to pages only there; in a file they are
            an example's or are read by the generator of a site.
    """
    found: set[Reference] = set()
    text = _STRUCK.sub(" ", text)
    fenced, prose = split_code(text)
    spans = {match.group(1).strip() for match in _CODE.finditer(_FORMER.sub(" ", prose))}
    for address in {written.rstrip(".,;:!?*_") for written in _ADDRESS.findall(text)}:
        found.update(_from_address(address, repo))
    for link in {next(filter(None, groups)) for groups in _LINK.findall(prose)}:
        found.update(_from_link(link, in_wiki))
    for first, second in _WIKI_LINK.findall(prose) if in_wiki else ():
        found.add(Reference(ReferenceKind.PAGE, page_name(second or first), True))
    examples = "\n".join(fenced)
    for code in spans:
        found.update(
            named
            for named in _from_code(_ADDRESS.sub(" ", code))
            if named.kind is not ReferenceKind.SYMBOL or named.name not in examples
        )
    linked = {(reference.kind, reference.name) for reference in found if reference.is_link}
    return sorted(item for item in found if item.is_link or (item.kind, item.name) not in linked)


def page_name(link: str) -> str:
    """A wiki page's name as links write it, without anchor, folder and ending, in one spelling."""
    name = unquote(link.partition("#")[0]).strip().rsplit("/", 1)[-1]
    return re.sub(r"[\s_-]+", "-", re.sub(r"\.(md|markdown|mediawiki|rst|asciidoc|org|textile)$", "", name)).casefold()


def path_exists(path: str, paths: set[str], tails: set[str]) -> bool:
    """Whether a path, or a file or folder whose path ends in it, is in a snapshot.

    Args:
        path: as a page names it.
        paths: of all files and folders.
        tails: of all files and folders, every ending at a `/`.
    """
    normal = str(PurePosixPath(path.rstrip("/")))
    return normal in paths or normal in tails


def all_tails(paths: Iterable[str]) -> set[str]:
    """Every ending of each path that begins at a folder or file name."""
    tails: set[str] = set()
    for path in paths:
        parts = path.split("/")
        tails.update("/".join(parts[start:]) for start in range(1, len(parts)))
    return tails


def _from_address(address: str, repo: str) -> Iterator[Reference]:
    try:
        split = urlsplit(address)
    except ValueError:
        return
    file = _REPOSITORY_FILE.match(split.path)
    if split.hostname == "github.com":
        if file and file.group(1).casefold() == repo.casefold():
            if _TRUNK.match(file.group(2)):
                yield Reference(ReferenceKind.PATH, unquote(file.group(3)).rstrip("/"), True)
        elif split.path.casefold().startswith(f"/{repo.casefold()}/wiki/") and not _WIKI_FORGE.search(split.path):
            yield Reference(ReferenceKind.PAGE, page_name(split.path), True)


def _from_link(target: str, in_wiki: bool) -> Iterator[Reference]:
    """What a link to within the repository or the wiki names; a picture or a download may lie anywhere."""
    if _SCHEME.match(target) or _FORGE.match(target.partition("#")[0].partition("?")[0]):
        return
    path = _IN_BRANCH.sub("", _ABOVE.sub("", unquote(target.partition("#")[0].partition("?")[0])))
    if _WIKI_FORGE.match(path) or _SITE_ADDRESS.search(path):
        return
    path = path.rstrip("/")
    ending = _ENDING.search(path)
    if ending and ending[1].lower() in EXTENSIONS - PAGES - BUILT:
        yield Reference(ReferenceKind.PATH, path, True)
    elif path and "/" not in path and (in_wiki if ending is None else ending[1].lower() in PAGES):
        yield Reference(ReferenceKind.PAGE, page_name(path), True)


def _from_code(code: str) -> Iterator[Reference]:
    rest = code
    for match in _PATH.finditer(code):
        path, ending = match.group(1), match.group(2)
        is_system = match.group().startswith("/") and _SYSTEM.match(path)
        if ending.lower() in EXTENSIONS and "node_modules" not in path and not is_system:
            is_call = code[match.end() : match.end() + 1] == "("  # `response.json()`
            if not is_call and not _BARE_ENDING.search(path):
                yield Reference(ReferenceKind.PATH, path)
            rest = rest.replace(match.group(), " ")
    whole = _SYMBOL.fullmatch(
        rest.strip().removesuffix("()").removeprefix("<").removesuffix("/>").removesuffix(">").strip()
    )
    if whole and _MIXED.search(whole.group()):
        yield Reference(ReferenceKind.SYMBOL, whole.group())
