"""Parameters of the mixture: what the table holds, how it is packed, when a question counts as leaked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from tasks.base.artifacts import file_sha256
from tasks.base.params import Params

FAMILIES: Final = ("raw", "dialogue")
"""A source is named `<family>-<detail>`: `raw-file`, `raw-pull`, `raw-wiki`, `dialogue-<method>`. The replay stands
beside them, as `replay-<stream>`.
"""

VIEWS: Final = 3
"""How often a text is seen by default: facts come to be known with repetition (docs/results.md; arXiv 2404.05405)."""


class Packing(StrEnum):
    """How rows fill the sequence length."""

    BEST_FIT = "best-fit"
    """Whole documents side by side up to `max_tokens`, positions restarting at each, nothing cut and nothing discarded.
    """
    NONE = "none"
    """One document or dialogue a row."""


class HeldOut(StrEnum):
    """What of held-out documents is trained on."""

    NOTHING = "nothing"
    """Neither their text nor their dialogues: what held-out scores need."""
    RAW = "raw"
    """Their raw text but not their dialogues: the article's setting, whose held-out loss means little."""
    ALL = "all"
    """Both: the last training, once the settings are chosen ("All-Data"). Held-out scores then mean nothing."""


class Overlong(StrEnum):
    """What becomes of a dialogue that does not fit `max_tokens`."""

    DROP = "drop"
    """Left out, with a verdict."""
    CUT = "cut"
    """Its first `max_tokens` tokens, so the model never sees its end: what TRL's truncation does."""


class Stream(StrEnum):
    """What the base model is asked to write."""

    RAW = "raw"
    """Documents, from their first token."""
    CHAT = "chat"
    """A question and its answer, after the chat template."""
    CODE = "code"
    """Files, begun with a path, an import or a fence."""
    PROSE = "prose"
    """Texts of many sorts, begun as letters, reports, manuals, release notes or questions begin."""


class SamplingParams(Params):
    """How the base model writes the text that is replayed."""

    streams: dict[Stream, float] = Field(
        default_factory=lambda: {Stream.RAW: 0.25, Stream.CHAT: 0.3, Stream.CODE: 0.2, Stream.PROSE: 0.25}
    )
    """Parts of the sampled tokens: `raw` (from the start of a document), `chat` (question and answer after the model's
    own template), `code` (begun with what files begin with) and `prose` (begun as letters, manuals or release notes
    begin). They need not add up to 1.
    """
    sample_tokens: int = Field(512, ge=16, le=8192)
    """Longest sample of every other stream than `chat`."""
    question_tokens: int = Field(96, ge=8, le=4096)
    """Longest question of `chat`; one that has not ended by then is left out."""
    answer_tokens: int = Field(320, ge=8, le=8192)
    """Longest answer of `chat`; one that has not ended by then stays without its end."""
    soft_targets: int = Field(0, ge=0, le=100)
    """Most likely tokens of the base model that are stored beside each replayed token, so that the loss there is the
    divergence from the base itself and a sample may be seen more than once; 20 are about as good as all. 0 = none.
    """
    seed: int = Field(0, ge=0)
    """Another seed draws other samples, or takes other records of a source."""

    @field_validator("streams")
    @classmethod
    def _streams_have_parts(cls, streams: dict[Stream, float]) -> dict[Stream, float]:
        if not streams:
            raise ValueError(f"name at least one of {', '.join(Stream)}")
        for stream, part in streams.items():
            if not part > 0:
                raise ValueError(f"{stream}: a part is above 0; leave the stream out to have none of it")
        return streams


class SourceParams(Params):
    """Where replayed dialogues come from that the base model did not write."""

    source: str | None = Field(None, min_length=1)
    """A file of JSON lines, or OWNER/NAME of a dataset on the Hub, in place of the base model's samples; foreign text
    can do more harm than none (docs/dataset.md). A record has `messages` or `conversations`, or a pair such as `prompt`
    and `completion`, `instruction` and `output`, `question` and `answer`. Null = samples.
    """
    revision: str | None = None
    """Commit, tag or branch of the dataset; null = the newest when it is first fetched into the store."""
    split: str = "train"
    """Split of the dataset."""
    records: int = Field(1_000, ge=1)
    """Dialogues taken of the source, a fixed sample of the first `scanned_records`."""
    scanned_records: int = Field(50_000, ge=1)
    """Records of the source that are looked at."""
    seed: int = Field(0, ge=0)
    """Another seed draws other samples, or takes other records of a source."""

    @property
    def file(self) -> Path | None:
        """The local file that `source` names, or None."""
        path = Path(self.source).expanduser() if self.source else None
        return path if path and path.is_file() else None

    @property
    def name(self) -> str:
        """Name of the source, without a path of this machine; empty where there is none."""
        return self.file.stem if self.file else self.source or ""

    def identity(self) -> dict[str, Any]:
        """As for every parameter model, but a local file is known by its name and bytes."""
        document = super().identity()
        if self.file:
            document |= {"source": self.name, "revision": file_sha256(self.file)}
        return document


class Replay(SamplingParams, SourceParams):
    """General text that is trained on beside the sources, against forgetting: by default what the base model itself
    writes. Nothing in it is shown twice in one pass over the table.
    """

    share: float = Field(0.12, gt=0, le=0.5)
    """Part of the table's tokens; at most half, so that the replay is not larger than what it stands beside."""


class MixtureParams(Params):
    """Which rows the training table holds."""

    train_held_out: HeldOut = HeldOut.NOTHING
    """What of held-out documents is trained on."""
    passes: dict[Literal["raw", "dialogue"], Annotated[int, Field(ge=1, le=100)]] | None = None
    """How often raw text and dialogues stand in the table, e.g. {"raw": 3, "dialogue": 3}; once where not named. With
    `training.epochs: 1` they are then seen so often, and a replayed sample once. Null = three times over
    `training.epochs`; once with `shares`.
    """
    shares: dict[str, float] = Field(default_factory=dict)
    """Parts of the table's tokens by source or family, the replay aside, e.g. {"raw": 0.4, "dialogue": 0.6}; a source
    not named is left out. Empty = what there is, or with `dataset.train_tokens` equal parts for each family.
    """
    max_repeats: int = Field(4, ge=1, le=100)
    """How often a row may stand in the table so that its source reaches its share."""
    packing: Packing = Packing.BEST_FIT
    """How rows fill the sequence length."""
    system_prompt: str | None = Field(None, min_length=1)
    """Put before every dialogue that has none of its own; null = what the model's chat template does by itself."""
    overlong_dialogues: Overlong = Overlong.DROP
    """What becomes of a dialogue longer than `dataset.max_tokens`."""
    seed: int = Field(0, ge=0)
    """Another seed samples other documents and orders the rows otherwise."""

    @field_validator("shares")
    @classmethod
    def _shares_are_positive(cls, shares: dict[str, float]) -> dict[str, float]:
        for source, share in shares.items():
            if source.split("-")[0] == "replay":
                raise ValueError("the replay's share is dataset.replay.share")
            if source.split("-")[0] not in FAMILIES:
                raise ValueError(f"{source!r} is no source; begin with one of {', '.join(FAMILIES)}")
            if not share > 0:
                raise ValueError(f"{source}: a share is above 0; leave the source out to have none of it")
        return shares

    def over(self, epochs: int) -> MixtureParams:
        """The same with `passes` as numbers."""
        if self.passes is not None or self.shares:
            return self
        times = max(1, round(VIEWS / epochs))
        return self.model_copy(update={"passes": {"raw": times, "dialogue": times}})

    @model_validator(mode="after")
    def _passes_or_shares(self) -> MixtureParams:
        if self.passes and self.shares:
            raise ValueError("passes and shares both say how often rows stand in the table; give one of them")
        return self


class LeakPolicy(StrEnum):
    """What happens when a question leaked into the training table."""

    DROP = "drop"
    """It is taken out of the evaluation, with a verdict."""
    FAIL = "fail"
    """The run fails before anything is spent on training."""


class LeakParams(Params):
    """When an evaluation question counts as leaked."""

    policy: LeakPolicy = LeakPolicy.DROP
    """What happens then."""
    overlap: float = Field(0.5, gt=0, le=1)
    """Part of a question's 8-grams that one training document must hold, its answer beside them."""
    jaccard: float = Field(0.7, gt=0, le=1)
    """Likeness (Jaccard index of word 3-grams) at which a passage of a training document is a copy of a question."""
    prompt_suites: tuple[str, ...] = ("code",)
    """Suites whose answers are meant to be in the raw text, so that only the prompts of dialogues count."""
