"""What people said in a pull request or issue: its description without its template, comments without those of bots.

A description loses what nobody wrote for it: lines of the repository's templates and lines that most descriptions
share, comments in HTML, pictures and badges, check lists, trailers, and headings with nothing below. What is left stays
in order and as it was written. A bot's pull request is marked, so that one line is left of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from tasks.base.records import Document
from tasks.text.people import is_bot

MARK: Final = "bot"
"""The key of `meta` that marks a bot's pull request."""

NEIGHBOURS: Final = 50
"""Lines are counted among this many descriptions in a row, since templates change in the course of years."""
SHARED_FRACTION: Final = 0.5
MIN_SHARING: Final = 4
"""A line that at least half of the neighbours have, and this many, is nobody's own."""
MAX_COMMITS: Final = 20
"""Messages that stand for a missing description."""

_TEMPLATE: Final = re.compile(
    r"(?:^|/)(?:pull_request_template|merge_request_template)(?:\.\w{1,10})?$"
    r"|(?:^|/)(?:pull_request_template|merge_request_templates)/[^/]+$",
    re.IGNORECASE,
)
_FORM: Final = re.compile(
    r"(?:^|/)(?:issue_template|discussion_template)(?:\.\w{1,10})?$|(?:^|/)(?:issue|discussion)_templates?/[^/]+$",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(
    r"^[ \t-]{0,20}(?:label|description|placeholder|value)[ \t]*:[ \t]*[|>]?[+-]?[ \t]*", re.MULTILINE
)
"""Before what a form in YAML shows."""

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_PROMPT: Final = re.compile(
    r"[ \t]{0,8}(?:\*\*[^*\n]{1,200}[?:]\*\*|__[^_\n]{1,200}[?:]__|\*\*[^*\n]{1,200}\*\*:)[ \t]*$"
)
"""A question in bold type, which some write in place of a heading."""
_RULE: Final = re.compile(r" {0,3}(?:-[ \t]*){3,}$| {0,3}(?:\*[ \t]*){3,}$| {0,3}(?:_[ \t]*){3,}$")
_TASK: Final = re.compile(r"([ \t]{0,20})(?:[-*+]|\d{1,3}[.)])[ \t]{1,8}\[[ xX]?\]")
_EMPTY_ITEM: Final = re.compile(r"[ \t]{0,20}(?:[-*+]|\d{1,3}[.)])[ \t]*$")
_NOTHING: Final = re.compile(
    r"[ \t>*_-]{0,20}(?:n/?a|none|not applicable|nothing|no response|tbd)[.*_]{0,4}[ \t]*$", re.IGNORECASE
)
_TRAILER: Final = re.compile(
    r"[ \t]{0,8}(?:(?:signed-off|co-authored|reviewed|acked|tested|suggested|reported|helped|approved|merged|committed)"
    r"-by|change-id|reviewed-on|git-svn-id|cq-include-trybots|commit-queue|auto-submit|differential revision)[ \t]*:",
    re.IGNORECASE,
)
_SIGNED_BY_TOOL: Final = re.compile(r"\W{0,8}Generated (?:with|by) \[[^\]\n]{1,80}\]\(", re.IGNORECASE)
_UNFILLED: Final = re.compile(
    r"[ \t>*_-]{0,8}(?:fix(?:es)?|close[sd]?|resolve[sd]?|related(?: to)?|issue|ticket)\b[ \t:*_]{0,8}"
    r"#[ \t]{0,4}(?:\(?(?:issue|issue[ _]number|number|ticket|xxx+|n)\)?)?[ \t.*_]{0,8}$",
    re.IGNORECASE,
)
_BARE_PICTURE: Final = re.compile(
    r"[ \t]*https?://\S{1,2000}\.(?:png|gif|jpe?g|webp|mp4|mov|webm)[ \t]*$"
    r"|[ \t]*https://(?:user-images\.githubusercontent\.com|github\.com/(?:user-attachments/assets|[^/\s]+/[^/\s]+/assets))/\S+$",
    re.IGNORECASE,
)
_NOT_WRITTEN: Final = re.compile(
    "|".join(
        pattern.pattern for pattern in (_TRAILER, _SIGNED_BY_TOOL, _BARE_PICTURE, _EMPTY_ITEM, _NOTHING, _UNFILLED)
    ),
    re.IGNORECASE,
)
"""Lines that nobody wrote, or that say nothing."""
_PICTURE: Final = re.compile(
    r"!\[[^\]\[\n]{0,300}\](?:\([^()\n]{0,2000}\)|\[[^\]\[\n]{0,100}\])"
    r"|<img\b[^<>]{0,4000}>|</?(?:picture|source|video)\b[^<>]{0,4000}>",
    re.IGNORECASE,
)
_EMPTY_LINK: Final = re.compile(
    r"\[[ \t]{0,8}\](?:\([^()\n]{0,2000}\)|\[[^\]\[\n]{0,100}\])|<a\b[^<>]{0,4000}>\s{0,8}</a>"
)
_FRAME: Final = re.compile(r"</?(?:p|div|center|br|hr)\b[^<>]{0,300}>", re.IGNORECASE)
_AUTOMATIC: Final = re.compile(r"auto-?generated", re.IGNORECASE)
_WORDS: Final = re.compile(r"\w+")
MAX_INTRODUCTION: Final = 200
"""Characters of a line that may introduce a check list."""
_LEAVING, _INTRODUCES = "\0", "\1"
"""Stand before a heading that is boilerplate, and before what introduces a check list."""
_INTRODUCTION: Final = re.compile(
    r"[ \t]{0,8}(?:\*\*[^*\n]{1,200}\*\*|__[^_\n]{1,200}__|[^\n]{1,200}:\*{0,3})[ \t:]{0,4}$"
    r"|[^\n]{0,40}\bcheck[ -]?list\b[^\n]{0,40}$",
    re.IGNORECASE,
)
_END: Final = 8
"""Below every level of a heading: the end of a text."""


class Left(NamedTuple):
    """A part of a conversation that is left out."""

    part: str
    """`comment-3`, `review-1`, `review_comment-2`, or `description`."""
    reason: str
    detail: str


class Boilerplate:
    """Lines of a repository's descriptions that nobody wrote for one pull request, issue or discussion."""

    def __init__(
        self, templates: Iterable[str] = (), descriptions: Sequence[str] = (), keeps_headings: bool = False
    ) -> None:
        """Learns them.

        Args:
            templates: texts of the repository's templates.
            descriptions: of its pull requests by people, in order of number.
            keeps_headings: whether a template's heading stays where somebody wrote something below: what was expected
                and what came instead are told apart by them.
        """
        self.keeps_headings = keeps_headings
        self._keys = {key for text in templates for key in _keys(_without_markup(text, keep_comments=True))}
        told = [_keys(_without_markup(text)) for text in descriptions if text.strip()]
        for start in range(0, len(told), NEIGHBOURS):
            neighbours = told[max(0, min(start, len(told) - NEIGHBOURS)) :][:NEIGHBOURS]
            counts = Counter(key for keys in neighbours for key in keys)
            least = max(MIN_SHARING, SHARED_FRACTION * len(neighbours))
            self._keys.update(key for key, count in counts.items() if count >= least)

    def has(self, line: str) -> bool:
        """Whether a line is one of them, whatever its markup."""
        return _key(line) in self._keys


def is_template(path: str) -> bool:
    """Whether a file is a template of descriptions, wherever GitHub, GitLab, Gitea and Azure look for one."""
    return _TEMPLATE.search(path) is not None


def is_form(path: str) -> bool:
    """Whether a file is a template or form of issues or discussions."""
    return _FORM.search(path) is not None


def shown_by_form(text: str) -> str:
    """The lines that a template or form puts into an issue."""
    return _FIELD.sub("", text)


def cleaned(document: Document, boilerplate: Boilerplate) -> tuple[Document, list[Left]]:
    """A pull request, issue or discussion as people's conversation, and what was left out of it."""
    meta = dict(document.meta)
    author = meta.get("author")
    if is_bot(author):
        bare = [file | {"patch": None} for file in meta.get("files") or ()]
        meta |= {MARK: True, "comments": [], "reviews": [], "review_comments": [], "files": bare}
        return document.model_copy(update={"text": "", "meta": meta}), [Left("description", "bot-pull", str(author))]
    left: list[Left] = []
    for name in ("comments", "reviews", "review_comments"):
        kept = []
        for number, entry in enumerate(meta.get(name) or (), 1):
            part = f"{name.removesuffix('s')}-{number}"
            body = own_words(entry.get("body") or "")
            if is_bot(entry.get("author")):
                left.append(Left(part, "bot-comment", str(entry.get("author"))))
            elif not body and name != "reviews":
                left.append(Left(part, "comment-empty", ""))
            else:
                kept.append(entry | {"body": body})
        if name in meta:
            meta[name] = kept
    text = own_words(document.text, boilerplate) or _told_by_commits(document, boilerplate)
    return document.model_copy(update={"text": text, "meta": meta}), left


def own_words(text: str, boilerplate: Boilerplate | None = None) -> str:
    """What a person wrote, in order, of a description or a comment.

    Args:
        text: Markdown, line ends of any kind.
        boilerplate: lines to leave out; none for comments.
    """
    lines = _without_markup(text).split("\n")
    kept = list(_written(lines, boilerplate))
    return _joined(_with_filled_sections(kept))


def _told_by_commits(document: Document, boilerplate: Boilerplate) -> str:
    """The messages of the commits where they say more than the title."""
    told: dict[str, None] = {}
    for commit in (document.meta.get("commits") or ())[:MAX_COMMITS]:
        subject, _, body = str(commit["message"]).partition("\n")
        if subject.startswith(("Merge ", "fixup!", "squash!")):
            continue
        said = own_words(body if subject.strip() == document.title.strip() else f"{subject}\n{body}", boilerplate)
        if said:
            told.setdefault(said)
    return "\n\n".join(told)


def _without_markup(text: str, keep_comments: bool = False) -> str:
    """A text without pictures, badges and comments in HTML; those that frame what a program wrote go with it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\1", "")
    if keep_comments:
        text = text.replace("<!--", "\n").replace("-->", "\n")
    elif "<!--" in text:
        text = "".join(_outside_comments(text))
    if "[" in text or "<" in text:
        text = _EMPTY_LINK.sub("", _PICTURE.sub("", text))
        text = _FRAME.sub("", text)
    return text


def _outside_comments(text: str) -> Iterator[str]:
    start, has_ends = 0, True
    while (opening := text.find("<!--", start)) >= 0:
        yield text[start:opening]
        closing = text.find("-->", opening)
        if closing < 0:  # GitHub shows nothing of the rest either
            return
        start = closing + 3
        if has_ends and _AUTOMATIC.search(text, opening, closing):
            following = text.find("<!-- end", start)
            end = text.find("-->", following) if following >= 0 else -1
            has_ends = end >= 0
            start = end + 3 if has_ends else start
    yield text[start:]


def _written(lines: Sequence[str], boilerplate: Boilerplate | None) -> Iterator[str]:
    """Lines without boilerplate, check lists, trailers and bare pictures; code between fences stays as it is.

    Headings that are boilerplate, and what introduces a check list, are marked: whether they leave depends on what is
    below them.
    """
    fence, task_indent, in_versions = "", -1, False
    waiting: list[str] = []  # a line that may introduce a check list, and empty ones after it
    for line in lines:
        if not line.strip() and not fence:
            in_versions = False
            if waiting:
                waiting.append(line)
            else:
                yield line
            continue
        mark = _FENCE.match(line)
        if fence or mark:
            yield from waiting
            waiting = []
            if not fence and mark:
                fence = mark[1]
            elif mark and mark[1].startswith(fence) and not line.strip(" \t`~"):
                fence = ""
            yield line
            continue
        if in_versions or line == "updated-dependencies:":
            in_versions = line.strip() != "..."
            continue
        indent = len(line) - len(line.lstrip())
        task = _TASK.match(line)
        if 0 <= task_indent < indent and not task:
            continue  # what an item of a check list goes on with
        task_indent = len(task[1]) if task else -1
        if task and waiting:
            yield f"{_INTRODUCES}{waiting[0]}"
            yield from waiting[1:]
            waiting = []
        if task or _NOT_WRITTEN.match(line):
            continue
        is_known = boilerplate is not None and boilerplate.has(line)
        if is_known and not _HEADING.match(line):
            continue
        is_known = is_known and not (boilerplate and boilerplate.keeps_headings)
        yield from waiting
        waiting = []
        if is_known:
            yield f"{_LEAVING}{line}"
        elif len(line) <= MAX_INTRODUCTION and _INTRODUCTION.match(line):
            waiting = [line]
        else:
            yield line
    yield from waiting


def _with_filled_sections(lines: Sequence[str]) -> list[str]:
    """Lines without headings that have nothing below, rules at either end and fences around nothing."""
    kept: list[str] = []  # from the end
    following = _END  # level of the heading that comes next, 0 where text does
    fence_at, is_filled = -1, False
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number]
        if _FENCE.match(line):
            if fence_at < 0:
                fence_at, is_filled = len(kept), False
                kept.append(line)
            elif is_filled:
                fence_at, following = -1, 0
                kept.append(line)
            else:
                del kept[fence_at:]
                fence_at = -1
            continue
        if fence_at >= 0 or not line.strip():
            is_filled = is_filled or bool(line.strip())
            kept.append(line)
            continue
        heading = _HEADING.match(line.removeprefix(_LEAVING))
        level = len(heading[1]) if heading else _END - 1 if _PROMPT.match(line) else 0
        if line.startswith(_LEAVING) or (line.startswith(_INTRODUCES) and following):
            following = level or following
            continue
        line = line.removeprefix(_INTRODUCES)
        if _RULE.match(line) and following and (number == 0 or not lines[number - 1].strip()):
            continue
        if level and following and (following == _END or following <= level):
            continue
        kept.append(line)
        following = level
    kept.reverse()
    first = next((number for number, line in enumerate(kept) if line.strip()), 0)
    return kept[first + 1 :] if kept and _RULE.match(kept[first]) else kept


def _joined(lines: Sequence[str]) -> str:
    text = "\n".join(line.rstrip() for line in lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def _keys(text: str) -> set[str]:
    return {key for line in text.split("\n") if (key := _key(line))}


def _key(line: str) -> str:
    """The words of a line, letters of one case; empty for one without."""
    return " ".join(_WORDS.findall(line.casefold()))
