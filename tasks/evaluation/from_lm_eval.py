"""Turns an lm-eval task into JSON lines for `evaluation.general_file`, so that it measures forgetting.

    python -m tasks.evaluation.from_lm_eval TASK [--include-path FOLDER] [--limit 100] > own.jsonl

It runs where lm-eval is installed, once; runs of rawtune read the file, offline. Multiple choice is answered by
likelihood as ever; of generated answers only those whose target is short enough to be looked for in an answer are taken
over, because an lm-eval task's own filters and metrics stay behind.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import islice
from typing import Any

from tasks.evaluation.facts import MAX_ANSWER_CHARACTERS


def entry(suite: str, question: Any, target: Any, choices: Sequence[str] | None) -> dict[str, Any] | None:
    """One line of the file, or None if the question is not one that rawtune can score.

    Args:
        suite: name of the task.
        question: what `doc_to_text` says; a number where a task has several inputs instead of several targets.
        target: what `doc_to_target` says: text, a choice's position, or a list of either.
        choices: what `doc_to_choice` says; null for a task that generates.
    """
    if not isinstance(question, str) or not question.strip():
        return None
    targets = target if isinstance(target, list) else [target]
    if choices is not None:
        right = [choices[one] if isinstance(one, int) else str(one).strip() for one in targets]
        offered = [one.strip() for one in choices]
        if len(right) != 1 or right[0].strip() not in offered:
            return None
        return {"question": question, "answers": [right[0].strip()], "choices": offered, "suite": suite}
    answers = [str(one).strip() for one in targets]
    if not all(0 < len(answer) <= MAX_ANSWER_CHARACTERS for answer in answers):
        return None
    return {"question": question, "answers": answers, "suite": suite}


def read_task(name: str, include_path: str | None, limit: int) -> tuple[list[dict[str, Any]], int]:
    """Lines of the task's first questions, and how many of these questions cannot be taken over."""
    from lm_eval.tasks import TaskManager

    task = TaskManager(include_path=include_path).load([name])["tasks"][name]
    chosen = task.OUTPUT_TYPE == "multiple_choice"
    lines = [
        entry(name, task.doc_to_text(doc), task.doc_to_target(doc), task.doc_to_choice(doc) if chosen else None)
        for doc in islice(task.eval_docs, limit)
    ]
    return [line for line in lines if line], sum(line is None for line in lines)


def main() -> None:
    """Writes the lines to standard output and what was left behind to standard error."""
    parser = argparse.ArgumentParser(prog="python -m tasks.evaluation.from_lm_eval")
    parser.add_argument("task")
    parser.add_argument("--include-path", help="folder of one's own task files")
    parser.add_argument("--limit", type=int, default=100)
    arguments = parser.parse_args()
    lines, lost = read_task(arguments.task, arguments.include_path, arguments.limit)
    sys.stdout.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    print(f"{arguments.task}: {len(lines)} questions taken over, {lost} not", file=sys.stderr)


if __name__ == "__main__":
    main()
