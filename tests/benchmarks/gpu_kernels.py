"""Compiles every Triton kernel of `fast` for a GPU that is not there (sm_90), in every variant that the loop asks for.

    pip install --no-deps --target FOLDER triton==3.6.0
    PYTHONPATH=FOLDER python tests/benchmarks/gpu_kernels.py

A quarter of a minute on a CPU, before GPUs are rented. Nothing is launched, so nothing is said of results or speed. The
exit code is 1 where a kernel does not compile.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

ROWS, HIDDEN, INNER, RANK = 128, 1152, 6912, 16
"""Gemma 3 1B's widths: no powers of two."""


class Absent:
    """What Triton asks a driver for before it compiles."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def compile_instead() -> Counter[str]:
    """From here on a launch compiles and no more; how often it did, by kernel."""
    counts: Counter[str] = Counter()
    launch = JITFunction.run

    def compiled(self: Any, *args: Any, grid: Any, warmup: bool, **settings: Any) -> None:
        assert launch(self, *args, grid=(1,), warmup=True, **settings).asm["cubin"]
        counts[self.__name__] += 1

    def every(self: Any, *args: Any, **settings: Any) -> None:
        for config in self.configs:
            chosen = {name: value for name, value in config.all_kwargs().items() if value is not None}
            compiled(self.fn, *args, **settings | chosen)

    triton.runtime.driver.set_active(Absent())
    JITFunction.run, Autotuner.run = compiled, every
    return counts


def launches() -> dict[str, Callable[[], Any]]:
    """By what they are: 16 bits, quantised as well, with and without a residual, heads of three sizes."""
    from tasks.training.backends.fast import kernels

    def wide(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.bfloat16)

    def room(columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros((1, ROWS, columns + 3 * RANK), dtype=torch.float8_e4m3fn), torch.zeros(ROWS, 1)

    made: dict[str, Callable[[], Any]] = {}
    inner, h = wide(ROWS, INNER), wide(ROWS, HIDDEN)
    for gelu in (False, True):
        made[f"glu {gelu}"] = lambda gelu=gelu: kernels.glu(inner, inner, gelu)
        made[f"glu {gelu}, 8 bits"] = lambda gelu=gelu: kernels.glu(inner, inner, gelu, *room(INNER))
        made[f"glu backward {gelu}"] = lambda gelu=gelu: kernels.glu_backward(inner, inner, inner, gelu)
        made[f"glu backward {gelu}, 8 bits"] = lambda gelu=gelu: (
            kernels.glu_backward(inner, inner, inner, gelu, *room(2 * INNER)),
            kernels.glu_backward_quantised(inner, inner, inner, gelu, *room(2 * INNER)),
        )
    for residual in (None, h):
        for eight in ((), room(HIDDEN)):
            made[f"norm {residual is not None} {len(eight)}"] = lambda residual=residual, eight=eight: (
                kernels.norm(h, residual, h[0], 1e-6, *eight),
                kernels.norm_backward(h, h, h[0], torch.zeros(ROWS), residual, *eight),
            )
    for head in (64, 128, 256):
        q, k, turn = wide(ROWS, 4 * head), wide(ROWS, head), torch.zeros(ROWS, head // 2)
        made[f"rope {head}"] = lambda q=q, k=k, turn=turn, head=head: (
            kernels.norm(q.view(-1, head), None, q[0, :head], 1e-6),
            kernels.rope(q, k, turn, turn, head),
            kernels.rope_backward(q, k, k, turn, turn, head),
            kernels.rope_backward(q, k, k, turn, turn, head, *room(6 * head)),
        )
    buffer, scales = room(HIDDEN)
    moment, thin, one = torch.zeros(4096), wide(ROWS, RANK), torch.zeros(1)
    settings = dict.fromkeys(
        ("max_norm", "rate", "beta1", "beta2", "eps", "decay", "correction1", "correction2"), 0.5
    )  # fmt: skip
    made["quantise"] = lambda: kernels.quantise(h, buffer, scales)
    made["tail"] = lambda: kernels.tail(wide(ROWS, 3 * RANK), scales, torch.zeros(3), buffer, HIDDEN, RANK)
    made["weight tail"] = lambda: kernels.weight_tail(wide(RANK, ROWS), scales, one, 1.0, buffer[0], HIDDEN)
    made["thin gradient"] = lambda: kernels.thin_gradient(
        torch.zeros(RANK, HIDDEN), thin, scales, buffer[0][:, :HIDDEN], 1.0
    )
    made["cross-entropy"] = lambda: kernels.cross_entropy(inner, torch.zeros(ROWS, dtype=torch.int64), 1.0)
    made["AdamW"] = lambda: kernels.adamw(moment, moment, moment, moment, moment.bfloat16(), one, **settings)
    return made


def main() -> None:
    """Compiles all and names those that do not."""
    counts, wrong = compile_instead(), []
    for name, launch in launches().items():
        try:
            launch()
        except triton.CompilationError as error:
            wrong.append(name)
            print(f"{name}: {error}", flush=True)
    print(f"{sum(counts.values())} variants of {len(counts)} kernels compiled", *map("not {}".format, wrong), sep="; ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
