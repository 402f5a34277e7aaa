"""What training and evaluation read, by reference: one bundle, passed inside a process and to a GPU machine alike."""

from __future__ import annotations

from tasks.base.artifacts import Artifact
from tasks.base.params import Params


class Dataset(Params):
    """The finished artifacts that come before training."""

    documents: Artifact
    """The split."""
    model: Artifact
    """The base model."""
    chunks: Artifact
    """Raw text of both splits."""
    dialogues: Artifact
    """Dialogues of both splits."""
    table: Artifact
    """The training table."""
    items: Artifact
    """Guarded questions."""
    report: Artifact
    """Of the data."""
