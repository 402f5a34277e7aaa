"""The shape of a model that has not been fetched: from its folder, else from the Hub's config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tasks.base.errors import InputError
from tasks.training.planner import Shape

KNOWN: Final = {"mistralai/Mistral-7B-Instruct-v0.2": Shape(4096, 32, 32, 8, 128, 14336, 32000, False)}
"""Of the presets' models, so that they can be planned where the Hub is out of reach."""


def shape_of(model: str | Path, revision: str | None = None) -> Shape:
    """The shape of a model in a folder, or of OWNER/NAME on the Hub, of which config.json alone is read.

    Raises:
        InputError: neither folder nor Hub has it, or it is not shaped like Llama.
    """
    if str(model) in KNOWN:
        return KNOWN[str(model)]
    from transformers import AutoConfig

    try:
        return Shape.of(AutoConfig.from_pretrained(model, revision=revision))
    except AttributeError as error:
        raise InputError(f"training.base_model: {model} is not shaped like Llama ({error}): no plan") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"training.base_model: {model} is no folder, and the Hub gave no config.json of it "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
