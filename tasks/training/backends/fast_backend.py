"""Training by rawtune's own loop (`fast/`): Llama's relatives, adapters on all linear layers or on the
MLP's.

On Hopper and Ada cards the frozen products run in FP8, elsewhere in the base's precision. Runs in the child only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from tasks.base.records import IGNORED
from tasks.model.holding import held
from tasks.model.loading import dtype_of
from tasks.training.backends.fast.adapters import Adapters
from tasks.training.backends.fast.decoder import Decoder, SoftTargets
from tasks.training.backends.fast.precision import LOOKED_AT_TOKENS, look, told
from tasks.training.backends.fast.weights import shapes, supported, weight_reader
from tasks.training.checkpoints import Checkpoints
from tasks.training.journal import Journal, read_lines, write_lines
from tasks.training.params import LINEARS, Precision, TrainingParams
from tasks.training.plan.planner import FP8_HIDDEN, USABLE, fast_bytes
from tasks.training.plan.shape import Shape
from tasks.training.ranks import Summing, add_up, first_says, rank, world
from tasks.training.table import Rows, Table, row_order

PADDED_TO: Final = 128
"""On a GPU rows are filled up to a multiple of this, so that few shapes occur: cuDNN plans each new one for some 170
ms.
"""
FP8_MULTIPLE: Final = 16
"""Every dimension of an 8-bit product must be a multiple of this."""
MOST_TOKENS: Final = 32_768
"""Of a micro-batch; beyond it even a small model's kernels no longer wait for their launches."""
LOOK: Final = "precision_look.json"
"""What was found of 8 bits before the first step, in each checkpoint, so that a resumed run computes alike."""
RELAX_STEPS: Final = 50
"""After the first step, and again after this many, it is checked whether the adapters still fit the 8-bit tails."""


def refusal(config: Any, params: TrainingParams) -> str | None:
    """Why this backend cannot do what is asked, or None."""
    if not params.mlp_only and set(params.linears) != set(LINEARS):
        return "adapters on these linear layers only"
    if params.dropout:
        return "dropout"
    if params.only_trl:
        return params.only_trl[0]
    if params.precision is Precision.NF4:
        return "a 4-bit base"
    if dtype_of(params.precision) == torch.float16:
        return "a card without bfloat16"
    if params.precision is Precision.FLOAT32 and torch.cuda.is_available():
        return "float32 on a GPU"
    return supported(config)


def uses_fp8(config: Any, params: TrainingParams) -> bool:
    """Whether the frozen products run in 8 bits: not ruled out, and card and dimensions allow it."""
    if params.precision not in (Precision.AUTO, Precision.FP8) or not torch.cuda.is_available():
        return False
    if params.precision is Precision.AUTO and (config.hidden_size < FP8_HIDDEN or params.mlp_only):
        return False  # nor has an 8-bit weight a tail of no columns behind it
    sizes = {size for shape in shapes(config).values() for size in shape} | {params.rank}
    return torch.cuda.get_device_capability() >= (8, 9) and all(size % FP8_MULTIPLE == 0 for size in sizes)


def train(
    table: Table, model_folder: Path, params: TrainingParams, journal: Journal, checkpoints: Checkpoints, out: Path
) -> dict[str, Any]:
    """Trains from the newest checkpoint, or from the start, to the end, and writes the adapter to `out`.

    Returns:
        What the machine made of the request.
    """
    from transformers import AutoConfig

    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    config, dtype = AutoConfig.from_pretrained(model_folder), dtype_of(params.precision)
    quantises = uses_fp8(config, params)
    adapters = Adapters(shapes(config), config.num_hidden_layers, params, dtype, device)
    checkpoint = checkpoints.latest()
    if checkpoint:
        adapters.load(_load(checkpoint[0]))
        journal.resume(read_lines(checkpoint[0] / "loss.jsonl"), checkpoint[1]["seconds"])
        checkpoints.resumed(checkpoint[1]["step"])

    def build() -> Decoder:
        return Decoder(config, weight_reader(model_folder, dtype, device), adapters, params.scale)

    # what stands behind 8-bit weights is as wide as the rank, so those are made again
    decoder = held(None if quantises else f"fast, {model_folder} in {dtype}", build)
    decoder.take(adapters, params.scale)
    loop = Loop(table, params, journal, adapters, decoder)
    seen: dict[str, Any] | None = None
    if quantises and params.precision is Precision.AUTO:
        seen = json.loads((checkpoint[0] / LOOK).read_text("utf-8")) if checkpoint else loop.look()
        if not checkpoint:
            journal.report({"kind": "note", "text": told(seen)})
            del decoder, loop.decoder
            loop.decoder = decoder = build()
    if quantises:
        staying = seen["layers_in_16_bits"] if seen else []
        decoder.quantise(number for number in range(len(decoder.layers)) if number not in staying)
    in_8_bits = decoder.refresher is not None
    predicted = _least_recompute(config, params, loop.budget, in_8_bits, decoder)
    for done in loop.steps(checkpoints.due):
        write = partial(_save, adapters=adapters, journal=journal, seen=seen)
        path = checkpoints.save(done, journal.seconds(), write, journal.kept_step)
        journal.report({"kind": "checkpoint", "path": str(path)})
    if kept := journal.kept(checkpoints):
        adapters.load(_load(kept))
    adapters.save(out, params)
    relaxed = sum(not site.extended for site in decoder.refresher.sites) if decoder.refresher else 0
    decoder.let_go()
    return {
        "backend": "fast",
        "base_precision": "fp8" if in_8_bits else str(dtype).removeprefix("torch."),
        "precision_look": seen,
        "micro_batch_tokens": loop.budget,
        "predicted_peak_bytes": predicted,
        "measured_peak_bytes": torch.cuda.max_memory_allocated() if device.type == "cuda" else None,
        "recompute": f"{decoder.recompute} of {len(decoder.layers)} layers",
        "sites_added_in_bf16": relaxed,
        "resumed_at": checkpoint[1]["step"] if checkpoint else 0,
    }


def _micro_batch(longest: int, params: TrainingParams, decoder: Decoder) -> int:
    """Tokens computed at a time on a GPU: enough for small models to keep it busy, none that memory would pay for."""
    shape, tokens = Shape.of(decoder.config, params.mlp_only), max(longest, 8192)
    free = torch.cuda.mem_get_info()[0]
    while tokens < MOST_TOKENS and fast_bytes(shape, params.rank, 2 * tokens, False, 0) < free / 2:
        tokens *= 2
    return tokens


def _least_recompute(config: Any, params: TrainingParams, tokens: int, fp8: bool, decoder: Decoder) -> int | None:
    """Sets how many layers are recomputed so that the run fits the card; its predicted peak, or None on a CPU."""
    if not torch.cuda.is_available():
        return None
    shape = Shape.of(config, params.mlp_only)
    free = USABLE * (torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())
    for recomputed in range(shape.layers + 1):
        decoder.recompute = recomputed
        predicted = fast_bytes(shape, params.rank, tokens, fp8, recomputed)
        if predicted <= free:
            break
    return predicted


@dataclass
class _Facts:
    """A step's loss sums and gradient norm on their way to the host."""

    rows: list[Rows]
    values: torch.Tensor
    ready: torch.cuda.Event | None

    @classmethod
    def of(cls, rows: list[Rows], sums: torch.Tensor, norm: torch.Tensor) -> _Facts:
        """Starts the copy behind what the device has to do so far."""
        values = torch.cat([sums, norm.double()[None]])
        if not values.is_cuda:
            return cls(rows, values, None)
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        ready = torch.cuda.Event()
        ready.record()
        return cls(rows, host, ready)

    def read(self) -> tuple[list[float], float]:
        """`(loss sums by source, gradient norm)`; waits for the copy."""
        if self.ready is not None:
            self.ready.synchronize()
        *sums, norm = self.values.tolist()
        return sums, norm


class Loop:
    """The steps of a run."""

    def __init__(
        self, table: Table, params: TrainingParams, journal: Journal, adapters: Adapters, decoder: Decoder
    ) -> None:
        """Prepares the order of the rows."""
        self.table, self.params, self.journal = table, params, journal
        self.adapters, self.decoder = adapters, decoder
        self.device = decoder.embedding.device
        self.summing = Summing(adapters.gradient, adapters.layers)
        self.order = row_order(len(table), params.epochs, params.seed)
        self.budget = max(table.lengths())
        """Tokens computed at a time: short rows go side by side up to this."""
        if self.device.type == "cuda":
            self.budget = _micro_batch(self.budget, params, decoder)

    def look(self) -> dict[str, Any]:
        """What `precision.look` finds on the run's first rows; the decoder must be built again after it."""
        indices: list[int] = []
        for index in self.order:
            indices.append(index)
            if sum(map(self.table.length, indices)) >= LOOKED_AT_TOKENS:
                break
        rows = [self.table.side_by_side([index]) for index in indices]
        targets = max(1, sum(row.targets for row in rows))
        self.decoder.recompute = len(self.decoder.layers)

        def measure(decoder: Decoder) -> float:
            total = 0.0
            for row in rows:
                ids, positions, labels, padding = self._padded(row)
                losses = decoder.forward_backward(ids, positions, labels, 1 / targets, padding, _soft(row))
                total += float(losses.double().sum())
            return total / targets

        return first_says(look(self.decoder, measure))

    def steps(self, due: Callable[[int], bool]) -> Iterator[int]:
        """Makes the optimizer steps that are left, fewer if the journal gives up.

        Yields their number whenever a checkpoint is due, after each look, and at the end.

        On a GPU the losses of a step are read while the next one runs, so that the device never waits for the host;
        before a checkpoint all are.
        """
        self.journal.begin(self._loss)
        if self.journal.is_given_up:  # by an attempt that ended before it could say so
            return
        first, last = len(self.journal.lines), self.journal.steps
        upcoming = self._batch(first)
        unread: list[_Facts] = []
        for step in range(first, last):
            rows = upcoming
            unread.append(_Facts.of(rows, *self._step(step, rows)))
            upcoming = self._batch(step + 1)
            save, look = due(step + 1) or step + 1 == last, self.journal.look_due(step + 1)
            if self.decoder.refresher is not None and step % RELAX_STEPS == 0:
                self.decoder.refresher.relax()
            while unread and (save or look or len(unread) > 1 or self.device.type == "cpu"):
                self._note(unread.pop(0))
            if look:
                self.journal.look(self._loss)
            if save or look:
                yield step + 1
            if look and self.journal.is_given_up:
                return

    def _step(self, step: int, rows: list[Rows]) -> tuple[torch.Tensor, torch.Tensor]:
        """`(loss sums by source, gradient norm)`, still on the device. Out of memory: more layers are recomputed
        from here on.
        """
        while True:
            try:
                sums = self._gradients(rows)
                break
            except torch.OutOfMemoryError:
                layers = len(self.decoder.layers)
                if self.decoder.recompute >= layers:
                    raise
                self.decoder.recompute = min(layers, self.decoder.recompute + max(1, layers // 4))
            # outside the handler: there the traceback would keep the failed attempt's tensors alive
            self.summing.begin_again()
            torch.cuda.empty_cache()
            self.journal.report({"kind": "note", "text": f"out of memory: {self.decoder.recompute} layers recomputed"})
        params = self.params
        rate = params.learning_rate * params.schedule.factor(step, self.journal.steps, params.warmup_fraction)
        norm = self.adapters.step(rate, params.max_grad_norm, params.weight_decay)
        self.decoder.refresh()
        return sums, norm

    def _loss(self, row: Rows) -> float:
        return float(self.decoder.losses(*self._padded(row)).double().sum())

    def _padded(self, row: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
        """`(ids, positions, labels, tokens that only fill the row up)`."""
        ids, positions, labels = (torch.from_numpy(x) for x in (row.input_ids, row.position_ids, row.labels))
        padding = -len(ids) % PADDED_TO if self.device.type == "cuda" else 0
        if padding:
            ids = torch.cat([ids, ids.new_zeros(padding)])
            positions = torch.cat([positions, torch.arange(padding)])
            labels = torch.cat([labels, labels.new_full((padding,), IGNORED)])
        return ids, positions, labels, padding

    def _gradients(self, rows: list[Rows]) -> torch.Tensor:
        targets = max(1, sum(row.targets for row in rows))
        sums = torch.zeros(len(self.table.sources), dtype=torch.float64, device=self.device)
        own = rows[rank() :: world()]
        for row in own:
            ids, positions, labels, padding = self._padded(row)
            done = self.summing.done if row is own[-1] else None
            losses = self.decoder.forward_backward(ids, positions, labels, 1 / targets, padding, _soft(row), done)
            sources = torch.from_numpy(row.sources[row.labels != IGNORED]).to(self.device, non_blocking=True)
            sums.index_add_(0, sources, losses.double())
        self.summing.finish()
        add_up(sums)
        return sums

    def _note(self, facts: _Facts) -> None:
        sums, norm = facts.read()
        names = len(self.table.sources)
        counts = sum(np.bincount(row.sources[row.labels != IGNORED], minlength=names) for row in facts.rows)
        self.journal.add(sums, np.asarray(counts).tolist(), sum(len(row.input_ids) for row in facts.rows))
        params = self.params
        step = len(self.journal.lines)
        rate = params.learning_rate * params.schedule.factor(step, self.journal.steps, params.warmup_fraction)
        peak = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0
        self.journal.close_step(rate, norm, peak)

    def _batch(self, step: int) -> list[Rows]:
        """The rows of a step, short ones side by side."""
        size = self.params.batch_size
        groups: list[list[int]] = []
        tokens = 0
        indices = self.order[step * size : (step + 1) * size]
        budget = min(self.budget, -(-sum(self.table.length(index) for index in indices) // world()))
        for index in indices:
            length = self.table.length(index)
            if groups and tokens + length <= budget:
                groups[-1].append(index)
                tokens += length
            else:
                groups.append([index])
                tokens = length
        return [self.table.side_by_side(group) for group in groups]


def _soft(row: Rows) -> SoftTargets | None:
    """A row's soft targets as the decoder takes them."""
    which = row.soft_targets
    if which is None or row.soft is None or not which.any():
        return None
    bearing = row.labels != IGNORED
    ids, logprobs = row.soft.ids[bearing][which], row.soft.logprobs[bearing][which]
    return SoftTargets(
        torch.from_numpy((~which).nonzero()[0]),
        torch.from_numpy(which.nonzero()[0]),
        torch.from_numpy(ids.astype(np.int64)),
        torch.from_numpy(logprobs),
    )


def _save(folder: Path, adapters: Adapters, journal: Journal, seen: dict[str, Any] | None) -> None:
    from safetensors.torch import save_file

    save_file(adapters.state(), folder / "state.safetensors")
    write_lines(folder / "loss.jsonl", journal.lines)
    if seen is not None:
        (folder / LOOK).write_text(json.dumps(seen), "utf-8")


def _load(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    state: dict[str, torch.Tensor] = load_file(folder / "state.safetensors")
    return state
