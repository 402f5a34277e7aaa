"""Parameters of the mixture: what goes into the training table, how it is packed, when a question counts as leaked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydantic import Field, field_validator

from tasks.base.artifacts import file_sha256
from tasks.base.params import Params

FAMILIES: Final = ("raw", "dialogue", "replay")
"""A source is named `<family>-<detail>`: `raw-file`, `raw-pull`, `raw-wiki`, `dialogue-<method>`, `replay-<name>`."""


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


class ReplayAnswers(StrEnum):
    """Whose answers a replay stream trains."""

    GIVEN = "given"
    """Those of the file or dataset."""
    BASE_MODEL = "base-model"
    """The base model's own answers to the same questions, so that what it can already do stays as it is."""


class Replay(Params):
    """General dialogues that are trained on beside the sources, against forgetting."""

    source: str = Field(min_length=1)
    """A file of JSON lines, or OWNER/NAME of a dataset on the Hub. A record has `messages` or `conversations`, or a
    pair such as `prompt` and `completion`, `instruction` and `output`, `question` and `answer`.
    """
    revision: str | None = None
    """Commit, tag or branch of the dataset; null = the newest when it is first fetched into the store."""
    split: str = "train"
    """Split of the dataset."""
    records: int = Field(1_000, ge=1)
    """Dialogues taken, a fixed sample of the first `scanned_records`."""
    scanned_records: int = Field(50_000, ge=1)
    """Records of the source that are looked at."""
    answers: ReplayAnswers = ReplayAnswers.GIVEN
    """Whose answers are trained."""
    answer_tokens: int = Field(256, ge=1, le=8192)
    """Longest answer of the base model."""
    seed: int = Field(0, ge=0)
    """Another seed takes other dialogues."""

    @property
    def file(self) -> Path | None:
        """The local file that `source` names, or None."""
        path = Path(self.source).expanduser()
        return path if path.is_file() else None

    @property
    def name(self) -> str:
        """Name of the stream, without a path of this machine."""
        return self.file.stem if self.file else self.source

    def identity(self) -> dict[str, Any]:
        """As for every parameter model, but a local file is known by its name and bytes."""
        document = super().identity()
        if self.file:
            document |= {"source": self.name, "revision": file_sha256(self.file)}
        return document


class MixtureParams(Params):
    """Which rows the training table holds."""

    train_held_out: HeldOut = HeldOut.NOTHING
    """What of held-out documents is trained on."""
    shares: dict[str, float] = Field(default_factory=dict)
    """Part of the table's tokens by source or family of sources, e.g. {"raw": 0.5, "dialogue": 0.4, "replay": 0.1}; a
    source not named is left out. Empty = what there is, or with `dataset.train_tokens` equal parts for each family.
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
            if source.split("-")[0] not in FAMILIES:
                raise ValueError(f"{source!r} is no source; begin with one of {', '.join(FAMILIES)}")
            if not share > 0:
                raise ValueError(f"{source}: a share is above 0; leave the source out to have none of it")
        return shares


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
