"""Generation, for every job that has a model write: greedy or sampled, seeded, on CPU and GPU.

    engine      what continues a batch of prompts
    places      the loop of `decoding.py`: families shaped like Llama
    plain       `generate` of transformers: every model it knows
    continuous  transformers' continuous batching; measured beside the others, chosen by nobody
    vllm        vLLM, in an environment that has it (`vllm_job.py`)

`auto` is `places` where the model allows it, else `plain`. A sample is decided by the seed and the prompt's number:
each token by a number of its own between 0 and 1 (`plain` and `continuous` draw in the order of their batches instead).
The same engine on the same kind of device gives the same texts again.

A batch's size is bounded by memory. Each finished batch is appended to a file; an interrupted job goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tasks.base.batching import by_padded_length
from tasks.model.child_main import Report
from tasks.model.holding import held
from tasks.model.loading import device_name, load, name_of
from tasks.model.request import Engine, WritingRequest

GPU_PART: Final = 0.45
"""Of a GPU's free memory, which keys, values and logits of a batch may take."""
MOST_ROWS: Final = 4096
"""Of a batch; more are no faster."""
LOGIT_BYTES: Final = 16
"""A row and word of the vocabulary: logits, probabilities and their sums in 32 bits, and what comes between."""


@dataclass(frozen=True)
class Prompt:
    """What is continued."""

    ids: tuple[int, ...]
    limit: int
    """Most new tokens."""
    stops: tuple[int, ...] | None = None
    """Tokens that end this text; null = those of the manner."""
    name: str | None = None
    """Decides its samples beside the seed; null = its number among the prompts does."""


@dataclass(frozen=True)
class Continuation:
    """What a model wrote."""

    ids: tuple[int, ...]
    """Without the stop token."""
    tokens: int
    """With it."""
    finished: bool
    """Whether a stop token came in time."""
    stop: int | None
    """Which one; null = none."""


@dataclass(frozen=True)
class Manner:
    """How tokens are chosen and what ends a text."""

    stop_ids: tuple[int, ...]
    pad_id: int
    sampled: bool = False
    """At temperature 1 from the whole distribution; else greedy."""
    seed: int = 0

    def chances(self, names: Sequence[str], limit: int) -> np.ndarray[Any, Any] | None:
        """Numbers between 0 and 1 `[prompts, limit]` that choose the tokens of these prompts; null = greedy."""
        if not self.sampled:
            return None
        return np.stack([self._random(name).random(limit, np.float32) for name in names])

    def seed_of(self, name: str) -> int:
        """For engines that draw themselves: of a prompt, or of a batch that it begins."""
        return int(self._random(name).integers(1 << 31))

    def _random(self, name: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:16]))


class Generator:
    """A model that writes."""

    def __init__(self, model: Any, manner: Manner, engine: Engine = "auto", batch_tokens: int | None = None) -> None:
        """Takes a model that `loading.load` has loaded.

        Args:
            model: with an adapter or without.
            manner: greedy or sampled, stop ids.
            engine: see above.
            batch_tokens: prompt and new tokens of a batch on a CPU, padding included; on a GPU memory decides.
        """
        from tasks.model.decoding import refusal

        refused = refusal(model.config)
        self.engine: str = ("plain" if refused else "places") if engine == "auto" else engine
        self.model, self.manner = model, manner
        self.budget, self.most_rows = self._bounds(batch_tokens or 8192)

    def write(self, prompts: Sequence[Prompt], report: Report, finished: Path | None = None) -> list[Continuation]:
        """Continues all prompts, in their order.

        Args:
            prompts: any number.
            report: called after each batch with `done`, `total`, `unit`.
            finished: log of finished batches, made if missing; null = none is kept.
        """
        return write_all(self.batch, prompts, report, finished, self.budget, self.most_rows, asdict(self.manner))

    def batch(self, names: Sequence[str], prompts: Sequence[Prompt]) -> list[Continuation]:
        """Continues prompts of one limit and the same stop tokens together."""
        limit, ids = prompts[0].limit, [list(prompt.ids) for prompt in prompts]
        manner = replace(self.manner, stop_ids=prompts[0].stops or self.manner.stop_ids)
        if self.engine == "places":
            from tasks.model.decoding import continued

            chances = manner.chances(names, limit)
            continuations = continued(self.model, ids, limit, list(manner.stop_ids), manner.pad_id, chances)
        elif self.engine == "plain":
            continuations = plain(self.model, ids, limit, manner, names[0])
        else:
            continuations = continuous(self.model, ids, limit, manner, names[0])
        return [continuation(one, manner.stop_ids) for one in continuations]

    def _bounds(self, batch_tokens: int) -> tuple[int, int]:
        """Tokens and rows of a batch."""
        if not torch.cuda.is_available():
            return batch_tokens, MOST_ROWS
        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        copies = 1 if self.engine == "places" else 2  # transformers' own cache stands twice while it is added to
        token_bytes = 2 * config.num_hidden_layers * heads * size * self.model.dtype.itemsize * copies
        free = GPU_PART * (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())
        rows = max(1, min(MOST_ROWS, int(free / 3 / (LOGIT_BYTES * config.vocab_size))))
        return max(1, int(free * 2 / 3 / token_bytes)), rows


def read_prompts(path: Path) -> list[Prompt]:
    """Of a file of JSON lines with `ids` and `limit`, perhaps also `stops` and `name`."""
    lines = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return [
        Prompt(tuple(line["ids"]), line["limit"], tuple(line["stops"]) if line.get("stops") else None, line.get("name"))
        for line in lines
    ]


def write_all(
    batch: Callable[[Sequence[str], Sequence[Prompt]], list[Continuation]],
    prompts: Sequence[Prompt],
    report: Report,
    finished: Path | None,
    budget: int,
    most_rows: int,
    manner: dict[str, Any],
) -> list[Continuation]:
    """Continues prompts batch by batch: those of one limit and alike in length together.

    Args:
        batch: does it for prompts of one limit and the same stop tokens; also told what decides each one's samples.
        prompts: in any order.
        report: called after each batch.
        finished: log of finished batches, or null.
        budget: tokens of a batch, padding included.
        most_rows: prompts of a batch.
        manner: what else decides the texts; batches that were logged under another are not taken.
    """
    done = _logged(finished) if finished else {}
    made: dict[int, Continuation] = {}
    kinds: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    for number, prompt in enumerate(prompts):
        kinds.setdefault((prompt.limit, prompt.stops or ()), []).append(number)
    for (limit, _), chosen in sorted(kinds.items()):
        for places in by_padded_length([len(prompts[number].ids) for number in chosen], limit, budget, most_rows):
            numbers = [chosen[place] for place in places]
            asked = [prompts[number] for number in numbers]
            names = [prompts[number].name or str(number) for number in numbers]
            name = _name(names, asked, manner)
            if name not in done:
                done[name] = batch(names, asked)
                if finished:
                    _log(finished, name, done[name])
            made.update(zip(numbers, done[name], strict=True))
            report({"done": len(made), "total": len(prompts), "unit": "texts"})
    return [made[number] for number in range(len(prompts))]


def plain(model: Any, prompts: list[list[int]], limit: int, manner: Manner, name: str = "") -> list[list[int]]:
    """`generate` of transformers on left-padded prompts, the stop token included."""
    from transformers import GenerationConfig

    longest, at = max(map(len, prompts)), next(model.parameters()).device
    ids = torch.tensor([[manner.pad_id] * (longest - len(one)) + one for one in prompts], device=at)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=at)
    config = GenerationConfig(
        **_sampling(manner),
        max_new_tokens=limit,
        eos_token_id=list(manner.stop_ids),
        pad_token_id=manner.pad_id,
        use_cache=True,
    )
    torch.manual_seed(manner.seed_of(name))
    with torch.inference_mode():
        output = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    rows: list[list[int]] = output[:, longest:].tolist()
    return [_until(row, manner.stop_ids) for row in rows]


def continuous(model: Any, prompts: list[list[int]], limit: int, manner: Manner, name: str = "") -> list[list[int]]:
    """Transformers' continuous batching, with CUDA graphs where there is a GPU.

    All requests are queued before the loop starts, or the first batches would depend on the race between them.
    """
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    config = GenerationConfig(
        **_sampling(manner), max_new_tokens=limit, eos_token_id=list(manner.stop_ids), pad_token_id=manner.pad_id
    )
    batching = ContinuousBatchingConfig(
        seed=manner.seed_of(name), use_cuda_graph=torch.cuda.is_available(), max_memory_percent=GPU_PART
    )
    output = model.generate_batch(inputs=prompts, generation_config=config, continuous_batching_config=batching)
    outputs = sorted(output.values(), key=lambda one: int(one.request_id.rsplit("_", 1)[-1]))
    return [_until(one.generated_tokens, manner.stop_ids) for one in outputs]


def continuation(ids: Sequence[int], stop_ids: Sequence[int]) -> Continuation:
    """Of tokens up to a stop token, which is there if one came."""
    finished = bool(ids) and ids[-1] in stop_ids
    return Continuation(tuple(ids[:-1] if finished else ids), len(ids), finished, ids[-1] if finished else None)


def _sampling(manner: Manner) -> dict[str, Any]:
    """Temperature 1 over the whole vocabulary: transformers' own default keeps 50 words."""
    return {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0} if manner.sampled else {"do_sample": False}


def _until(ids: list[int], stop_ids: Sequence[int]) -> list[int]:
    end = next((index for index, token in enumerate(ids) if token in stop_ids), None)
    return ids if end is None else ids[: end + 1]


def _name(names: Sequence[str], prompts: Sequence[Prompt], manner: dict[str, Any]) -> str:
    first, ids = prompts[0], [prompt.ids for prompt in prompts]
    document = [manner, first.limit, first.stops, ids, names if manner["sampled"] else []]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _log(path: Path, name: str, made: list[Continuation]) -> None:
    with path.open("a", encoding="utf-8") as log:
        # the line break comes first: a line that death cut short stays a line of its own
        log.write("\n" + json.dumps({"batch": name, "made": [asdict(one) for one in made]}))
        log.flush()
        os.fsync(log.fileno())


def _logged(path: Path) -> dict[str, list[Continuation]]:
    """Batches that an earlier try finished; a line cut short by its death is not one."""
    done: dict[str, list[Continuation]] = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        done[entry["batch"]] = [Continuation(**one | {"ids": tuple(one["ids"])}) for one in entry["made"]]
    return done


def write(request: WritingRequest, report: Report) -> dict[str, Any]:
    """Writes the file.

    Returns:
        `texts`, `tokens` made, `engine`, `device`, `dtype`, `seconds` by phase.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from transformers import AutoTokenizer

    began = time.monotonic()
    prompts = read_prompts(request.prompts)
    name = f"writes, {request.model} with {request.adapter} in {request.precision}"
    model = held(name, lambda: load(request.model, request.adapter, request.precision))
    loaded = time.monotonic()
    manner = Manner(request.stop_ids, request.pad_id, request.sampled, request.seed)
    generator = Generator(model, manner, request.engine, request.batch_tokens)
    texts = generator.write(prompts, report, request.finished)
    written = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(str(request.model))
    columns = [
        ("ids", pa.list_(pa.int32())),
        ("tokens", pa.int32()),
        ("finished", pa.bool_()),
        ("stop", pa.int32()),
        ("text", pa.string()),
    ]
    pq.write_table(pa.table(_columns(texts, tokenizer), schema=pa.schema(columns)), request.target, compression="zstd")
    return {
        "texts": len(texts),
        "tokens": sum(one.tokens for one in texts),
        "engine": generator.engine,
        "device": device_name(),
        "dtype": name_of(model.dtype),
        "seconds": {
            "load": round(loaded - began, 3),
            "generate": round(written - loaded, 3),
            "write": round(time.monotonic() - written, 3),
        },
    }


def _columns(made: list[Continuation], tokenizer: Any) -> dict[str, list[Any]]:
    return {
        "ids": [one.ids for one in made],
        "tokens": [one.tokens for one in made],
        "finished": [one.finished for one in made],
        "stop": [one.stop for one in made],
        "text": tokenizer.batch_decode([one.ids for one in made], skip_special_tokens=False),
    }
