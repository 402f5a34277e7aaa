"""What the benchmarks on GPUs train: shapes of real models with random weights, rows of random tokens, and rows packed
from documents as long as those of a real repository.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PEAK_BF16_FLOPS = 989e12
"""NVIDIA's figure for the H100 SXM without sparsity; MFU is taken of it whatever the precision."""
MOST_FLOPS = 2 * PEAK_BF16_FLOPS
"""In 8 bits; a figure above it is a mistake of the clock."""
DOCUMENT_TOKENS = (
    8, 72, 116, 155, 194, 225, 264, 309, 354, 411, 465, 529, 616, 703, 812, 933, 1207, 1526, 2029, 2816, 8192,
)  # fmt: skip
"""Every twentieth of the lengths of guardian/manage-frontend's files at the end of 2023 (610, at 3.64 bytes a token,
longer ones cut at 8,192).
"""


@dataclass(frozen=True)
class Workload:
    """A model's shape and the rows it is trained on."""

    config: dict[str, Any]
    tokens: int
    """Of a full row."""
    steps: dict[str, tuple[int, int]]
    """Warm-up and timed optimizer steps by work: full rows a step, or `packed` ones, one a step, or `packed-16`."""

    @property
    def layers(self) -> int:
        return int(self.config["num_hidden_layers"])

    def made_config(self) -> Any:
        """The model's configuration."""
        from transformers import AutoConfig

        return AutoConfig.for_model(**self.config)

    def row(self, number: int) -> list[int]:
        """A row of random tokens, the same for every variant."""
        return self._random(number, self.tokens)

    def documents(self, count: int) -> list[list[int]]:
        """Documents with a repository's lengths."""
        places = np.random.default_rng(7).uniform(0, len(DOCUMENT_TOKENS) - 1, count)
        lengths = np.interp(places, np.arange(len(DOCUMENT_TOKENS)), DOCUMENT_TOKENS)
        scale = self.tokens / DOCUMENT_TOKENS[-1]
        return [self._random(10_000 + at, max(4, int(length * scale))) for at, length in enumerate(lengths)]

    def flops_per_token(self, rank: int, attended: float) -> float:
        """Operations per token, counting none twice: frozen products forward and back, adapters, causal attention.

        `attended`: length of the document that a token is in, averaged over tokens.
        """
        c = self.config
        hidden, inner = c["hidden_size"], c["intermediate_size"]
        head = c.get("head_dim", hidden // c["num_attention_heads"])
        keys = head * c["num_key_value_heads"]
        assert head * c["num_attention_heads"] == hidden
        into, out = 3 * hidden + hidden + 2 * hidden + inner, hidden + 2 * keys + hidden + 2 * inner + hidden
        layer = 2 * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * inner)
        frozen = 2 * (layer * self.layers + 2 * hidden * c["vocab_size"])
        return float(frozen + 6 * rank * (into + out) * self.layers + 7 * attended * hidden * self.layers)

    def _random(self, seed: int, count: int) -> list[int]:
        made = np.random.default_rng(seed).integers(3, self.config["vocab_size"], count)
        return [int(token) for token in made]


STEPS = {"1": (3, 7), "packed": (2, 5), "8": (1, 1)}
MISTRAL_7B = Workload(
    {
        "model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 32000, "max_position_embeddings": 32768,
        "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False,
    },
    8192,
    STEPS,
)  # fmt: skip
QWEN3_8B = Workload(
    {
        "model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 12288, "vocab_size": 151936,
        "max_position_embeddings": 40960, "rope_theta": 1000000.0, "tie_word_embeddings": False,
    },
    8192,
    STEPS,
)  # fmt: skip
LLAMA_31_8B = Workload(
    {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        },
        "tie_word_embeddings": False,
    },
    8192,
    STEPS,
)  # fmt: skip
SMOLLM2_135M = Workload(
    {
        "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192,
        "rope_theta": 100000.0, "tie_word_embeddings": True,
    },
    2048,
    {"16": (3, 10), "packed-16": (3, 10)},
)  # fmt: skip
WORKLOADS = {
    "mistral-7b": MISTRAL_7B, "qwen3-8b": QWEN3_8B, "llama-3.1-8b": LLAMA_31_8B, "smollm2-135m": SMOLLM2_135M,
}  # fmt: skip


def smoke(work: Workload) -> Workload:
    """The same architecture and the same code on a CPU, in seconds."""
    small = {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 128, "vocab_size": 512, "max_position_embeddings": 4096,
    }  # fmt: skip
    small |= {"head_dim": 16} if "head_dim" in work.config else {}
    return Workload(work.config | small, 256, dict.fromkeys(work.steps, (1, 2)))


CHECK = Workload(
    {
        "model_type": "mistral", "hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8,
        "num_key_value_heads": 4, "intermediate_size": 1024, "vocab_size": 2048, "max_position_embeddings": 4096,
        "rope_theta": 10000.0,
        "sliding_window": None, "tie_word_embeddings": False,
    },
    1024,
    {},
)  # fmt: skip
"""Small enough to train with every backend in seconds, large enough for every kernel."""


def batch_of(what: str) -> int:
    """Rows a step of a work."""
    return int(what.removeprefix("packed").removeprefix("-") or 1)


def make_model(work: Workload, folder: Path) -> None:
    """The random model on disk, for the variants that can only load one; with any tokenizer that has enough tokens."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(work.made_config())
    model.save_pretrained(folder, max_shard_size="5GB")
    words = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"w{number}": number for number in range(3, work.config["vocab_size"])}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="<unk>",
    )  # fmt: skip
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    tokenizer.save_pretrained(folder)


def write_table(work: Workload, what: str, rows: int, folder: Path) -> float:
    """The training table of a work, as the mixture room writes it; the length that a token attends to, averaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if what.startswith("packed"):
        documents = work.documents(rows * 12)
        from tasks.mixture.table.rows import best_fit

        bins = best_fit([len(one) for one in documents], work.tokens)
        packed = sorted(([documents[at] for at in one] for one in bins), key=lambda row: -sum(map(len, row)))[:rows]
    else:
        packed = [[work.row(number)] for number in range(rows)]
    folder.mkdir(parents=True, exist_ok=True)
    ids = [[token for part in row for token in part] for row in packed]
    positions = [[at for part in row for at in range(len(part))] for row in packed]
    pq.write_table(
        pa.table(
            {
                "id": [f"row-{number:04d}" for number in range(rows)], "source": ["raw-file"] * rows,
                "input_ids": pa.array(ids, pa.list_(pa.int32())), "labels": pa.array(ids, pa.list_(pa.int32())),
                "position_ids": pa.array(positions, pa.list_(pa.int32())),
            }
        ),
        folder / "table.parquet",
    )  # fmt: skip
    lines = [{"parts": [{"source": "raw-file", "tokens": len(part)} for part in row]} for row in packed]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    lengths = np.asarray([len(part) for row in packed for part in row], dtype=float)
    return float((lengths**2).sum() / lengths.sum())
