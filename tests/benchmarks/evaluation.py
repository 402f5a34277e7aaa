"""Items per second of one arm: rawtune's answer job beside lm-eval's `hf` backend, same model, items, limit, machine.

    python tests/benchmarks/evaluation.py [--items 100] [--adapter FOLDER] [--batch 16]

Both answer greedily with the model's chat template in the dtype of rawtune's choice, one after the other under the
machine's torch lock. lm-eval (0.4.13) is installed in .rawtune/lm-eval, so that the environment stays as it is.
Times are of generating alone, of the whole process with imports and model, and the processor seconds of the whole,
which other work on the machine disturbs least. Exact answers may differ where two tokens are equally likely in bf16.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

LM_EVAL: Final = [
    "lm_eval==0.4.13",
    "evaluate==0.4.6",
    "rouge_score==0.1.2",
    "sacrebleu==2.6.0",
    "scikit-learn==1.9.1",
    "more-itertools==11.2.1",
    "pytablewriter==1.2.1",
    "sqlitedict==2.1.0",
    "word2number==1.1",
    "DataProperty==1.1.1",
    "joblib==1.6.0",
    "mbstrdecoder==1.1.5",
    "pathvalidate==3.3.1",
    "tabledata==1.3.5",
    "tabulate==0.10.0",
    "tcolorpy==0.1.7",
    "threadpoolctl==3.8.0",
    "absl-py==2.5.1",
    "lxml==6.1.3",
    "nltk==3.10.4",
    "portalocker==4.4.2",
    "chardet==6.0.0.post1",
    "typepy==1.3.5",
]


PLACE: Final = ROOT / ".rawtune" / "lm-eval"


def install() -> None:
    """Installs lm-eval where the environment does not see it, once."""
    if not (PLACE / "lm_eval").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(PLACE), *LM_EVAL]
        subprocess.run(command, check=True)


def questions(number: int) -> list[Any]:
    """Recall items about rawtune's own code."""
    from tasks.base.records import Document, Kind
    from tasks.evaluation.params import ItemsParams, Suite
    from tests.evaluation.conftest import asked_of

    paths = sorted(path for folder in ("tasks", "flows", "deployments") for path in (ROOT / folder).rglob("*.py"))
    documents = [
        Document(
            id=f"rawtune/file/{path.relative_to(ROOT)}",
            kind=Kind.FILE,
            repo="rawtune",
            revision="0" * 40,
            path=str(path.relative_to(ROOT)),
            title=path.name,
            url=None,
            text=path.read_text("utf-8"),
            created_at=None,
            updated_at=None,
        )
        for path in paths
    ]
    return asked_of(documents, [], ItemsParams(items=number, suites=(Suite.RECALL,), general_items=0))


def ours(items: list[Any], model: Path, adapter: Path | None, limit: int, batch: int, folder: Path) -> dict[str, Any]:
    """Seconds of generating and of all, and the share answered exactly."""
    from tasks.evaluation.answer import prompt
    from tasks.evaluation.scorers import exact_match
    from tasks.model.child import run_child
    from tasks.text.chat import prompt_ids, stop_ids
    from tasks.text.tokenizer import TextTokenizer

    tokenizer = TextTokenizer.load(model)
    prompts = [{"ids": prompt_ids(tokenizer, prompt(item)), "limit": limit} for item in items]
    (folder / "prompts").write_text("".join(json.dumps(one) + "\n" for one in prompts))
    (folder / "rows").write_text("")
    longest = max(len(one["ids"]) for one in prompts)
    started, burnt = time.monotonic(), _children_seconds()
    result = run_child(
        "tasks.evaluation.answer_job:answer",
        {
            "model": str(model),
            "adapter": str(adapter) if adapter else None,
            "prompts": str(folder / "prompts"),
            "rows": str(folder / "rows"),
            "finished": str(folder / "finished"),
            "batch_tokens": batch * (longest + limit),
            "stop_ids": list(stop_ids(tokenizer)),
            "pad_id": tokenizer.end_of_document,
            "precision": "auto",
            "kl_stream": None,
        },
        exclusive=False,
    )
    whole, cpu = time.monotonic() - started, _children_seconds() - burnt
    texts = [tokenizer.decode(one["ids"], skip_control=True) for one in result["answers"]]
    right = sum(exact_match(text, item.answers) for text, item in zip(texts, items, strict=True))
    tokens = sum(one["tokens"] for one in result["answers"])
    return {
        "generate": result["seconds"]["generate"],
        "whole": whole,
        "cpu": cpu,
        "right": right / len(items),
        "tokens": tokens,
        "dtype": result["dtype"],
    }


def theirs(
    items: list[Any], model: Path, adapter: Path | None, limit: int, batch: int, dtype: str, folder: Path
) -> dict[str, Any]:
    """The same by lm-eval; its generating time is read from its own progress bar."""
    from tasks.evaluation.export import Harness, export_items

    export_items(items, folder / "lm_eval", Harness.LM_EVAL)
    arguments = f"pretrained={model},dtype={dtype}" + (f",peft={adapter}" if adapter else "")
    command = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--model_args", arguments]
    command += ["--include_path", "lm_eval", "--tasks", "rawtune_recall", "--batch_size", str(batch)]
    command += ["--gen_kwargs", f"max_gen_toks={limit}"]
    command += ["--apply_chat_template", "--output_path", "out"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment = os.environ | offline | {"PYTHONPATH": str(PLACE), "HF_HOME": str(folder / "hf")}
    started, burnt = time.monotonic(), _children_seconds()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    whole, cpu = time.monotonic() - started, _children_seconds() - burnt
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    bars = re.findall(r"Running generate_until requests: 100%.*?\[(?:(\d+):)?(\d+):(\d+)<", done.stderr)
    hours, minutes, seconds = bars[-1] if bars else ("", "0", "0")
    result = json.loads(next((folder / "out").rglob("results_*.json")).read_text())["results"]["rawtune_recall"]
    return {
        "generate": 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds),
        "whole": whole,
        "cpu": cpu,
        "right": result["exact_match,none"],
    }


def _children_seconds() -> float:
    """Processor seconds of every child process that has ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--limit", type=int, default=32, help="new tokens")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--store", default=str(ROOT / ".rawtune"))
    arguments = parser.parse_args()
    from tasks.base.store import Store
    from tasks.model.base_model import base_model
    from tasks.model.child_main import _machine_lock
    from tasks.model.params import BaseModelParams

    store = Store(arguments.store)
    model = store.checkout(base_model.direct(store, params=BaseModelParams()))
    items = questions(arguments.items)
    install()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        common = (items, model, arguments.adapter, arguments.limit, arguments.batch)
        lock = _machine_lock()
        fcntl.flock(lock, fcntl.LOCK_EX)
        mine = ours(*common, folder)
        other = theirs(*common, mine["dtype"], folder)
        os.close(lock)
    print(f"{len(items)} items, at most {arguments.limit} new tokens, batch {arguments.batch}, {mine['dtype']}")
    print(f"{'':24}{'generating':>12}{'items/s':>10}{'whole':>10}{'items/s':>10}{'cpu':>10}{'exact':>8}")
    for name, row in (("rawtune answer", mine), ("lm-eval 0.4.13 hf", other)):
        rates = [len(items) / max(row[part], 0.001) for part in ("generate", "whole")]
        print(
            f"{name:24}{row['generate']:>10.1f} s{rates[0]:>10.2f}{row['whole']:>8.1f} s{rates[1]:>10.2f}"
            f"{row['cpu']:>8.1f} s{100 * row['right']:>7.1f}%"
        )


if __name__ == "__main__":
    main()
