"""The article's recipe against the researched one on a real repository: SmolLM2-135M-Instruct on one GPU, then the
report.

    python tests/benchmarks/real_run.py prepare --repo PATH --as-of 2023-12-31    here, minutes of CPU
    python tests/benchmarks/real_run.py gpu --results DIR                         on the GPU machine, no network needed
    python tests/benchmarks/real_run.py report --results DIR                      here; prints the table

`prepare` runs the workflow's own steps up to the mixture and writes the requests of the torch jobs (train, then
answer per arm) with everything they read into WORK/jobs, and the stub's GGUF in two halves into WORK/model-a and
WORK/model-b, so that a machine that takes 64 MiB at a time can be fed. The replay stream needs the base model's own
answers first: `prepare` writes that one job, and once `--results` has its answer, a second `prepare` writes the
others. `gpu` needs torch, transformers, peft, trl,
datasets, accelerate, pydantic, universal-pathlib, pyarrow and gguf; it runs the jobs one after the other and writes
one JSON answer each, so that what is done stays done when it is interrupted. `report` gives those answers back to
the same steps, which score and compare them.
"""

from __future__ import annotations

import argparse
import datetime
import filecmp
import functools
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.real_run_gpu import ADAPTER, MODEL, SCRATCH, TABLE, gpu  # noqa: E402

ARMS: Final = ("base", "base-retrieval", "tuned")
EVALUATION: Final[dict[str, Any]] = {
    "suites": ["recall", "held-out", "code", "dated", "pull", "unanswerable"],
    "arms": list(ARMS),
    "max_new_tokens": 48,
    "answer_batch_tokens": 40_000,
}
RECIPES: Final[dict[str, dict[str, Any]]] = {
    "article": {
        "synthesis": {"methods": ["page_qa", "page_instruction", "file_question"], "wordings": 1},
        "dataset": {"max_tokens": 8192, "mixture": {"train_held_out": "raw"}},
        "training": {"rank": 768, "alpha": 768, "batch_size": 1, "learning_rate": 2.0e-5, "epochs": 3},
    },
    "researched": {
        "synthesis": {"wordings": 4},
        "dataset": {"max_tokens": 2048, "mixture": {"shares": {"raw": 0.3, "dialogue": 0.45, "replay": 0.25}}},
        "training": {
            "rank": 256,
            "alpha": 256,
            "batch_size": 16,
            "learning_rate": 7.0e-4,
            "warmup_fraction": 0.03,
            "epochs": 3,
        },
    },
}


class Captured(Exception):
    """A torch job's request was written down instead of being run."""


def parameters(recipe: str, arguments: argparse.Namespace) -> Any:
    """The recipe as the workflow's own parameters."""
    from flows.params import RetrainParams

    chosen = RECIPES[recipe]
    pulls = {"limit": arguments.pulls} if arguments.pulls else None
    dataset = dict(chosen["dataset"])
    if arguments.train_tokens:
        dataset["train_tokens"] = arguments.train_tokens
    if "replay" in dataset["mixture"].get("shares", ()):
        replay = {"source": str(arguments.replay), "records": 3000, "answers": "base-model"}
        dataset["replay"] = replay
    return RetrainParams.model_validate(
        {
            "name": f"real-{recipe}",
            "sources": [{"repo": arguments.repo, "as_of": arguments.as_of, "pulls": pulls}],
            "synthesis": chosen["synthesis"],
            "dataset": dataset,
            "training": {
                "base_model": "stub",
                "backend": arguments.backend,
                "seed": arguments.seed,
                **chosen["training"],
            },
            "evaluation": EVALUATION | {"items": arguments.items, "general_items": arguments.general_items},
            "store": str(arguments.work / "store"),
        }
    )


Child = Callable[[str, str, Mapping[str, Any]], dict[str, Any]]
"""`(recipe, name, request) -> answer`: stands in for the child runner."""


def each_recipe(arguments: argparse.Namespace, run_child: Child) -> None:
    """Runs the workflow of every recipe, its torch jobs handed to `run_child`."""
    from tasks.base.steps import Step

    Step.__call__ = Step.direct  # type: ignore[method-assign] # the same steps and keys, without a Prefect server
    for recipe in arguments.recipes:
        one_recipe(recipe, parameters(recipe, arguments), arguments.as_of, run_child)


def one_recipe(recipe: str, params: Any, as_of: str, run_child: Child) -> None:
    """The workflow from harvest to report; it ends before the report while jobs are only written down."""
    from flows import retrain
    from flows.resolve import resolve
    from tasks.base.runs import read_json
    from tasks.base.store import Store
    from tasks.evaluation import answer as answering
    from tasks.evaluation.params import Arm
    from tasks.mixture.replay import answers as replaying
    from tasks.model.request import Request
    from tasks.training import train as training

    store = Store(params.store)

    def child(name: str) -> Callable[..., dict[str, Any]]:
        def hand_over(job: str, request: Any, *_: Any, **__: Any) -> dict[str, Any]:
            return run_child(recipe, name, request.model_dump(mode="json") if isinstance(request, Request) else request)

        return hand_over

    replaying.run_child = child("replay")
    resolved = resolve(store, params, datetime.datetime.fromisoformat(as_of).replace(tzinfo=datetime.UTC))
    data = attempt(lambda: retrain.build_dataset(store, params, retrain.harvest(store, params, resolved)))
    if data is None:
        return
    print(f"{recipe}: {dict(data.table.counts)}\n{recipe}: {dict(data.items.counts)}", flush=True)

    def train() -> Any:
        training.run_child = child("train")
        return training.train.direct(store, table=data.table, model=data.model, params=params.training)

    def answer(arm: Arm, adapter: Any) -> Any:
        answering.run_child = child(f"answer-{arm}")
        step = answering.answer.named(f"answer-{arm}")
        inputs = {name: getattr(data, name) for name in ("items", "chunks", "dialogues", "documents", "model")}
        return step.direct(store, arm=arm, adapter=adapter, params=params.evaluation, **inputs)

    adapter = attempt(train)
    # while requests are written there is no adapter, and any artifact stands for it
    stand_in = adapter or data.table
    made = [attempt(functools.partial(answer, arm, stand_in if arm.is_tuned else None)) for arm in map(Arm, ARMS)]
    if adapter and all(made):
        page = retrain.report(
            store, items=data.items, answers=made, adapter=adapter, table=data.table, params=params.evaluation
        )
        print(f"\n{recipe}: {page.uri}/report.html")
        show(read_json(store, page, "summary.json"))


def attempt(step: Callable[[], Any]) -> Any:
    """The step's artifact, or None if its torch job was only written down."""
    try:
        return step()
    except Captured:
        return None


def prepare(arguments: argparse.Namespace) -> None:
    """Writes jobs and model below the work folder."""
    jobs = arguments.work / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)

    def capture(recipe: str, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if name == "replay" and (arguments.results / f"{recipe}.replay.json").exists():
            return answered(arguments, recipe, name)
        folder = jobs / recipe / name
        folder.mkdir(parents=True)
        kept = dict(request)
        if name == "replay":
            shutil.copy(request["prompts"], folder / "prompts")
            kept |= {"model": MODEL, "prompts": "prompts"}
        elif name == "train":
            shutil.copytree(request["table"], jobs / recipe / "table")
            kept |= {"model": MODEL, "table": TABLE, "checkpoints": f"{SCRATCH}/checkpoints", "out": ADAPTER}
        else:
            for part in ("prompts", "rows"):
                shutil.copy(request[part], folder / part)
            kept |= {"model": MODEL, "adapter": ADAPTER if request["adapter"] else None}
            kept |= {"finished": f"{SCRATCH}/{name}.jsonl", "prompts": "prompts", "rows": "rows"}
        (folder / "request.json").write_text(json.dumps(kept))
        raise Captured

    each_recipe(arguments, capture)
    from tasks.model.base_model import stub_gguf

    content = stub_gguf().read_bytes()
    half = len(content) // 2
    for name, part in (("model-a", content[:half]), ("model-b", content[half:])):
        (arguments.work / name).mkdir(exist_ok=True)
        (arguments.work / name / "part").write_bytes(part)
    size = sum(path.stat().st_size for path in jobs.rglob("*") if path.is_file())
    print(f"jobs: {size / 2**20:.1f} MiB in {jobs}; model: 2 x {half / 2**20:.1f} MiB")


def report(arguments: argparse.Namespace) -> None:
    """Gives the GPU machine's answers back to the steps; the adapter's weights stay there."""

    def recall(recipe: str, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        for part in ("prompts", "rows"):
            if part in request and not filecmp.cmp(
                request[part], arguments.work / "jobs" / recipe / name / part, shallow=False
            ):
                raise SystemExit(f"{recipe} {name}: {part} are no longer those that the GPU machine answered")
        answer = answered(arguments, recipe, name)
        for file in ("loss.jsonl", "adapter_config.json"):
            if file in answer:
                Path(request["out"], file).write_text(answer.pop(file))
        return answer

    each_recipe(arguments, recall)


def answered(arguments: argparse.Namespace, recipe: str, name: str) -> dict[str, Any]:
    """What the GPU machine answered."""
    made: dict[str, Any] = json.loads((arguments.results / f"{recipe}.{name}.json").read_text())
    return made


def show(summary: Mapping[str, Any]) -> None:
    """The table of one recipe."""
    arms = list(summary["arms"])
    print(summary["verdict"])
    print(f"{'':22}{''.join(f'{arm:>24}' for arm in arms)}{'tuned - base':>26}")
    for suite in summary["suites"]:
        cells = [summary["arms"][arm].get(suite) for arm in arms]
        print(
            f"{suite:22}{''.join(f'{_cell(cell):>24}' for cell in cells)}{_cell(summary['differences'].get(suite)):>26}"
        )
    for stream in sorted({stream for arm in summary["losses"].values() for stream in arm}):
        row = "  ".join(f"{arm} {streams[stream]['loss']:.3f}" for arm, streams in summary["losses"].items())
        print(f"loss {stream:22} {row}")
    print(f"KL to base on general text: {summary['kl_to_base']}; leaks taken out: {summary['leaks']}")


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "–"
    interval = "" if figure["low"] is None else f" [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
    return f"{100 * figure['estimate']:.1f}{interval}"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=("prepare", "gpu", "report"))
    parser.add_argument("--work", type=Path, default=Path(".real"))
    parser.add_argument("--repo", help="any git repository, or OWNER/NAME on GitHub")
    parser.add_argument("--as-of", default="2023-12-31")
    parser.add_argument("--pulls", type=int, default=100)
    parser.add_argument("--train-tokens", type=int, help="cap of the table; default: everything")
    parser.add_argument("--replay", type=Path, help="JSON lines with general questions and answers")
    parser.add_argument("--items", type=int, default=1400, help="38%% of them are recall")
    parser.add_argument("--general-items", type=int, default=250)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--results", type=Path, default=Path(".real/results"))
    parser.add_argument("--model", type=Path, default=Path("/tmp/rawtune-real/model"), help="gpu: converted model")
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/rawtune-real"), help="gpu: adapters and checkpoints")
    arguments = parser.parse_args()
    {"prepare": prepare, "gpu": gpu, "report": report}[arguments.phase](arguments)


if __name__ == "__main__":
    main()
