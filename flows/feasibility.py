"""Whether this machine can train at all what a run asks for: looked at before a model is downloaded."""

from __future__ import annotations

from typing import Final

from flows.params import RetrainParams
from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.steps import explanations
from tasks.base.store import Store
from tasks.training.plan.cards import CPU, this_machines
from tasks.training.plan.forecast import forecast, refuse_hopeless
from tasks.training.plan.shape import shape_of

BYTES_A_TOKEN: Final = 6
"""On the high side, so that fewer tokens are expected than there will be: source code has 3.6 characters a token."""


def check_before_download(store: Store, params: RetrainParams, documents: Artifact) -> None:
    """Refuses a training that a machine without a GPU could not finish; says nothing where that is not certain.

    Raises:
        InputError: the raw text alone would take far longer than `training.max_hours`.
    """
    hub = "/" in params.training.base_model and params.training.folder is None
    if explanations() is not None or not hub or params.compute.pool != "inline" or this_machines() != CPU:
        return
    try:
        shape = shape_of(params.training.base_model, params.training.revision)
    except InputError:  # not shaped like Llama, or no answer: whoever fetches the model says what is wrong
        return
    size = (store.blob(documents.sha256) / "train.jsonl").stat().st_size
    limit = params.dataset.train_tokens
    tokens = min(size // BYTES_A_TOKEN, limit) if limit else size // BYTES_A_TOKEN
    rows = max(1, tokens // params.dataset.max_tokens)
    refuse_hopeless(forecast(shape, params.training, tokens, rows, params.dataset.max_tokens, None, None))
