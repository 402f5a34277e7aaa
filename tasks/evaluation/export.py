"""The question sets in the formats of two harnesses, so that outsiders can run them against any model.

    lm_eval run --include_path FOLDER/lm_eval --tasks rawtune_recall --model hf --model_args pretrained=…
    --apply_chat_template inspect eval FOLDER/inspect/rawtune.py@recall --model …

lm-eval resolves `data_files` relative to where it runs, so run it in FOLDER (lm-eval 0.4.13 takes no relative path
to the YAML). Both score by their own simple rules: exact match here, `includes` and F1 there; rawtune's report is
finer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import yaml

from tasks.base.records import Item
from tasks.base.runs import StepRun
from tasks.base.steps import step
from tasks.base.store import Artifact
from tasks.evaluation.params import ExportParams
from tasks.evaluation.scoring import BINARY, kind_of

VERSION = "2026.11.24"

INSPECT: Final = '''"""Question sets exported by rawtune; `inspect eval rawtune.py@<set>`."""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.scorer import f1, includes
from inspect_ai.solver import generate

HERE = Path(__file__).parent


def _task(name: str, scorer: object) -> Task:
    fields = FieldSpec(input="question", target="answers", id="id", metadata=["suite", "kind", "document_id"])
    return Task(dataset=json_dataset(str(HERE / f"{name}.jsonl"), fields), solver=generate(), scorer=scorer)
'''


def export_items(items: Iterable[Item], folder: Path, max_new_tokens: int) -> dict[str, int]:
    """Writes `lm_eval/` and `inspect/` below the folder and returns the number of items by suite.

    Multiple-choice and unanswerable items are left out: neither harness scores them as rawtune does.
    """
    suites: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.answerable and item.pair_id is None and kind_of(item) != "choice":
            suites[item.suite].append(item)
    for name in ("lm_eval", "inspect"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tasks = INSPECT
    for suite, members in sorted(suites.items()):
        short = suite.replace("-", "_")
        lines = [
            json.dumps(
                {
                    "id": item.id,
                    "suite": suite,
                    "kind": kind_of(item),
                    "document_id": item.document_id,
                    "question": item.question,
                    "answers": list(item.answers),
                },
                ensure_ascii=False,
            )
            for item in members
        ]
        for target in (folder / "lm_eval" / f"{short}.jsonl", folder / "inspect" / f"{short}.jsonl"):
            target.write_text("\n".join(lines) + "\n", "utf-8")
        (folder / "lm_eval" / f"{short}.yaml").write_text(_lm_eval_task(short, max_new_tokens), "utf-8")
        scorer = "includes()" if all(kind_of(item) in BINARY for item in members) else "f1()"
        tasks += f'\n\n@task\ndef {short}() -> Task:\n    return _task("{short}", {scorer})\n'
    (folder / "inspect" / "rawtune.py").write_text(tasks, "utf-8")
    return {suite: len(members) for suite, members in sorted(suites.items())}


@step("evaluation/export", VERSION)
def export(run: StepRun, items: Artifact, params: ExportParams) -> None:
    """Writes the question sets for lm-eval and inspect-ai."""
    for suite, number in export_items(run.read(items, Item), run.folder, params.max_new_tokens).items():
        run.count(suite, number)


def _lm_eval_task(name: str, max_new_tokens: int) -> str:
    document = {
        "task": f"rawtune_{name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"lm_eval/{name}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answers[0]}}",
        "generation_kwargs": {"do_sample": False, "max_gen_toks": max_new_tokens, "until": []},
        "metric_list": [
            {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True, "ignore_case": True}
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)
