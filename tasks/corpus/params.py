"""Parameters of the corpus: what is left out, what is hidden, what is a copy, what is held out, how text looks."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from tasks.base.params import Params
from tasks.base.records import KindName


class FileKind(StrEnum):
    """Kinds of text files that teach a model nothing about the repository; a dropped file's verdict names its kind."""

    LOCK = "lock-file"
    SNAPSHOT = "test-snapshot"
    GENERATED = "generated"
    VENDORED = "vendored"
    MINIFIED = "minified"
    DATA = "data"
    LICENCE = "licence"


class BudgetParams(Params):
    """A cap on the tokens of one kind from one source."""

    repo: str = "*"
    """Repository, with `*` as wildcard."""
    kind: KindName
    """`file`, `pull`, `wiki`, `issue` or any other kind of document."""
    tokens: int = Field(ge=0)
    """Estimated at 3.6 bytes a token, since the model is chosen later; the newest pull requests are kept, files and
    pages by hash of their id.
    """


class FilterParams(Params):
    """Which harvested documents, and which files of pull requests, are trained on. Every drop is a verdict."""

    include: tuple[str, ...] = ()
    """Path patterns as in `.gitignore` (`src/**`); if any are given, other files and pages are left out."""
    exclude: tuple[str, ...] = ()
    """Path patterns left out, in files, pages and the diffs of pull requests."""
    drop: tuple[FileKind, ...] = tuple(FileKind)
    """Kinds of files left out. Lock files and test snapshots alone are 39% of guardian/manage-frontend's tokens."""
    max_data_bytes: int = Field(32_768, ge=0)
    """JSON, XML, YAML and CSV files above this size count as `data`."""
    conversation: Literal["cleaned", "as-written"] = "cleaned"
    """`cleaned` leaves boilerplate (the template's lines, check lists, badges, trailers) out of descriptions, bots'
    comments out of threads, and of a bot's pull request one line.
    """
    generated_diffs: Literal["drop", "keep"] = "drop"
    """Whether lock files, test snapshots, generated, minified and vendored files leave the diffs of pull requests
    (78% of manage-frontend's diff tokens are lock files).
    """
    max_file_tokens: int | None = Field(100_000, ge=1)
    """Larger files, pages and single diffs are left out; estimated at 3.6 bytes a token; null = no cap."""
    max_pull_tokens: int | None = Field(15_000, ge=1)
    """A pull request's diffs that would exceed this together are left out, so that one rewrite of everything does not
    outweigh a hundred changes; null = no cap.
    """
    max_line_characters: int | None = Field(100_000, ge=1)
    """Files with a longer line are data and left out; null = no cap."""
    budgets: tuple[BudgetParams, ...] = ()
    """Token budgets per source and kind; the first that matches a document counts."""


class RedactParams(Params):
    """What is replaced by a typed marker such as `[redacted:github-pat]`, in files, diffs, comments and wiki."""

    secrets: Literal["redact", "fail", "keep"] = "redact"
    """`fail` ends the run at the first secret and names rule, document and line."""
    personal: tuple[Literal["email", "ip"], ...] = ()
    """Personal data hidden as well; addresses of examples (example.com, 127.0.0.1, 0.0.0.0) stay."""
    ignore_secrets: tuple[str, ...] = ()
    """Names of secret rules that are not applied, such as `generic-password` for a repository full of test
    passwords.
    """


class StaleParams(Params):
    """What is done with pages that name things which the snapshot no longer has."""

    pages: Literal["report", "date", "weight", "drop"] = "report"
    """`date` lets a stale page begin with when it was last changed; `weight` trains on fewer of its rows and dialogues;
    `drop` leaves it out.
    """
    weight: float = Field(0.25, gt=0, lt=1)
    """Share of a stale page's rows and dialogues that `weight` keeps; where rows are repeated it is repeated less."""
    fraction: float = Field(0.4, gt=0, le=1)
    """Share of the paths, symbols and pages a page names that must be gone."""
    names: int = Field(2, ge=1)
    """And at least this many: one wrong name makes no stale page."""


class DeduplicateParams(Params):
    """What counts as a copy. Of copies the file goes before the wiki page, that before the pull request, then the
    first by id.
    """

    near_threshold: float | None = Field(0.85, gt=0, le=1)
    """Estimated Jaccard similarity of 5-word shingles from which a document is a copy; null = exact copies only."""
    near_words: int = Field(30, ge=1)
    """Shorter documents are compared exactly: a re-export of one line is like every other."""


class SplitParams(Params):
    """Which documents are held out, before anything is made from them."""

    by: Literal["cluster", "document"] = "cluster"
    """`document` draws single documents, whatever they are linked to, as the article drew its dialogues; the leak
    guard sees what that costs.
    """
    cluster_threshold: float = Field(0.5, gt=0, le=1)
    """Similarity from which two documents stay on the same side."""
    hub_pulls: int = Field(3, ge=1)
    """A file touched by more pull requests than this joins none of them: everybody touches `package.json`."""
    max_cluster_fraction: float = Field(0.1, gt=0, le=1)
    """A cluster with more than this share of the documents is never held out."""
    seed: int = Field(20240326, ge=0)
    """Changes which clusters are held out."""


class RenderParams(Params):
    """How a document looks as text. The defaults are the article's formats."""

    paths: Literal["name", "full"] = "name"
    """Whether a file is named by its base name, as the article has it, or by its path (34 of manage-frontend's 738
    files share a base name). With `full` a wiki page begins with its title, and a renamed file names its old path.
    """
    header: Literal["none", "source"] = "none"
    """`source` puts a line naming repository, path, revision and date before every chunk."""
    threads: Literal["none", "comments", "all"] = "none"
    """Whether a pull request's comments, or comments, reviews and review comments with their hunks, follow its diff."""
    absent: Literal["none", "omit"] = "none"
    """What stands for a description, a merge or a patch that there is not: `None`, as the article has it, or no line.
    What plain git does not know never has one.
    """
