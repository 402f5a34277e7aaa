"""Question sets for lm-eval and inspect-ai: what is written (both were run by hand: docs/evaluation.md)."""

import ast
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.records import Dialogue, Document, Item
from tasks.evaluation.export import Harness, export_items
from tasks.evaluation.params import ItemsParams
from tasks.evaluation.scorers import contains, exact_match, token_f1
from tests.evaluation.conftest import asked_of


@pytest.fixture
def questions(train: list[Document], held_out: list[Document], talks: list[Dialogue]) -> list[Item]:
    return asked_of(train, held_out, ItemsParams(items=60, general_items=10))


@pytest.mark.parametrize("harness", Harness)
def test_export_holds_every_question_that_words_can_score(
    harness: Harness, questions: list[Item], tmp_path: Path
) -> None:
    counts = export_items(questions, tmp_path / "out", harness)
    own = ("#choice", "#program", "#json", "#three-lines", "#one-word", "#answered")
    kept = {item.id: item for item in questions if item.pair_id is None and not item.id.endswith(own)}
    lines = [json.loads(line) for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert {line["id"] for line in lines} == set(kept)
    assert all(line["answers"] == list(kept[line["id"]].answers) for line in lines)
    assert sum(counts.values()) == len(kept)


def test_lm_eval_task_names_its_questions_and_lengths(questions: list[Item], tmp_path: Path) -> None:
    export_items(questions, tmp_path, Harness.LM_EVAL)

    class Loader(yaml.SafeLoader):
        """Reads lm-eval's `!function` as text."""

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    tasks = {path.stem: yaml.load(path.read_text(), Loader) for path in tmp_path.glob("*.yaml")}
    assert tasks["recall"]["task"] == "rawtune_recall"
    assert (tmp_path / tasks["recall"]["dataset_kwargs"]["questions"]).exists()
    assert tasks["recall"]["generation_kwargs"]["max_gen_toks"] == 64
    assert tasks["general_gsm8k"]["generation_kwargs"]["max_gen_toks"] == 256
    module = _module(tmp_path / "rawtune_tasks.py")
    assert {tasks["recall"][name].split(".")[1] for name in ("custom_dataset", "process_results")} <= set(vars(module))


def test_lm_eval_scores_are_of_words_and_know_aliases(questions: list[Item], tmp_path: Path) -> None:
    export_items(questions, tmp_path, Harness.LM_EVAL)
    score = _module(tmp_path / "rawtune_tasks.py").score
    document = {"answers": ["src/cart.py", "cart.py"]}
    assert score(document, ["cart.py"]) == {"exact_match": 1.0, "includes": 1.0, "f1": 1.0}
    assert score(document, ["It is in `src/cart.py`."]) == {"exact_match": 0.0, "includes": 1.0, "f1": 0.4}
    assert score(document, [""]) == {"exact_match": 0.0, "includes": 0.0, "f1": 0.0}


@pytest.fixture(scope="module")
def exported_score(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, float]]:
    folder = tmp_path_factory.mktemp("exported")
    export_items([], folder, Harness.LM_EVAL)
    score: Callable[..., dict[str, float]] = _module(folder / "rawtune_tasks.py").score
    return score


_WORDS = st.lists(st.sampled_from(("the", "Cart", "./src/cart.py", "ﬁle", "İ", "é", "-", "`a_b`", "9", "")), max_size=6)


@given(_WORDS.map(" ".join) | st.text(max_size=12), st.lists(_WORDS.map(" ".join), min_size=1, max_size=3))
def test_lm_eval_scores_are_those_of_our_own_scorers(
    exported_score: Callable[..., dict[str, float]], answer: str, references: list[str]
) -> None:
    found = exported_score({"answers": references}, [answer])
    assert found == {
        "exact_match": exact_match(answer, references),
        "includes": contains(answer, references),
        "f1": pytest.approx(token_f1(answer, references)),
    }


def test_inspect_file_has_a_task_per_suite(questions: list[Item], tmp_path: Path) -> None:
    export_items(questions, tmp_path, Harness.INSPECT)
    tree = ast.parse((tmp_path / "rawtune.py").read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"recall", "held_out", "general_gsm8k"} <= names


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
