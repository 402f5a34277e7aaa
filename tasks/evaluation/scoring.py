"""From an item and an answer to a score: which scorer judges which kind of question."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tasks.base.records import Answer, Item, Record
from tasks.evaluation import manners, scorers
from tasks.evaluation.general import OPTIONS, human_eval_problem, ifeval_prompt, reasoning_gym_score
from tasks.evaluation.ifeval import follows
from tasks.evaluation.own import KIND as RUBRIC
from tasks.evaluation.own import coverage
from tasks.evaluation.params import Suite
from tasks.evaluation.questions import FACTS, OWN
from tasks.evaluation.sandbox import Outcome, run_program
from tasks.evaluation.scorers import MARKED, Scorer, abstains, code_of, identifier_f1
from tasks.evaluation.stale import yes_or_no
from tasks.text.languages import language_of

SCORERS: Final[dict[str, Scorer]] = {
    **{kind: (MARKED | {"yes or no": yes_or_no})[asked.marked] for kind, asked in (FACTS | OWN).items()},
    "known-fact": scorers.contains,
    "contained": scorers.contains,
    "number": MARKED["number"],
    "json": manners.json_keys,
    "three-lines": manners.three_lines,
    "one-word": manners.one_word,
    "answered": manners.answered,
    "choice": scorers.exact_match,
    OPTIONS: lambda answer, references: scorers.exact_match(answer, references[:1]),
}
"""One scorer per kind; the report names it. 0/1 scorers are those of `BINARY`."""

OWN_METRICS: Final = {
    "program": "tests pass",
    "instructions": "all followed",
    "reasoning-gym": "task score",
    "choice": "likeliest choice",
    OPTIONS: "likeliest choice",
    RUBRIC: "points covered",
    "json": "format kept",
    "three-lines": "format kept",
    "one-word": "format kept",
    "answered": "answered",
}
"""Metrics of kinds that are not judged by text alone."""

GRADED: Final = frozenset({"list", "prose", "code"})
"""Ways of marking that give a share of a right answer."""

BINARY: Final = frozenset(
    {kind for kind, asked in (FACTS | OWN).items() if asked.marked not in GRADED}
    | {"known-fact", "contained", "number", "choice", OPTIONS, "program", "instructions"}
    | {"json", "three-lines", "one-word", "answered"}
)
"""Kinds whose score is 0 or 1."""


class Score(Record):
    """What one arm's answer to one item is worth."""

    id: str
    """`<item id>@<arm>`."""
    item_id: str
    arm: str
    suite: str
    kind: str
    document_id: str
    score: float
    """Between 0 and 1."""
    abstained: bool
    verbatim_words: int
    """Longest run of words in common with the reference."""
    identifier_f1: float | None
    """Of code answers."""
    parses: bool | None
    """Whether the code goes on from its beginning without a syntax error; null where the reference itself, cut off
    in the middle, has one.
    """
    tokens: int
    finished: bool

    @property
    def right(self) -> bool:
        """Whether the answer is wholly right; sharing some words with the reference is not."""
        return self.score == 1


def kind_of(item: Item) -> str:
    """The kind of question; of items that were made before they bore it, from their prompt version."""
    return item.kind or item.provenance.prompt_version.partition("/")[0]


def metric_of(item: Item) -> str:
    """What the item's score measures, for people."""
    if item.suite == Suite.UNANSWERABLE:
        return "declines or answers rightly"
    kind = kind_of(item)
    return OWN_METRICS.get(kind) or SCORERS[kind].__name__.replace("_", " ")


def score(item: Item, text: str) -> float:
    """The score of an answer to an item.

    In the unanswerable suite a question without an answer is scored by whether it is declined, and its answerable twin
    by its answer: not declining is no merit in itself. Always declining scores 0.5 on the pairs, always answering
    wrongly 0.
    """
    if item.suite == Suite.UNANSWERABLE and not item.answerable:
        return float(abstains(text))
    if item.suite == Suite.UNANSWERABLE and abstains(text):
        return 0.0
    kind = kind_of(item)
    if kind == "program":
        return program_passes(human_eval_problem(item), text)
    if kind == "instructions":
        case = ifeval_prompt(item)
        return follows(text, case["instruction_id_list"], case["kwargs"])
    if kind == RUBRIC:
        return coverage(text, item.must, item.must_not)
    if kind == "reasoning-gym":
        return reasoning_gym_score(item, text)
    return SCORERS[kind](text, item.answers)


def program_passes(problem: Mapping[str, str], answer: str) -> float:
    """1 if the answer's function passes HumanEval's tests in the sandbox (pass@1 of a greedy answer).

    The first fenced block counts, or the whole answer. If it does not define the function, it is taken as its body.
    """
    code = code_of(answer)
    if f"def {problem['entry_point']}" in code:
        code = f"{problem['prompt'].partition('def ')[0]}\n{code}"
    else:
        code = problem["prompt"] + code
    # the tests of some problems call functions that stand before the one that is asked for
    test = f"{problem['prompt']}    pass\n{problem['test']}"
    outcome = run_program(code, test, problem["entry_point"])
    return float(outcome is Outcome.PASSED)


def score_arm(arm: str, items: Sequence[Item], answers: Iterable[Answer]) -> list[Score]:
    """Scores of an arm, in the order of the items; an item that the arm did not answer has none."""
    by_item = {answer.item_id: answer for answer in answers}
    answered = [item for item in items if item.id in by_item]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # programs in the sandbox run beside each other
        return list(pool.map(lambda item: _scored(arm, item, by_item[item.id]), answered))


def parses(item: Item, answer: str) -> bool | None:
    """Whether beginning and answer together parse without errors; null if the reference does not."""
    path = item.document_id.partition("/file/")[2]
    start = code_of(item.question) if kind_of(item) == "code" else ""
    if not _is_whole(path, f"{start}\n{item.answers[0]}"):
        return None
    return _is_whole(path, f"{start}\n{code_of(answer)}")


def _is_whole(path: str, code: str) -> bool:
    """Whether code has a syntax tree without errors; False for a language without a grammar."""
    from tree_sitter_language_pack import get_parser

    language = language_of(path)
    if language is None:
        return False
    return not get_parser(language).parse(code.encode("utf-8", "surrogatepass")).root_node.has_error


def _scored(arm: str, item: Item, answer: Answer) -> Score:
    is_code = kind_of(item) in ("code", "opening")
    return Score(
        id=f"{item.id}@{arm}",
        item_id=item.id,
        arm=arm,
        suite=item.suite,
        kind=kind_of(item),
        document_id=item.document_id,
        score=round(score(item, answer.text), 6),
        abstained=abstains(answer.text),
        identifier_f1=round(identifier_f1(answer.text, item.answers), 6) if is_code else None,
        parses=parses(item, answer.text) if is_code else None,
        verbatim_words=scorers.longest_verbatim_run(answer.text, item.answers[0]) if item.answers else 0,
        tokens=answer.tokens,
        finished=answer.finished,
    )
