"""Seconds of a whole evaluation with the settings of the dry run: two arms, losses, the page, for at least 100 items.

    python tests/benchmarks/evaluation_report.py [--items 110] [--again]

The stub answers questions about this checkout; the tuned arm has an adapter of noise that was never trained, so that no
answer ends early. Prints wall-clock and processor seconds of each step (the latter are what other work on the machine
disturbs least) and, with --again, whether a second evaluation in another store has the same bytes.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def spent() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def evaluate(folder: Path, number: int) -> tuple[int, str, list[tuple[str, float, float]]]:
    """Items asked, the report's hash, and (step, wall-clock, processor seconds) of each step, in a store of its own."""
    from tasks.base.records import Split
    from tasks.base.store import Store
    from tasks.evaluation.answer import answer
    from tasks.evaluation.params import Arm, EvaluationParams, ItemsParams
    from tasks.evaluation.report import report
    from tasks.model.base_model import base_model
    from tasks.model.params import BaseModelParams
    from tests.evaluation.conftest import adapter_of, artifact_of, asked_of, chunk, dialogue, document

    store = Store(str(folder))
    paths = sorted(path for room in ("tasks", "flows") for path in (ROOT / room).rglob("*.py"))
    every = [document(str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in paths]
    train, held_out = every[:-15], every[-15:]
    items = asked_of(train, held_out, ItemsParams(items=number, general_items=0))
    sides = [*((one, Split.TRAIN) for one in train[:30]), *((one, Split.HELD_OUT) for one in held_out)]
    talks = [dialogue(one, "What is in it?", f"Code of {one.title}.", 1, side) for one, side in sides]
    params = EvaluationParams(max_new_tokens=32, loss_tokens=2_000)
    model = base_model.direct(store, params=BaseModelParams())
    adapter = adapter_of(store, store.checkout(model), 0.02)
    inputs: dict[str, Any] = {
        "items": artifact_of(store, records=items),
        "chunks": artifact_of(store, records=sorted((chunk(*side) for side in sides), key=lambda one: one.id)),
        "dialogues": artifact_of(store, records=sorted(talks, key=lambda one: one.id)),
        "documents": artifact_of(store, train=train, held_out=held_out),
        "model": model,
        "params": params,
    }
    rows, arms = [], []
    for arm, added in ((Arm.BASE, None), (Arm.TUNED, adapter)):
        wall, cpu = time.monotonic(), spent()
        arms.append(answer.named(f"answer-{arm}").direct(store, arm=arm, adapter=added, **inputs))
        rows.append((f"answer-{arm}", time.monotonic() - wall, spent() - cpu))
    wall, cpu = time.monotonic(), spent()
    made = report.direct(store, items=inputs["items"], answers=arms, adapter=adapter, table=None, params=params)
    rows.append(("report", time.monotonic() - wall, spent() - cpu))
    return len(items), made.sha256, rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=110)
    parser.add_argument("--again", action="store_true", help="evaluate twice and compare the reports' bytes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = [evaluate(Path(scratch) / str(turn), arguments.items) for turn in range(2 if arguments.again else 1)]
    asked, _, rows = runs[0]
    print(f"{asked} items, two arms")
    print(f"{'':16}{'wall':>10}{'processor':>12}")
    for name, wall, cpu in [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]:
        print(f"{name:16}{wall:>8.1f} s{cpu:>10.1f} s")
    if arguments.again:
        print("the same bytes again" if len({run[1] for run in runs}) == 1 else "OTHER BYTES")


if __name__ == "__main__":
    main()
