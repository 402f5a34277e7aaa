"""The shape of a model: what memory, time and arithmetic are counted from.

Of one that has not been fetched it comes from the Hub's config.json alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks.base.errors import InputError


@dataclass(frozen=True)
class Shape:
    """A Llama-shaped model."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    tied: bool
    mlp_only: bool = False
    """Whether the adapter is on the MLP's linears alone."""
    head_norms: bool = False
    """Whether each head's queries and keys have a norm."""
    after_norms: bool = False
    """Whether there is a norm behind attention and MLP too."""

    @classmethod
    def of(cls, config: Any, mlp_only: bool = False) -> Shape:
        """From transformers' configuration, or an object with the same names."""
        return cls(
            config.hidden_size, config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads,
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            config.intermediate_size, config.vocab_size, bool(config.tie_word_embeddings), mlp_only,
            has_head_norms(config), config.model_type == "gemma3_text",
        )  # fmt: skip

    @property
    def sites(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(input, outputs) of the projections that share an input."""
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        return (
            (self.hidden, (queries, keys, keys)),
            (queries, (self.hidden,)),
            (self.hidden, (self.inner, self.inner)),
            (self.inner, (self.hidden,)),
        )

    @property
    def frozen(self) -> int:
        """Parameters of the layers' linears."""
        return self.layers * sum(into * sum(outs) for into, outs in self.sites)

    @property
    def vocabulary_parameters(self) -> int:
        """Parameters of embedding and output layer."""
        return (1 if self.tied else 2) * self.vocabulary * self.hidden

    def adapter(self, rank: int) -> int:
        """Parameters of the adapter."""
        adapted = self.sites[2:] if self.mlp_only else self.sites
        return self.layers * rank * sum(len(outs) * into + sum(outs) for into, outs in adapted)


def has_head_norms(config: Any) -> bool:
    """Whether each head's queries and keys have a norm."""
    return config.model_type in ("qwen3", "gemma3_text")


HUB_SECONDS: Final = 10.0

KNOWN: Final = {"mistralai/Mistral-7B-Instruct-v0.2": Shape(4096, 32, 32, 8, 128, 14336, 32000, False)}
"""Of the presets' models, so that they can be planned where the Hub is out of reach."""


def shape_of(model: str | Path, revision: str | None = None) -> Shape:
    """The shape of a model in a folder, or of OWNER/NAME on the Hub, of which config.json alone is read.

    Raises:
        InputError: neither folder nor Hub has it, or it is not shaped like Llama.
    """
    if str(model) in KNOWN:
        return KNOWN[str(model)]
    if not Path(model).is_dir():
        _check_hub(str(model), revision)
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


def _check_hub(model: str, revision: str | None) -> None:
    """Asks once whether the Hub has the model: transformers would try six times, 30 s, and log each try.

    Raises:
        InputError: it has not, or it does not answer.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        HfApi().model_info(model, revision=revision, timeout=HUB_SECONDS)
    except HfHubHTTPError as error:
        raise InputError(
            f"training.base_model: {model} is no folder, and the Hub has no such model that you may read "
            f"(HTTP {error.response.status_code}); check the name, training.revision and HF_TOKEN"
        ) from error
    except (HTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"training.base_model: {model} is no folder, and the Hub cannot be reached ({reason}); "
            "connect, or name the folder of a model that is here"
        ) from error
