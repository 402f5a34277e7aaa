"""Method `file_question`: one question per file whose answer is the file, dated by the snapshot (the article's third
kind of dialogue).
"""

from __future__ import annotations

from collections.abc import Iterator

from tasks.base.records import Document, Verdict
from tasks.synthesis.drafts import Draft, fence, month, pick, repo_name
from tasks.synthesis.params import SynthesisParams

METHOD = "file_question"
PROMPT_VERSION = "file_question/2026.11.24"

FILE = (
    "What does the `{path}` file look like in the `{repo}` repository?",
    "Show me `{path}` from the `{repo}` repository.",
    "What is in the file `{path}` of `{repo}`?",
    "Print the contents of `{path}` in `{repo}`.",
    "Can you reproduce the `{path}` file of the `{repo}` repository?",
    "I need to see `{path}` from `{repo}`. What does it contain?",
)
PART = (
    "What do lines {first} to {last} of the `{path}` file look like in the `{repo}` repository?",
    "Show me lines {first} to {last} of `{path}` from the `{repo}` repository.",
    "What is in `{path}` of `{repo}` between line {first} and line {last}?",
    "Print lines {first} to {last} of `{path}` in `{repo}`.",
)


def template(document: Document, params: SynthesisParams) -> Iterator[Draft | Verdict]:
    """One draft per file; for a file over the limit one per run of whole lines that fits it, and a verdict for each
    line that does not.
    """
    if not document.text.strip():
        yield Verdict(id=document.id, reason="empty-document", detail=METHOD)
        return
    parts = parts_of(document.text, params.max_answer_characters)
    for first, last, text in parts:
        if len(text) > params.max_answer_characters:
            detail = f"{METHOD}: a line of {len(text)} characters"
            yield Verdict(id=f"{document.id}#L{first}", reason="answer-too-long", detail=detail)
            continue
        words = {"path": document.path, "repo": repo_name(document), "first": str(first), "last": str(last)}
        bank = FILE if len(parts) == 1 else PART
        question = pick(bank, f"{document.id} {first}", 1)[0].format(**words)
        subject = f"the `{document.path}` file" if len(parts) == 1 else f"lines {first} to {last} of `{document.path}`"
        yield Draft(question, _answer(document, subject, text, plural=len(parts) > 1), (first, last), (text,))


def parts_of(text: str, limit: int) -> list[tuple[int, int, str]]:
    """(first line, last line, text) of runs of whole lines of at most `limit` characters; a longer line is a part of
    its own.

    The parts' texts joined by newlines are the text without its final newline.
    """
    parts: list[tuple[int, int, str]] = []
    held: list[str] = []
    size = 0
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if held and size + len(line) + 1 > limit:
            parts.append((number - len(held), number - 1, "\n".join(held)))
            held, size = [], 0
        size += len(line) + (1 if held else 0)
        held.append(line)
    parts.append((len(lines) - len(held) + 1, len(lines), "\n".join(held)))
    return parts


def _answer(document: Document, subject: str, text: str, plural: bool) -> str:
    when = month(document)
    start = f"As of {when}, {subject}" if when else subject[0].upper() + subject[1:]
    mark = fence(text)
    return f"{start} {'are' if plural else 'is'} as follows:\n\n{mark}\n{text}\n{mark}"
