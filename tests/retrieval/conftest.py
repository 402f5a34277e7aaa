"""The evaluation's small split."""

from tests.evaluation.conftest import held_out, train

__all__ = ["held_out", "train"]
