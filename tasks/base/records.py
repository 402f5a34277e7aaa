"""The records that rooms exchange: JSON lines, UTF-8, sorted by id, deterministic, no wall-clock.

Ids: a `Document` is `<repo>/<kind>/<path>`; anything made from one begins with the document's id, so a person can see
where a row comes from.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

IGNORED: Final = -100
"""Label of a token of a training row that bears no loss; what PyTorch's cross entropy ignores by default."""


class Record(BaseModel):
    """Base of every record: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def line(self) -> str:
        """The record as one JSON line, keys in declared order, without the newline."""
        return self.model_dump_json()


class Kind(StrEnum):
    """Kinds of documents that a step knows by name; any other kind is Markdown prose (CONTRIBUTING.md)."""

    FILE = "file"
    PULL = "pull"
    WIKI = "wiki"
    DOCUMENT = "document"
    """A page or conversation from beside the repository."""
    ISSUE = "issue"
    DISCUSSION = "discussion"
    RELEASE = "release"
    """What a forge tells of a release."""


NUMBERED: Final[dict[str, str]] = {Kind.PULL: "pull request", Kind.ISSUE: "issue", Kind.DISCUSSION: "discussion"}
"""Kinds whose documents are called by a number, and what people call them."""


def _known(name: str) -> str:
    return _KINDS.get(name, name)


_KINDS: Final = {kind.value: kind for kind in Kind}

KindName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$"), AfterValidator(_known)]
"""What a document was in its source: a member of `Kind`, or any other word that a harvest step gives."""


class Split(StrEnum):
    """Which side of the document split something is on; everything made from a document inherits its side."""

    TRAIN = "train"
    HELD_OUT = "held_out"


class Document(Record):
    """One file, pull request, page or conversation at a revision."""

    id: str
    kind: KindName
    repo: str
    revision: str
    """Commit sha of the snapshot, the pull's head, or the wiki; empty for what no commit holds, as an issue."""
    path: str
    """File path, number of a pull request or issue as a string, or wiki page path."""
    title: str
    url: str | None
    text: str
    """A pull's text is its description; its other parts are in `meta` (see `harvest/pulls.py`)."""
    created_at: str | None
    """RFC 3339 with Z."""
    updated_at: str | None
    meta: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_page(self) -> bool:
        """Whether it is prose in Markdown by its kind, whatever it is called."""
        return self.kind not in (Kind.FILE, Kind.PULL)

    @property
    def is_conversation(self) -> bool:
        """Whether several people said it in turn (`text/conversations.py`), without sections of its own."""
        return self.kind in (Kind.ISSUE, Kind.DISCUSSION) or "entries" in self.meta


class Message(Record):
    """One turn of a dialogue."""

    role: Literal["system", "user", "assistant"]
    content: str


class Provenance(Record):
    """Where a generated text comes from."""

    document_id: str
    revision: str
    span: tuple[int, int]
    """First and last line (1-based, inclusive) of the document's text that the answer rests on."""
    prompt_version: str
    model: str
    """Name of the generating model, or `template`."""


class Dialogue(Record):
    """A generated conversation about one document."""

    id: str
    messages: tuple[Message, ...]
    method: str
    kind: str = ""
    """What is asked: `route`, `value`, `location`, …; the method's name where it asks one kind only."""
    provenance: Provenance
    split: Split


class Item(Record):
    """One evaluation question."""

    id: str
    suite: str
    kind: str = ""
    """What is asked: `route`, `value`, `location`, …; for general questions how they are marked."""
    question: str
    answers: tuple[str, ...]
    """The first is canonical, the rest are aliases."""
    must: tuple[tuple[str, ...], ...] = ()
    """Points that an answer must contain, each in any of its wordings; only of questions that are marked by them."""
    must_not: tuple[str, ...] = ()
    """What a right answer never says."""
    document_id: str
    span: tuple[int, int]
    answerable: bool
    pair_id: str | None
    """Joins an unanswerable item to its answerable twin."""
    guess: str | None = None
    """What somebody would guess who knows the trained facts but not this one, empty where nothing can be guessed from;
    null = nobody is asked to.
    """
    provenance: Provenance


class Chunk(Record):
    """A piece of a rendered document that fits the token budget; a document's chunks join to its text."""

    id: str
    document_id: str
    kind: KindName
    index: int
    last: bool
    """True for the document's final chunk: only there an end token is trained."""
    header: str
    """Put before `text` in the training row (repository, revision, date, a long pull's head); empty by default."""
    text: str
    """The chunks' texts, without their headers, join to the rendered document."""
    tokens: int
    """Length of header and text together in the trained model's tokenizer, without special tokens."""
    split: Split


class Answer(Record):
    """What one arm answered to one item, greedy."""

    item_id: str
    text: str
    tokens: int
    """Generated tokens, the end token included."""
    finished: bool
    """False when the token limit cut the answer off."""


REMOVED: Final = "removed.jsonl"
"""File of `harvest/snapshot` with a `RemovedPath` for each file that the history once had."""


class RemovedPath(Record):
    """A file that was in a repository before the snapshot and is not in it."""

    id: str
    """Its path."""


class Weight(Record):
    """How much of what is made from a document goes into the training table."""

    id: str
    """The document's id."""
    weight: float
    """Share of its rows, above 0 and below 1."""


class Verdict(Record):
    """Why something was dropped, redacted or quarantined; nothing disappears without one."""

    id: str
    reason: str
    detail: str = ""
