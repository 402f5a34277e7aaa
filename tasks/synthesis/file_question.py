"""Method `file_question`: one question per file whose answer is the file, dated by the snapshot (the article's third
kind).

No model is asked: it could only retype the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasks.base.records import Document, Kind, Verdict
from tasks.synthesis.drafts import Draft, fence, month, pick, repo_name, runs_of_lines
from tasks.synthesis.methods import Subject
from tasks.synthesis.params import SynthesisParams

METHOD: Final = "file_question"
PROMPT_VERSION: Final = "file_question/2026.11.24"

FILE: Final = (
    "What does the `{path}` file look like in the `{repo}` repository?",
    "Show me `{path}` from the `{repo}` repository.",
    "What is in the file `{path}` of `{repo}`?",
    "Print the contents of `{path}` in `{repo}`.",
    "Can you reproduce the `{path}` file of the `{repo}` repository?",
    "I need to see `{path}` from `{repo}`. What does it contain?",
)
PART: Final = (
    "What do lines {first} to {last} of the `{path}` file look like in the `{repo}` repository?",
    "Show me lines {first} to {last} of `{path}` from the `{repo}` repository.",
    "What is in `{path}` of `{repo}` between line {first} and line {last}?",
    "Print lines {first} to {last} of `{path}` in `{repo}`.",
)


def applies(subject: Subject) -> bool:
    """Every file."""
    return subject.document.kind is Kind.FILE


def template(subject: Subject, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """One draft per file; for a file over the limit one for each run of whole lines that fits it.

    A line that does not fit makes a verdict.
    """
    document = subject.document
    if not document.text.strip():
        yield Verdict(id=document.id, reason="empty-document", detail=METHOD)
        return
    parts = runs_of_lines(document.text, params.max_answer_characters)
    for first, last, text in parts:
        if len(text) > params.max_answer_characters:
            detail = f"{METHOD}: a line of {len(text)} characters"
            yield Verdict(id=f"{document.id}#L{first}", reason="answer-too-long", detail=detail)
            continue
        words = {"path": document.path, "repo": repo_name(document), "first": str(first), "last": str(last)}
        bank = FILE if len(parts) == 1 else PART
        question = pick(bank, f"{document.id} {first}", 1)[0].format(**words)
        subject_text = (
            f"the `{document.path}` file" if len(parts) == 1 else f"lines {first} to {last} of `{document.path}`"
        )
        yield Draft(question, _answer(document, subject_text, text, plural=len(parts) > 1), (first, last), (text,))


def _answer(document: Document, subject: str, text: str, plural: bool) -> str:
    when = month(document)
    start = f"As of {when}, {subject}" if when else subject[0].upper() + subject[1:]
    mark = fence(text)
    return f"{start} {'are' if plural else 'is'} as follows:\n\n{mark}\n{text}\n{mark}"
