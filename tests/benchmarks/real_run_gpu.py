"""The GPU machine's side of `real_run.py`: samples of the base, tables from what `prepare` packed, trainings, answers.

Needs torch, transformers, peft, accelerate, pydantic, universal-pathlib, pyarrow, jinja2, tokenizers and gguf.
What is done stays done: a second call goes on where the first one ended, and after every job all results are in one
file in the folder `--out`. With `--workers`, arms are shared out over processes, and these over the machine's GPUs: a
small model leaves most of a large GPU idle.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ROW_TOKENS: Final = {"researched": 2_048, "article": 8_192}


class Variant(NamedTuple):
    """An arm that is trained."""

    table: str = "researched"
    """Of `RECIPES` in `real_run.py`."""
    raw: int = 3
    """Passes over raw text in one epoch."""
    dialogue: int = 3
    """Passes over dialogues."""
    replay: float = 0.2
    """Share of the table's tokens that the base wrote."""
    soft: bool = False
    """Whether the base's likeliest tokens stand beside them."""
    recipe: dict[str, Any] = {}  # noqa: RUF012
    """Of the training, where it differs from `RESEARCHED`."""


RESEARCHED: Final[dict[str, Any]] = {
    "rank": 256, "alpha": 256, "batch_size": 16, "learning_rate": 5.0e-4, "warmup_fraction": 0.03, "epochs": 1,
    "max_general_loss": None,
}  # fmt: skip
ARTICLE: Final[dict[str, Any]] = {
    "rank": 768, "alpha": 768, "batch_size": 1, "learning_rate": 2.0e-5, "warmup_fraction": 0.0, "epochs": 3,
}  # fmt: skip
VARIANTS: Final[dict[str, Variant]] = {
    "researched": Variant(),
    "no-replay": Variant(replay=0.0),
    "article": Variant(table="article", raw=1, dialogue=1, replay=0.0, recipe=ARTICLE),
    "mlp": Variant(recipe={"layers": "mlp", "learning_rate": 7.0e-4}),
    "less-replay": Variant(replay=0.12),
    "raw-once": Variant(raw=1),
    "soft": Variant(soft=True),
    "fast": Variant(recipe={"learning_rate": 7.0e-4}),
    "slow": Variant(recipe={"learning_rate": 4.0e-4}),
    "before": Variant(table="before", dialogue=5),
    "few-wordings": Variant(table="few-wordings", dialogue=12, recipe={"learning_rate": 7.0e-4}),
    "few-wordings-soft": Variant(table="few-wordings", dialogue=12, soft=True, recipe={"learning_rate": 7.0e-4}),
}
"""Arms by name; a call names those that it wants."""
SOFT: Final = 20
"""Likeliest tokens kept beside each of the base's."""
HELD_OUT_TOKENS: Final = 32_768
"""Samples that no table holds: the tuned model's loss on them, less the base's, is KL(base ‖ tuned)."""
SAMPLES: Final = "samples"


def plan(repositories: list[str], arms: list[str], seeds: int) -> list[tuple[str, str, int]]:
    """Repository, arm and seed of every job, the most wanted first, since the machine's time may end."""
    return [
        (repo, arm, seed)
        for seed in range(seeds)
        for arm in arms
        for repo in repositories
        if not (seed and arm.startswith("base"))
    ]


def gpu(arguments: argparse.Namespace) -> None:
    """Does every job that has no result yet."""
    from tasks.model.child import staying

    arguments.results.mkdir(parents=True, exist_ok=True)
    with staying():
        make_model(arguments)
        wanted = sample_tokens(arguments)
        samples = load_samples(arguments, wanted + arguments.held_out_tokens)
        shared = arguments.workers > 1 and arguments.worker is None
        if shared:
            share_out(arguments)
        for repo, arm, seed in [] if shared else plan(arguments.repositories, arguments.arms, arguments.seeds):
            target = arguments.results / f"{repo}.{arm}.{seed}.json.gz"
            if not target.exists() and claimed(arguments, target.name):
                started = time.monotonic()
                made = one_job(arguments, repo, arm, seed, samples)
                whole = target.with_suffix(".part")
                whole.write_bytes(gzip.compress(json.dumps(made).encode(), mtime=0))
                whole.rename(target)
                print(f"{repo} {arm} {seed}: {time.monotonic() - started:.1f} s", flush=True)
                if arguments.worker is None:
                    bundle(arguments)


def claimed(arguments: argparse.Namespace, name: str) -> bool:
    """Whether a job is this process's; of several workers the first that asks gets it."""
    if arguments.worker is None:
        return True
    claims = arguments.scratch / "claims"
    claims.mkdir(exist_ok=True)
    try:
        (claims / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def share_out(arguments: argparse.Namespace) -> None:
    """Runs the workers, each on one GPU, and bundles what they have finished every few seconds.

    Raises:
        SystemExit: A worker failed; what the others finished is bundled.
    """
    import torch

    gpus = max(1, torch.cuda.device_count())
    threads = str(max(1, (os.cpu_count() or 1) // arguments.workers))
    shutil.rmtree(arguments.scratch / "claims", ignore_errors=True)
    workers = [
        subprocess.Popen(
            [sys.executable, *sys.argv, "--worker", str(number)],
            env=os.environ | {"CUDA_VISIBLE_DEVICES": str(number % gpus), "OMP_NUM_THREADS": threads},
        )
        for number in range(arguments.workers)
    ]
    while any(worker.poll() is None for worker in workers):
        time.sleep(5)
        bundle(arguments)
    bundle(arguments)
    failed = [number for number, worker in enumerate(workers) if worker.returncode]
    if failed:
        raise SystemExit(f"workers {failed} failed")


def one_job(arguments: argparse.Namespace, repo: str, arm: str, seed: int, samples: list[Any]) -> dict[str, Any]:
    """Trains if the arm is a trained one, then answers; the adapter stays on the machine."""
    from tasks.evaluation.answer_job import AnswerRequest
    from tasks.model.child import run_child
    from tasks.text.chat import stop_ids

    folder = arguments.work / "jobs" / repo
    made: dict[str, Any] = {"repo": repo, "arm": arm, "seed": seed}
    adapter = None
    if arm in VARIANTS:
        made |= train(arguments, repo, arm, seed, samples)
        adapter = arguments.scratch / repo / f"{arm}-{seed}" / "adapter"
    asked = folder / ("answer-base-retrieval" if arm == "base-retrieval" else "answer-base")
    tokenizer = tokenizer_of(arguments)
    rows = arguments.scratch / repo / f"{arm}-{seed}.rows.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    own = [line for line in (asked / "rows").read_text("utf-8").splitlines() if line]
    own += [json.dumps(row) for row in held_out_rows(samples)] if arm != "base-retrieval" else []
    rows.write_text("".join(line + "\n" for line in own), "utf-8")
    prompts = arguments.scratch / repo / f"{arm}-{seed}.prompts.jsonl"
    wanted = [line for line in (asked / "prompts").read_text("utf-8").splitlines() if line]
    wanted = [line for line in wanted if json.loads(line)["limit"] <= arguments.most_new_tokens]
    prompts.write_text("".join(line + "\n" for line in wanted), "utf-8")
    request = AnswerRequest(
        model=arguments.model,
        adapter=adapter,
        prompts=prompts,
        rows=rows,
        finished=arguments.scratch / repo / f"{arm}-{seed}.finished.jsonl",
        batch_tokens=40_000,
        stop_ids=stop_ids(tokenizer),
        pad_id=tokenizer.end_of_document,
        kl_stream="general_loss",
    )
    made["answer"] = run_child("tasks.evaluation.answer_job:answer", request)
    made["answer"]["asked_rows"] = (asked / "rows").read_text("utf-8").count("\n")
    return made


def train(arguments: argparse.Namespace, repo: str, arm: str, seed: int, samples: list[Any]) -> dict[str, Any]:
    """Figures of a training; what it made lies in the scratch folder."""
    from tasks.model.child import run_child
    from tasks.training.params import TrainingParams, TrainingRequest

    place = arguments.scratch / repo / f"{arm}-{seed}"
    adapter = place / "adapter"
    adapter.mkdir(parents=True, exist_ok=True)
    with (adapter.parent.parent / f"{arm}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # seeds share a table
        table = make_table(arguments, repo, arm, samples)
    recipe = RESEARCHED | VARIANTS[arm].recipe
    params = TrainingParams.model_validate(
        {"base_model": "stub", "backend": arguments.backend, "seed": 42 + seed, **recipe}
    )
    request = TrainingRequest(
        table=table,
        model=arguments.model,
        params=params,
        base_name="stub",
        checkpoints=place / "checkpoints",
        out=adapter,
    )
    answer = run_child("tasks.training.job:run", request)
    log = (adapter / "loss.jsonl").read_text("utf-8").splitlines()
    answer["loss.jsonl"] = [json.loads(line) for line in log[:: max(1, len(log) // 60)]]
    answer["adapter_config.json"] = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    return {"train": answer, "table": json.loads((table / "counts.json").read_text())}


def make_table(arguments: argparse.Namespace, repo: str, arm: str, samples: list[Any]) -> Path:
    """`table.parquet` as `mixture/assemble` writes it: packed rows as often as they are seen, samples once each."""
    from tasks.mixture.table.draw import replay_tokens
    from tasks.mixture.table.rows import ROWS, TABLE, Part, Row, SoftTargets, TableWriter, best_fit

    variant = VARIANTS[arm]
    target = arguments.scratch / repo / f"table-{arm}"
    if (target / "counts.json").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    packed = Packed(arguments.work / "jobs" / repo / f"{variant.table}.npz")
    passes = packed.passes(variant)
    size = ROW_TOKENS["article" if variant.table == "article" else "researched"]
    rows: list[list[int]] = []
    for number in range(int(passes.max())):
        seen = np.flatnonzero(passes > number)
        rows += [seen[row].tolist() for row in best_fit(packed.lengths[seen], size)]
    wanted = replay_tokens(int(packed.lengths @ passes), variant.replay)
    taken, tokens = [], 0
    for sample in samples[held_out_count(samples) :] if wanted else []:
        if tokens < wanted:
            taken.append(sample)
            tokens += len(sample["ids"])
    first = len(packed.lengths)
    lengths = np.asarray([len(sample["ids"]) for sample in taken], np.int64)
    if len(taken):
        rows += [[first + number for number in row] for row in best_fit(lengths, size)]
    np.random.Generator(np.random.PCG64(7)).shuffle(rows)

    def read(numbers: Any) -> tuple[Any, Any]:
        parts = [packed.part(number) if number < first else sampled(taken[number - first]) for number in numbers]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]

    names = [f"sample-{number}" for number in range(len(taken))]
    soft = (
        SoftTargets(soften(arguments, samples), dict(zip(names, lengths.tolist(), strict=True)))
        if variant.soft
        else None
    )
    writer = TableWriter(target / TABLE, read, soft=soft)
    counts: dict[str, int] = {}
    listed: list[str] = []
    for index, numbers in enumerate(rows):
        members = []
        for number in numbers:
            source = packed.source(number) if number < first else f"replay-{taken[number - first]['stream']}"
            size = int(packed.lengths[number]) if number < first else int(lengths[number - first])
            counts[source] = counts.get(source, 0) + size
            members.append(
                Part(
                    id=str(number) if number < first else names[number - first],
                    source=source,
                    document_id=str(number),
                    tokens=size,
                    trained_tokens=size,
                    copy_number=0,
                )
            )
        row = Row(id=f"row-{index:08d}", tokens=sum(part.tokens for part in members), parts=tuple(members))
        writer.append(row, numbers)
        listed.append(row.line() + "\n")
    writer.close()
    (target / ROWS).write_text("".join(listed), "utf-8")
    counts |= {"tokens": sum(counts.values()), "rows": len(rows), "replay_missing": max(0, wanted - tokens)}
    (target / "counts.json").write_text(json.dumps(counts))
    print(f"{repo} {arm}: table {counts}", flush=True)
    return target


def soften(arguments: argparse.Namespace, samples: list[dict[str, Any]]) -> Path:
    """A folder with the base's likeliest tokens beside those of every sample that a table may have, in their order."""
    from tasks.mixture.replay.job import SoftenRequest
    from tasks.mixture.table.rows import SOFT_IDS, SOFT_LOGPROBS
    from tasks.model.child import run_child

    folder = Path(arguments.scratch / "soft")
    if not (folder / SOFT_LOGPROBS).exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps(s["ids"]) + "\n" for s in samples[held_out_count(samples) :]), "utf-8")
        request = SoftenRequest(
            model=arguments.model,
            rows=rows,
            pad_id=tokenizer_of(arguments).end_of_document,
            most=SOFT,
            ids=folder / SOFT_IDS,
            logprobs=folder / SOFT_LOGPROBS,
        )
        print(f"soft targets: {run_child('tasks.mixture.replay.job:soften', request)}", flush=True)
    return folder


class Packed:
    """A table without repeats, as `real_run.py prepare` packed it."""

    def __init__(self, path: Path) -> None:
        stored = np.load(path)
        self.ids = stored["ids"].astype(np.int32)
        self.mask = np.unpackbits(stored["mask"], count=len(self.ids)).astype(bool)
        self.lengths = stored["lengths"].astype(np.int64)
        self.sources = stored["sources"]
        self.names = stored["names"].tolist()
        self.starts = np.cumsum(self.lengths) - self.lengths

    def passes(self, variant: Variant) -> Any:
        """How often each part is seen, `[parts]`."""
        raw = np.asarray([name.startswith("raw") for name in self.names])
        return np.where(raw[self.sources], variant.raw, variant.dialogue)

    def part(self, number: int) -> tuple[Any, Any]:
        """Ids and labels of a part."""
        from tasks.base.records import IGNORED

        place = slice(self.starts[number], self.starts[number] + self.lengths[number])
        return self.ids[place], np.where(self.mask[place], self.ids[place], np.int32(IGNORED))

    def source(self, number: int) -> str:
        """Where a part is from."""
        return str(self.names[self.sources[number]])


def sampled(sample: dict[str, Any]) -> tuple[Any, Any]:
    """Ids and labels of a sample."""
    from tasks.base.records import IGNORED

    ids = np.asarray(sample["ids"], np.int32)
    return ids, np.where(np.arange(len(ids)) >= sample["given"], ids, np.int32(IGNORED))


def sample_tokens(arguments: argparse.Namespace) -> int:
    """Tokens of replay that the largest table needs."""
    from tasks.mixture.table.draw import replay_tokens

    most = 0
    for repo in arguments.repositories:
        for variant in (VARIANTS[arm] for arm in arguments.arms if arm in VARIANTS):
            if variant.replay:
                packed = Packed(arguments.work / "jobs" / repo / f"{variant.table}.npz")
                most = max(most, replay_tokens(int(packed.lengths @ packed.passes(variant)), variant.replay))
    return most


def load_samples(arguments: argparse.Namespace, wanted: int) -> list[dict[str, Any]]:
    """Samples of the base in an order of their own, the same for every table; drawn once."""
    kept = arguments.scratch / "samples.json.gz"
    if not kept.exists():
        started = time.monotonic()
        samples = list(draw_samples(arguments, wanted))
        np.random.Generator(np.random.PCG64(11)).shuffle(samples)  # type: ignore[arg-type]
        kept.write_bytes(gzip.compress(json.dumps(samples).encode(), 1, mtime=0))
        streams = {s["stream"] for s in samples}
        tokens = {stream: sum(len(s["ids"]) for s in samples if s["stream"] == stream) for stream in sorted(streams)}
        seconds = time.monotonic() - started
        facts = {"samples": len(samples), "tokens": tokens, "seconds": round(seconds, 1)}
        tokenizer = tokenizer_of(arguments)
        shown = [{"stream": s["stream"], "text": tokenizer.decode(s["ids"])} for s in samples[:150]]
        (arguments.results / f"{SAMPLES}.json").write_text(json.dumps({"facts": facts, "shown": shown}))
        print(f"samples: {facts}", flush=True)
        bundle(arguments)
    loaded: list[dict[str, Any]] = json.loads(gzip.decompress(kept.read_bytes()))
    return loaded


def draw_samples(arguments: argparse.Namespace, wanted: int) -> Iterator[dict[str, Any]]:
    """What `mixture/replay` writes, by its own functions."""
    import pyarrow.parquet as pq

    from tasks.mixture.params import SamplingParams
    from tasks.mixture.replay.texts import Sample, draw_texts
    from tasks.model.child import run_child
    from tasks.model.request import WritingRequest
    from tasks.text.chat import stop_ids

    params = SamplingParams()
    tokenizer = tokenizer_of(arguments)

    def draw(prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not prompts:
            return []
        source = arguments.scratch / "prompts.jsonl"
        source.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts), "utf-8")
        request = WritingRequest(
            model=arguments.model,
            prompts=source,
            target=arguments.scratch / "written.parquet",
            stop_ids=stop_ids(tokenizer),
            pad_id=tokenizer.end_of_document,
            sampled=True,
            seed=params.seed,
        )
        made = run_child("tasks.model.generate:write", request)
        print(f"drawn: {made}", flush=True)
        found: list[dict[str, Any]] = pq.read_table(request.target, columns=["ids", "stop"]).to_pylist()
        return found

    total = sum(params.streams.values())
    for stream, part in sorted(params.streams.items()):
        for sample in draw_texts(tokenizer, stream, int(wanted * part / total), params, draw):
            if isinstance(sample, Sample):
                yield {"stream": stream.value, "ids": list(sample.ids), "given": sample.given_tokens}


def held_out_count(samples: list[dict[str, Any]]) -> int:
    """How many of the first samples no table gets."""
    tokens = np.cumsum([len(sample["ids"]) for sample in samples])
    return int(np.searchsorted(tokens, min(HELD_OUT_TOKENS, int(tokens[-1]) // 4)))


def held_out_rows(samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of loss on samples that no table has."""
    for number, sample in enumerate(samples[: held_out_count(samples)]):
        ids, labels = sampled(sample)
        yield {
            "id": f"sample-{number:05d}",
            "stream": f"base_samples:{sample['stream']}",
            "input_ids": ids.tolist(),
            "labels": labels.tolist(),
        }


def make_model(arguments: argparse.Namespace) -> None:
    """Converts the stub, from the two halves of its GGUF that earlier calls left in the scratch folder."""
    from tasks.model.child import run_child
    from tasks.model.request import GgufSource

    if (arguments.model / "config.json").exists():
        return
    whole = arguments.scratch / "gguf" / "model.gguf"
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.write_bytes(b"".join((arguments.scratch / name / "part").read_bytes() for name in ("model-a", "model-b")))
    run_child("tasks.model.convert:stub_from_gguf", GgufSource(gguf=whole, target=arguments.model))


def tokenizer_of(arguments: argparse.Namespace) -> Any:
    """The model's."""
    from tasks.text.tokenizer import stored_tokenizer

    return stored_tokenizer(arguments.model)


def bundle(arguments: argparse.Namespace) -> None:
    """All results in one file, where what comes back is few files."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tarfile.open(arguments.out / "results.tar", "w") as archive:
        for path in sorted(arguments.results.glob("*.json*")):
            archive.add(path, path.name)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(".gpu"))
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/rawtune-real"))
    parser.add_argument("--model", type=Path, default=Path("/tmp/rawtune-real/model"))
    parser.add_argument("--results", type=Path, default=Path("/tmp/rawtune-real/results"))
    parser.add_argument("--out", type=Path, required=True, help="folder that comes back")
    parser.add_argument("--repositories", nargs="+", required=True)
    parser.add_argument(
        "--arms", nargs="+", required=True, help=f"base, base-retrieval or one of {', '.join(VARIANTS)}"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most-new-tokens", type=int, default=320, help="questions with longer answers are left out")
    parser.add_argument("--held-out-tokens", type=int, default=HELD_OUT_TOKENS)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the arms")
    parser.add_argument("--worker", type=int, help="number of this process, set by the first one")
    gpu(parser.parse_args())


if __name__ == "__main__":
    main()
