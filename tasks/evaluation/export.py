"""The question sets in the formats of two harnesses, so that outsiders can run them against any model.

    lm_eval run --include_path FOLDER --tasks rawtune_recall --model hf --model_args pretrained=… --apply_chat_template
    inspect eval FOLDER/rawtune.py@recall --model …

Both read their questions from beside the task, wherever they are started, and score by simple rules that their own
readers know: exact match, inclusion and F1 of words. rawtune's report is finer: it knows paths, parameters and code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import yaml

from tasks.base.records import Item
from tasks.evaluation.general import new_tokens
from tasks.evaluation.scoring import BINARY, OWN_METRICS, kind_of

MAX_NEW_TOKENS: Final = 64
"""Longest answer, in tokens, where a suite asks for no more."""


class Harness(StrEnum):
    """Whose format."""

    LM_EVAL = "lm-eval"
    INSPECT = "inspect"


LM_EVAL: Final = '''"""Questions and scores of the sets that rawtune exported; the YAML files here refer to it."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import datasets


def load(questions, **_):
    lines = Path(__file__).with_name(questions).read_text("utf-8").splitlines()
    return {"test": datasets.Dataset.from_list([json.loads(line) for line in lines])}


def score(doc, results):
    given = _words(results[0])
    references = [one for one in map(_words, doc["answers"]) if one]
    return {
        "exact_match": float(bool(given) and given in references),
        "includes": float(any(f" {' '.join(one)} " in f" {' '.join(given)} " for one in references)),
        "f1": max((_f1(given, one) for one in references), default=0.0),
    }


def _words(text):
    """As rawtune's own scorers: NFKC, lower case, no articles, no punctuation at a word's ends."""
    folded = unicodedata.normalize("NFKC", text[:20000]).casefold()
    stripped = (word.strip("./-#@") for word in re.findall(r"[\\w./\\-$@#]+", folded))
    return [word for word in stripped if word and word not in ("a", "an", "the")]


def _f1(given, reference):
    shared = (Counter(given) & Counter(reference)).total()
    return 2 * shared / (len(given) + len(reference)) if shared else 0.0
'''

INSPECT: Final = '''"""Question sets exported by rawtune; `inspect eval rawtune.py@<set>`."""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import f1, includes
from inspect_ai.solver import generate

HERE = Path(__file__).parent


def _task(name, scorer, max_tokens):
    fields = FieldSpec(input="question", target="answers", id="id", metadata=["suite", "kind", "document_id"])
    dataset = json_dataset(str(HERE / f"{name}.jsonl"), fields)
    return Task(dataset=dataset, solver=generate(), scorer=scorer, config=GenerateConfig(max_tokens=max_tokens))
'''


def export_items(items: Iterable[Item], folder: Path, harness: Harness) -> dict[str, int]:
    """Writes tasks and questions into the folder and returns the number of items by suite.

    Left out is what a harness cannot score by comparing words: multiple choice, programs, instructions, generated
    tasks (both harnesses have such sets of their own), formats, a person's own questions, and questions without an
    answer with their twins.
    """
    suites: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.answerable and item.pair_id is None and kind_of(item) not in OWN_METRICS:
            suites[item.suite].append(item)
    folder.mkdir(parents=True, exist_ok=True)
    tasks = INSPECT
    for suite, members in sorted(suites.items()):
        name = suite.replace("-", "_")
        (folder / f"{name}.jsonl").write_text("".join(f"{_line(item)}\n" for item in members), "utf-8")
        longest = max(new_tokens(item, MAX_NEW_TOKENS) for item in members)
        if harness is Harness.LM_EVAL:
            (folder / f"{name}.yaml").write_text(_lm_eval_task(name, longest), "utf-8")
        scorer = "includes()" if all(kind_of(item) in BINARY for item in members) else "f1()"
        tasks += f'\n\n@task\ndef {name}() -> Task:\n    return _task("{name}", {scorer}, {longest})\n'
    if harness is Harness.LM_EVAL:
        (folder / "rawtune_tasks.py").write_text(LM_EVAL, "utf-8")
    else:
        (folder / "rawtune.py").write_text(tasks, "utf-8")
    return {suite: len(members) for suite, members in sorted(suites.items())}


def _line(item: Item) -> str:
    document = item.model_dump(include={"id", "suite", "document_id", "question", "answers"}) | {"kind": kind_of(item)}
    return json.dumps(document, ensure_ascii=False)


def _lm_eval_task(name: str, max_new_tokens: int) -> str:
    document = {
        "task": f"rawtune_{name}",
        "dataset_kwargs": {"questions": f"{name}.jsonl"},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answers[0]}}",
        "generation_kwargs": {"do_sample": False, "max_gen_toks": max_new_tokens, "until": []},
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True}
            for metric in ("exact_match", "includes", "f1")
        ],
    }
    functions = "custom_dataset: !function rawtune_tasks.load\nprocess_results: !function rawtune_tasks.score\n"
    return yaml.safe_dump(document, sort_keys=False) + functions
