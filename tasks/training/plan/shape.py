"""The shape of a model: what memory, time and arithmetic are counted from.

The shape of a model that has not been fetched comes from the Hub's config.json alone.

How much of a card's arithmetic a training uses (MFU) is the operations that the mathematics asks for, over the card's
peak. They are counted per token, none twice, whatever is computed again to save memory: the frozen products forward and
for the gradient of their input (their weights get none), the adapter's three products, causal attention forward and
backward (4 and 8 operations per pair, half of the pairs; Chowdhery et al., PaLM, appendix B), the output layer for
targets only. The peak is that of dense bfloat16 (float16 where there is none), also when products run in 8 bits, so
that figures can be compared; 8 bits can therefore exceed what bfloat16 allows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tasks.base.errors import InputError
from tasks.training.table import Table


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


PEAKS: Final = (
    ("B200", 2250e12),
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("H200", 989e12),
    ("H800", 989e12),
    ("A100", 312e12),
    ("A800", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
    ("A10G", 70e12),
    ("T4", 65e12),
)
"""(part of the device's name, operations per second), the first that fits; NVIDIA's data sheets, without sparsity."""


def peak_flops(device: str) -> float | None:
    """A card's peak by its name as the driver gives it, or None: a CPU or a card that is not in the list."""
    words = device.replace("-", " ").split()
    return next((peak for name, peak in PEAKS if all(part in words for part in name.split())), None)


def flops_per_token(shape: Shape, rank: int, document_tokens: float, target_share: float) -> float:
    """Operations of one token, forward and backward.

    Args:
        shape: the model.
        rank: of the adapter.
        document_tokens: mean length, over tokens, of the document that a token stands in.
        target_share: part of the tokens that are targets.
    """
    frozen = 4 * shape.frozen + 4 * shape.vocabulary * shape.hidden * target_share
    attention = 6 * document_tokens * shape.heads * shape.head * shape.layers
    return frozen + 6 * shape.adapter(rank) + attention


def table_facts(table: Table) -> tuple[float, float]:
    """`(document_tokens, target_share)` of a table."""
    tokens = squares = targets = 0
    for index in range(len(table)):
        row = table.row(index)
        starts = [*(row.position_ids == 0).nonzero()[0].tolist(), len(row.position_ids)]
        lengths = [end - start for start, end in itertools.pairwise(starts)]
        tokens += sum(lengths)
        squares += sum(length * length for length in lengths)
        targets += row.targets
    return squares / tokens, targets / tokens
