"""The loop that continues a batch of prompts, with fixed places for keys and values.

On a GPU a token is one CUDA graph.

`generate` of transformers launches some 400 kernels for each token of a small model and copies every key and value
whenever one is added: 16,000 to 21,000 tokens/s of SmolLM2-135M on an H200, where the arithmetic would allow hundreds
of thousands. Here a step is captured once and replayed, the query heads that share keys are computed together instead
of repeating the keys for each (which transformers must do wherever there is a mask), and rows that have ended leave
the batch whenever half of them have. `tests/benchmarks/gpu_generation.py` measures it beside the alternatives.

The model's own code computes: what is put in its place is the cache and the attention of single queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

ATTENTION: Final = "rawtune_places"
FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3", "smollm3", "granite")
"""Whose code takes a cache and an attention function as Llama's does; tests compare each with `generate`."""
CHECK_EVERY: Final = 16
"""Tokens between two looks at what has ended: a look waits for the device."""
MULTIPLE: Final = 64
"""Places are a multiple of this: masks must be aligned for the kernels that read them."""
PREFILL_TOKENS: Final = 1 << 16
"""Of prompts that are read at a time."""


def refusal(config: Any) -> str | None:
    """Why this loop cannot run such a model, or null: it then goes to `generate`."""
    config = config.get_text_config()
    if config.model_type not in FAMILIES:
        return f"models of type {config.model_type}"
    sliding = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    if sliding or any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()):
        return "attention in windows"
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") in ("dynamic", "longrope"):
        return "positions that are scaled by the length of a text"
    return None


class Places:
    """Keys and values of every layer `[rows, key heads, length, size]`, made before the first token.

    To the model's layers it is a cache.
    """

    def __init__(self, rows: int, length: int, dtype: Any, device: Any) -> None:
        self._shape, self._dtype, self._device = (rows, length), dtype, device
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self.column = torch.zeros(1, dtype=torch.int64, device=device)
        """Where the next token's keys and values go."""
        self._filling: slice | None = None

    @contextmanager
    def filling(self, rows: slice) -> Iterator[None]:
        """Inside the block whole prompts of these rows are read, from the first place on."""
        self._filling = rows
        try:
            yield
        finally:
            self._filling = None

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keeps a layer's new keys and values, and returns what queries attend to.

        While prompts are read these are the places filled so far, afterwards all places.
        """
        if layer not in self.keys:
            rows, length = self._shape
            shape = (rows, keys.shape[1], length, keys.shape[3])
            # zeros: a place that is masked must not hold what times zero is no number
            self.keys[layer] = torch.zeros(shape, dtype=self._dtype, device=self._device)
            self.values[layer] = torch.zeros(shape, dtype=self._dtype, device=self._device)
        if self._filling is not None:
            self.keys[layer][self._filling, :, : keys.shape[2]] = keys
            self.values[layer][self._filling, :, : values.shape[2]] = values
            return keys, values
        self.keys[layer].index_copy_(2, self.column, keys)
        self.values[layer].index_copy_(2, self.column, values)
        return self.keys[layer], self.values[layer]

    def keep(self, rows: torch.Tensor) -> None:
        """Leaves these rows only; layer by layer, so that little is there twice."""
        for held in (self.keys, self.values):
            for layer in held:
                held[layer] = held[layer].index_select(0, rows)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Asked for by models that are given no positions; they are given them here."""
        return 0


def attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, **more: Any
) -> tuple[torch.Tensor, None]:
    """Attention of a layer: `[rows, heads, T, size]` to `[rows, T, heads, size]`.

    A single query a row: the heads that share keys are its queries, `[rows, key heads, heads of each, size]`, so no key
    is repeated. Longer ones as transformers does it.
    """
    if query.shape[2] != 1:
        attended: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **more)
        return attended
    rows, heads, _, size = query.shape
    grouped = query.view(rows, key.shape[1], heads // key.shape[1], size)
    out = scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=more.get("scaling"))
    return out.reshape(rows, heads, 1, size).transpose(1, 2), None


AttentionInterface.register(ATTENTION, attend)


def choose(logits: torch.Tensor, chance: torch.Tensor | None) -> torch.Tensor:
    """The next token of each row `[rows]`: the likeliest, or the one that the row's chance draws.

    That is the one at which the summed probabilities, in the order of the vocabulary, pass the chance.

    So a sample depends on the row's own chances alone, not on what else is in the batch.

    Args:
        logits: `[rows, vocabulary]`.
        chance: `[rows, 1]`, evenly between 0 and 1; null = greedy.
    """
    if chance is None:
        return logits.argmax(-1)
    summed = logits.float().softmax(-1).cumsum(-1)
    chosen = torch.searchsorted(summed, chance * summed[:, -1:], right=True)[:, 0]
    return chosen.clamp_(max=logits.shape[-1] - 1)


class Batch:
    """Prompts that are continued together."""

    def __init__(
        self, model: Any, prompts: list[list[int]], limit: int, stops: list[int], pad: int, chances: Any
    ) -> None:
        """Reads the prompts; `chances` `[rows, limit]` between 0 and 1 make samples, null makes it greedy."""
        self.model, self.limit = model, limit
        device = next(model.parameters()).device
        self.longest = max(map(len, prompts))
        self.stops = torch.tensor(stops, device=device)
        self.pad = torch.tensor(pad, device=device)
        gaps = torch.tensor([self.longest - len(prompt) for prompt in prompts], device=device)
        ids = torch.tensor([[pad] * (self.longest - len(one)) + one for one in prompts], device=device)
        length = -(-(self.longest + limit) // MULTIPLE) * MULTIPLE
        self.places = Places(len(prompts), length, model.dtype, device)
        self.chances = None if chances is None else torch.as_tensor(chances, dtype=torch.float32, device=device)
        self.mask = torch.zeros((len(prompts), 1, 1, length), dtype=torch.bool, device=device)
        self.mask[:, 0, 0, : self.longest] = torch.arange(self.longest, device=device) >= gaps[:, None]
        self.positions = (self.longest - gaps)[:, None]
        self.step = torch.zeros(1, dtype=torch.int64, device=device)
        self.made = torch.full((len(prompts), limit), pad, dtype=torch.int64, device=device)
        self.ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
        self.tokens = torch.zeros((len(prompts), 1), dtype=torch.int64, device=device)
        self.rows = torch.arange(len(prompts), device=device)
        """Which prompt each row is; rows that have ended leave."""
        self.places.column.fill_(self.longest - 1)
        self._take(self._read(ids, gaps))

    def run(self) -> list[list[int]]:
        """What follows each prompt, up to the limit or with the stop token."""
        finished: dict[int, list[int]] = {}
        graph = None
        done = 1
        while done < self.limit and len(self.rows):
            if graph is None:
                self._advance()  # also what a capture needs before it
                graph = self._capture() if self.ended.is_cuda else None
            else:
                graph.replay()
            done += 1
            if done % CHECK_EVERY == 0:
                alive = int((~self.ended).sum())
                if alive <= len(self.rows) // 2:
                    graph = None
                    self._let_go(finished)
        self.ended[:] = True
        self._let_go(finished)
        return [finished[number] for number in range(len(finished))]

    def _read(self, ids: torch.Tensor, gaps: torch.Tensor) -> torch.Tensor:
        """Logits behind the prompts `[rows, vocabulary]`; some rows at a time."""
        span = torch.arange(self.longest, device=ids.device)
        causal = span[None, :] <= span[:, None]
        size = max(1, PREFILL_TOKENS // self.longest)
        logits = []
        for start in range(0, len(ids), size):
            piece = slice(start, start + size)
            seen = (span[None, :] >= gaps[piece, None])[:, None, None, :] & causal | torch.eye(
                self.longest, dtype=torch.bool, device=ids.device
            )
            positions = (span - gaps[piece, None]).clamp(min=0)
            with self.places.filling(piece):
                logits.append(
                    self.model(
                        input_ids=ids[piece],
                        attention_mask=seen,
                        position_ids=positions,
                        past_key_values=self.places,
                        use_cache=True,
                        logits_to_keep=1,
                    ).logits[:, -1]
                )
        return torch.cat(logits)

    def _advance(self) -> None:
        """One token of every row; nothing here waits for the device or asks it anything."""
        self.mask.index_fill_(3, self.places.column, True)
        logits = self.model(
            input_ids=self.tokens,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.places,
            use_cache=True,
        ).logits[:, -1]
        self._take(logits)
        self.positions.add_(1)

    def _take(self, logits: torch.Tensor) -> None:
        chance = None if self.chances is None else self.chances.index_select(1, self.step)
        chosen = torch.where(self.ended, self.pad, choose(logits, chance))
        self.made.index_copy_(1, self.step, chosen[:, None])
        self.ended.logical_or_((chosen[:, None] == self.stops).any(-1))  # isin may sort, which waits
        self.tokens.copy_(chosen[:, None])
        self.step.add_(1)
        self.places.column.add_(1)

    def _capture(self) -> Any:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            self._advance()
        return graph

    def _let_go(self, finished: dict[int, list[int]]) -> None:
        """Takes the rows that have ended out of the batch."""
        rows, ended, stops = self.rows.tolist(), self.ended.tolist(), set(self.stops.tolist())
        count = int(self.step)
        for number, is_over, ids in zip(rows, ended, self.made[:, :count].tolist(), strict=True):
            if is_over:
                end = next((index for index, token in enumerate(ids) if token in stops), None)
                finished[number] = ids if end is None else ids[: end + 1]
        left = torch.tensor([index for index, over in enumerate(ended) if not over], dtype=torch.int64)
        left = left.to(self.ended.device)
        self.places.keep(left)
        for name in ("mask", "positions", "made", "ended", "tokens", "rows", "chances"):
            held = getattr(self, name)
            setattr(self, name, None if held is None else held.index_select(0, left))


@contextmanager
def _placed(model: Any) -> Iterator[None]:
    """Inside the block the model attends by `attend`."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before


def continued(
    model: Any, prompts: list[list[int]], limit: int, stops: list[int], pad: int, chances: Any = None
) -> list[list[int]]:
    """What follows each prompt, in order: up to `limit` tokens, a stop token included where one came.

    Args:
        model: of a family that `refusal` lets pass, with an adapter or without.
        prompts: token ids, each at least one.
        limit: most new tokens, at least 1.
        stops: tokens that end a text.
        pad: fills gaps; never seen.
        chances: `[rows, limit]` numbers between 0 and 1, which make samples at temperature 1; null = greedy.
    """
    with torch.inference_mode(), _placed(model):
        return Batch(model, prompts, limit, stops, pad, chances).run()
