"""The dialogues that an older revision of rawtune makes of a repository, packed as the arm `before` of the real run.

    python tests/benchmarks/dialogues_before.py --repo NAME=PATH@DATE   after `real_run.py prepare`; writes before.npz

The old revision runs in a work tree of its own, with this environment. Its dialogues take the place of today's in the
researched table; raw text, passes over it and replay stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

REVISION: Final = "22abff6"
"""The last one whose dialogues came of definitions, imports and paths, before facts had a step of their own."""
PROGRAM: Final = """
import datetime, json, sys
sys.path.insert(0, ".")
from flows import retrain
from flows.params import RetrainParams
from flows.resolve import resolve
from tasks.base.steps import Step
from tasks.base.store import Store
Step.__call__ = Step.direct
path, date, place = sys.argv[1:]
params = RetrainParams.model_validate({
    "name": "before", "sources": [{"repo": path, "as_of": date or None, "pulls": {"limit": 100}}],
    "synthesis": {"wordings": 4}, "dataset": {"max_tokens": 2048}, "training": {"base_model": "stub"}, "store": place,
})
store = Store(place)
resolved = resolve(store, params, datetime.datetime.now(datetime.UTC))
data = retrain.build_dataset(store, params, retrain.harvest(store, params, resolved))
print("TABLE", store.checkout(data.table))
"""


def old_table(path: str, date: str, work: Path) -> Path:
    """Folder of the table that the old revision makes."""
    tree = work / "tree"
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "--force", "--detach", str(tree), REVISION], cwd=ROOT, check=True)
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM, path, date, str(work / "store")],
        cwd=tree, check=True, text=True, capture_output=True,
    )  # fmt: skip
    return Path(next(line for line in made.stdout.splitlines() if line.startswith("TABLE ")).removeprefix("TABLE "))


def parts_of(folder: Path) -> tuple[list[Any], list[Any], list[str]]:
    """Ids, loss masks and sources of the table's dialogues, each once."""
    import pyarrow.parquet as pq

    from tasks.base.records import IGNORED

    columns = pq.read_table(folder / "table.parquet", columns=["input_ids", "labels"]).to_pydict()
    ids, masks, sources, seen = [], [], [], set()
    with (folder / "rows.jsonl").open(encoding="utf-8") as lines:
        for line, tokens, labels in zip(lines, columns["input_ids"], columns["labels"], strict=True):
            place = 0
            for part in json.loads(line)["parts"]:
                end = place + part["tokens"]
                if part["source"].startswith("dialogue") and part["id"] not in seen:
                    seen.add(part["id"])
                    ids.append(np.asarray(tokens[place:end], np.uint16))
                    masks.append(np.asarray(labels[place:end]) != IGNORED)
                    sources.append(part["source"])
                place = end
    return ids, masks, sources


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repo", required=True, help="NAME=PATH@DATE of a git repository")
    parser.add_argument("--work", type=Path, default=Path(".gpu"))
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "rawtune-before")
    arguments = parser.parse_args()
    name, _, place = arguments.repo.partition("=")
    path, _, date = place.partition("@")
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    ids, masks, sources = parts_of(old_table(path, date, arguments.scratch.resolve()))
    target = arguments.work / "jobs" / name
    stored = np.load(target / "researched.npz")
    names: list[str] = stored["names"].tolist()
    raw = [number for number, source in enumerate(stored["sources"]) if names[source].startswith("raw")]
    mask = np.unpackbits(stored["mask"], count=len(stored["ids"])).astype(bool)
    starts = np.cumsum(stored["lengths"]) - stored["lengths"]
    places = [slice(starts[number], starts[number] + stored["lengths"][number]) for number in raw]
    today = int(stored["lengths"].sum()) - sum(int(stored["lengths"][number]) for number in raw)
    listed = sorted({*names, *sources})
    kinds = [names[stored["sources"][number]] for number in raw] + sources
    np.savez_compressed(
        target / "before.npz",
        ids=np.concatenate([*(stored["ids"][one] for one in places), *ids]),
        mask=np.packbits(np.concatenate([*(mask[one] for one in places), *masks])),
        lengths=np.asarray([*(stored["lengths"][number] for number in raw), *map(len, ids)], np.int32),
        sources=np.asarray([listed.index(kind) for kind in kinds], np.uint8),
        names=np.asarray(listed),
    )
    print(f"{name}: {len(ids)} dialogues of {REVISION}, {sum(map(len, ids))} tokens; today's {today}")


if __name__ == "__main__":
    main()
