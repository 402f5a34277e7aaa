"""The article's recipe, the researched one and its variants on real repositories: SmolLM2-135M on one GPU.

    python tests/benchmarks/real_run.py prepare --repo NAME=PATH@DATE …    here, minutes of CPU; writes .gpu
    python tests/benchmarks/real_run_gpu.py --repositories NAME … --arms base researched … --out DIR   on the GPU
    python tests/benchmarks/real_run.py report --results results.tar --repo …   here; prints tables, writes figures.json

`prepare` runs the workflow's own steps up to the mixture and packs what the torch jobs read into `.gpu/jobs` (tables
without repeats, prompts, rows of loss), and the stub's GGUF in two halves beside them, so that a machine that takes
64 MiB at a time can be fed. On that machine the samples of the base are drawn and every table is written out. `report`
gives the answers back to the workflow's steps, which score them, and puts arms and seeds side by side.

Every arm is asked the questions that the researched table does not hold, with the same prompts, and its loss is
measured on the same rows.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import io
import json
import shutil
import statistics
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.real_run_gpu import ROW_TOKENS  # noqa: E402

EVALUATION: Final[dict[str, Any]] = {"arms": ["base", "base-retrieval", "tuned"], "max_new_tokens": 48}
RECIPES: Final[dict[str, dict[str, Any]]] = {
    "researched": {"synthesis": {"wordings": 16}, "dataset": {}},
    "few-wordings": {"synthesis": {"wordings": 4}, "dataset": {}},
    "article": {
        "synthesis": {"methods": ["page_qa", "page_instruction", "file_question"], "wordings": 1, "quotas": None},
        "dataset": {"mixture": {"train_held_out": "raw"}},
    },
}


class Captured(Exception):
    """A torch job's request was written down instead of being run."""


def parameters(recipe: str, repo: str, arguments: argparse.Namespace) -> Any:
    """The recipe as the workflow's own parameters; passes, replay and training are the GPU machine's part."""
    from flows.params import RetrainParams

    name, _, place = repo.partition("=")
    path, _, date = place.partition("@")
    own = dict(one.split("=", 1) for one in arguments.own)
    chosen, size = RECIPES[recipe], ROW_TOKENS["article" if recipe == "article" else "researched"]
    return RetrainParams.model_validate(
        {
            "name": f"real-{name}",
            "sources": [{"repo": path, "as_of": date or None, "pulls": {"limit": arguments.pulls}}],
            "synthesis": chosen["synthesis"],
            "dataset": {"max_tokens": size, "replay": None} | chosen["dataset"] | once(chosen["dataset"]),
            "training": {"base_model": "stub", "epochs": 1},
            "evaluation": EVALUATION
            | {"items": arguments.items, "general_items": arguments.general_items, "own": own.get(name)},
            "store": str(arguments.store),
        }
    )


def once(section: dict[str, Any]) -> dict[str, Any]:
    """Every text once in the table."""
    return {"mixture": {"passes": {"raw": 1, "dialogue": 1}} | section.get("mixture", {})}


def dataset(recipe: str, repo: str, arguments: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Store, parameters and the finished artifacts before training."""
    from flows import retrain
    from flows.resolve import resolve
    from tasks.base.steps import Step
    from tasks.base.store import Store

    Step.__call__ = Step.direct  # type: ignore[method-assign] # the same steps and keys, without a Prefect server
    params = parameters(recipe, repo, arguments)
    store = Store(params.store)
    resolved = resolve(store, params, datetime.datetime.now(datetime.UTC))
    data = retrain.build_dataset(store, params, retrain.harvest(store, params, resolved), resolved)
    print(f"{repo} {recipe}: {dict(data.table.counts)}\n{repo} {recipe}: {dict(data.items.counts)}", flush=True)
    return store, params, data


def arm_answers(store: Any, params: Any, data: Any, arm: str, adapter: Any, child: Callable[..., Any]) -> Any:
    """An arm's artifact, its torch job handed to `child`."""
    from tasks.evaluation import answer as answering
    from tasks.evaluation.params import Arm

    answering.run_child = child
    step = answering.answer.named(f"answer-{arm}")
    inputs = {name: getattr(data, name) for name in ("items", "chunks", "dialogues", "documents", "model")}
    return step.direct(store, arm=Arm(arm), adapter=adapter, params=params.evaluation, **inputs)


def prepare(arguments: argparse.Namespace) -> None:
    """Writes jobs and model below the work folder."""
    from tasks.model.base_model import stub_gguf

    jobs = arguments.work / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)
    for repo in arguments.repo:
        folder = jobs / repo.partition("=")[0]
        for recipe in RECIPES:
            store, params, data = dataset(recipe, repo, arguments)
            folder.mkdir(parents=True, exist_ok=True)
            pack(store, data.table, folder / f"{recipe}.npz")
            if recipe == "researched":
                for arm in ("base", "base-retrieval"):
                    capture(store, params, data, arm, folder / f"answer-{arm}")
    content = stub_gguf().read_bytes()
    half = len(content) // 2
    for name, part in (("model-a", content[:half]), ("model-b", content[half:])):
        (arguments.work / name).mkdir(exist_ok=True)
        (arguments.work / name / "part").write_bytes(part)
    size = sum(path.stat().st_size for path in jobs.rglob("*") if path.is_file())
    print(f"jobs: {size / 2**20:.1f} MiB in {jobs}; model: 2 x {half / 2**20:.1f} MiB")


def capture(store: Any, params: Any, data: Any, arm: str, folder: Path) -> None:
    """Writes down what an arm is asked."""
    folder.mkdir(parents=True)

    def child(job: str, request: Any, *_: Any, **__: Any) -> dict[str, Any]:
        for part in ("prompts", "rows"):
            shutil.copy(getattr(request, part), folder / part)
        raise Captured

    try:
        arm_answers(store, params, data, arm, None, child)
    except Captured:
        return
    raise SystemExit(f"{arm}: its answers are in {store.uri} already; take a new --work folder")


def pack(store: Any, table: Any, target: Path) -> None:
    """The table's tokens in few bytes: ids in 16 bits, the loss mask in one, sources by number."""
    import pyarrow.parquet as pq

    from tasks.base.records import IGNORED
    from tasks.base.runs import read_records
    from tasks.mixture.table.rows import ROWS, TABLE, Row

    folder = store.checkout(table)
    columns = pq.read_table(folder / TABLE, columns=["input_ids", "labels"])
    ids = columns.column("input_ids").combine_chunks().values.to_numpy()
    labels = columns.column("labels").combine_chunks().values.to_numpy()
    rows = list(read_records(store, table, Row, ROWS))
    parts = [part for row in rows for part in row.parts]
    names = sorted({part.source for part in parts})
    # a part's first token bears no loss in a packed row; in a row of its own it may, and nothing is shifted onto it
    np.savez_compressed(
        target,
        ids=ids.astype(np.uint16),
        mask=np.packbits(labels != IGNORED),
        lengths=np.asarray([part.tokens for part in parts], np.int32),
        sources=np.asarray([names.index(part.source) for part in parts], np.uint8),
        names=np.asarray(names),
        row_parts=np.asarray([len(row.parts) for row in rows], np.int32),
    )


def report(arguments: argparse.Namespace) -> None:
    """Scores what the GPU machine answered, and prints arms and seeds side by side."""
    from tasks.base.runs import read_json

    results = unpacked(arguments.results)
    print(json.dumps(results.pop("samples", {}).get("facts"), indent=None))
    figures: dict[str, Any] = {}
    for repo in arguments.repo:
        name = repo.partition("=")[0]
        store, params, data = dataset("researched", repo, arguments)
        by_arm: dict[str, dict[int, Any]] = {}
        for (where, arm, seed), made in sorted(results.items()):
            if where == name:
                by_arm.setdefault(arm, {})[seed] = made
        for arm, seeds in by_arm.items():
            if arm.startswith("base"):
                continue
            for seed, made in seeds.items():
                adapter = stand_in(store, name, arm, seed, made)
                asked = {"base": by_arm["base"][0], "tuned": made} | (
                    {"base-retrieval": by_arm["base-retrieval"][0]} if "base-retrieval" in by_arm else {}
                )
                answers = [
                    arm_answers(store, params, data, which, adapter if which == "tuned" else None, recalled(one))
                    for which, one in sorted(asked.items())
                ]
                from flows import retrain

                page = retrain.report(
                    store,
                    items=data.items,
                    answers=answers,
                    adapter=adapter,
                    table=data.table,
                    params=params.evaluation,
                )
                summary = read_json(store, page, "summary.json")
                summary["gpu"] = {"train": made.get("train"), "table": made.get("table"), "page": page.uri}
                summary["streams"] = {which: streams_of(one) for which, one in asked.items()}
                figures.setdefault(name, {}).setdefault(arm, {})[seed] = summary
    (arguments.work / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    show(figures)


def recalled(made: Mapping[str, Any]) -> Callable[..., Any]:
    """A child runner that gives the GPU machine's answer, without the rows that `prepare` did not ask for."""

    def child(job: str, request: Any, *_: Any, **__: Any) -> dict[str, Any]:
        asked = len([line for line in Path(request.rows).read_text("utf-8").splitlines() if line])
        return {**made["answer"], "rows": made["answer"]["rows"][:asked]}

    return child


def streams_of(made: Mapping[str, Any]) -> dict[str, float]:
    """Loss on the samples that no table holds, nats a token: the rows after those of `prepare`."""
    extra = made["answer"]["rows"][made["answer"].get("asked_rows", len(made["answer"]["rows"])) :]
    tokens = sum(row["tokens"] for row in extra)
    return {"base_samples": sum(row["nats"] for row in extra) / tokens} if tokens else {}


def stand_in(store: Any, name: str, arm: str, seed: int, made: Mapping[str, Any]) -> Any:
    """An artifact for an adapter whose weights stayed on the GPU machine."""
    from tasks.base.steps import step

    @step("training/train", "real-run")
    def adapter(run: Any, which: str, config: dict[str, Any]) -> None:
        run.path("adapter_config.json").write_text(json.dumps(config))
        run.path("loss.jsonl").write_text("".join(json.dumps(line) + "\n" for line in made["train"]["loss.jsonl"]))
        run.resolved.update(made["train"]["resolved"])

    return adapter.direct(store, which=f"{name}/{arm}/{seed}", config=made["train"]["adapter_config.json"])


def unpacked(archive: Path) -> dict[Any, Any]:
    """Results by repository, arm and seed; `samples` has what the base wrote."""
    found: dict[Any, Any] = {}
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            content = packed.extractfile(member)
            assert content is not None
            if member.name == "samples.json":
                found["samples"] = json.load(content)
                continue
            repo, arm, seed = member.name.removesuffix(".json.gz").rsplit(".", 2)
            with gzip.open(io.BytesIO(content.read())) as reader:
                found[repo, arm, int(seed)] = json.load(reader)
    return found


def show(figures: Mapping[str, Any]) -> None:
    """Suites and losses by arm: mean over seeds, and the span from the worst to the best."""
    for repo, arms in figures.items():
        some = next(iter(next(iter(arms.values())).values()))
        print(f"\n{repo}")
        columns = {which: [some["arms"][which]] for which in some["arms"] if which != "tuned"}
        columns |= {arm: [summary["arms"]["tuned"] for summary in seeds.values()] for arm, seeds in arms.items()}
        print(f"{'suite':26}" + "".join(f"{arm} ({len(found)})".rjust(26) for arm, found in columns.items()))
        for suite in some["suites"]:
            cells = [
                spread([100 * one[suite]["estimate"] for one in found if one.get(suite)], 1)
                for found in columns.values()
            ]
            print(f"{suite:26}" + "".join(cell.rjust(26) for cell in cells))
        print(f"{'loss above base, nats':26}" + "".join(arm.rjust(26) for arm in arms))
        streams = sorted(some["losses"]["base"])
        for stream in streams:
            cells = [
                spread(
                    [
                        s["losses"]["tuned"][stream]["loss"] - s["losses"]["base"][stream]["loss"]
                        for s in seeds.values()
                    ],
                    3,
                )
                for seeds in arms.values()
            ]
            print(f"{stream:26}" + "".join(cell.rjust(26) for cell in cells))
        cells = [
            spread(
                [s["streams"]["tuned"]["base_samples"] - s["streams"]["base"]["base_samples"] for s in seeds.values()],
                3,
            )
            for seeds in arms.values()
        ]
        print(f"{'KL(base ‖ tuned), samples':26}" + "".join(cell.rjust(26) for cell in cells))


def spread(values: list[float], digits: int) -> str:
    """Mean, and worst to best where there is more than one."""
    if not values:
        return "–"
    ends = f" [{min(values):.{digits}f}, {max(values):.{digits}f}]" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{ends}"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=("prepare", "report"))
    parser.add_argument("--repo", action="append", required=True, help="NAME=PATH@DATE of a git repository")
    parser.add_argument("--work", type=Path, default=Path(".gpu"))
    parser.add_argument("--store", type=Path, default=Path("/tmp/rawtune-real-store"))
    parser.add_argument("--results", type=Path, default=Path(".gpu/results.tar"))
    parser.add_argument("--pulls", type=int, default=100)
    parser.add_argument("--items", type=int, default=1_400)
    parser.add_argument("--general-items", type=int, default=250)
    parser.add_argument("--own", action="append", default=[], help="NAME=FILE of a person's own questions")
    arguments = parser.parse_args()
    {"prepare": prepare, "report": report}[arguments.phase](arguments)


if __name__ == "__main__":
    main()
