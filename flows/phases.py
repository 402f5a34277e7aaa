"""The phases of a run, after each of which it can be told to stop."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """The last phase that a run goes through."""

    HARVEST = "harvest"
    """Files, pull requests and wiki are read."""
    DATASET = "dataset"
    """The training table and the questions are made."""
    TRAIN = "train"
    """The adapter is trained."""
    EVALUATE = "evaluate"
    """The arms have answered and the report is written."""
    PUBLISH = "publish"
    """The gate has decided, and what it allowed is released."""
