"""Question sets for lm-eval and inspect-ai."""

import ast
import json

import yaml

from tasks.base.records import Dialogue, Document
from tasks.base.store import Store
from tasks.evaluation.export import export
from tasks.evaluation.items import make_items
from tasks.evaluation.params import ExportParams, ItemsParams
from tests.evaluation.conftest import artifact_of


def test_export_holds_every_open_question_once_per_harness(
    store: Store, train: list[Document], held_out: list[Document], talks: list[Dialogue]
) -> None:
    questions = make_items(train, held_out, talks, ItemsParams(items=60, general_items=10))
    made = export.direct(store, items=artifact_of(store, records=questions), params=ExportParams(max_new_tokens=24))
    folder = store.checkout(made)
    kept = {item.id: item for item in questions if item.pair_id is None and "#choice" not in item.id}
    for harness in ("lm_eval", "inspect"):
        lines = [
            json.loads(line) for path in (folder / harness).glob("*.jsonl") for line in path.read_text().splitlines()
        ]
        assert {line["id"] for line in lines} == set(kept)
        assert all(line["answers"] == list(kept[line["id"]].answers) for line in lines)
    assert sum(made.counts.values()) == len(kept)
    task = yaml.safe_load((folder / "lm_eval" / "recall.yaml").read_text())
    assert task["task"] == "rawtune_recall"
    assert task["generation_kwargs"]["max_gen_toks"] == 24
    tree = ast.parse((folder / "inspect" / "rawtune.py").read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"recall", "held_out", "general_gsm8k"} <= names
