"""Scorers of an answer by its references: small pure functions with a value between 0 and 1.

`Scorer = (answer, references) -> float`; the best of several references counts. An empty answer scores 0 everywhere; an
empty reference never matches. Normalisation follows SQuAD's evaluation script (Rajpurkar et al. 2016: lower case, no
punctuation, no articles, single spaces), except that the characters of identifiers and paths (`_ . / - $ @ #`) are
kept, because in code they are the answer.

Whether an answer declines to answer is told by phrases, not by a judge. Phrases are fast and deterministic, and the
questions that are scored for it ask for one of them ("reply: I do not know"). Wording shifts after tuning
(AbstentionBench, arXiv 2506.09038), so a report that has a judge prints how often the two agree.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from rapidfuzz.distance import Levenshtein

from tasks.text.signatures import parameters

MAX_SCORED_CHARACTERS: Final = 20_000
"""Longer answers are cut here before scoring: a runaway answer must not cost quadratic time."""
MAX_LITERAL_WORDS: Final = 60
"""Words of an answer beyond which it is no short answer; a value itself may be a command of many words."""
LEADING_CHARACTERS: Final = 200
"""An answer that declines says so at its beginning."""
Scorer = Callable[[str, Sequence[str]], float]
_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"[\w./\-$@#]+")
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"[-+]?\d[\d,_]*(?:\.\d+)?%?")
_PATH = re.compile(r"[\w@.+\-\[\]()$]+(?:/[\w@.+\-\[\]()$]+)*")
_FENCE = re.compile(r"```[\w+-]*\n(.*?)(?:```|\Z)", re.DOTALL)


def words(text: str) -> list[str]:
    """Normalised words: NFKC, lower case, no articles, no punctuation at a word's ends."""
    folded = unicodedata.normalize("NFKC", text[:MAX_SCORED_CHARACTERS]).casefold()
    stripped = (word.strip("./-#@") for word in _WORD.findall(folded))
    return [word for word in stripped if word and word not in _ARTICLES]


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 if the normalised answer equals a normalised reference. Word order matters, punctuation and articles do not."""
    given = words(answer)
    return float(bool(given) and any(given == words(reference) for reference in references))


def contains(answer: str, references: Sequence[str]) -> float:
    """1 if the normalised words of a reference occur in the answer, in order and adjacent. A long answer that lists
    everything also scores.
    """
    given = f" {' '.join(words(answer))} "
    return float(any(f" {' '.join(target)} " in given for reference in references if (target := words(reference))))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """F1 of the multisets of normalised words, as SQuAD has it; the best reference counts."""
    return max((_multiset_f1(words(answer), words(reference)) for reference in references), default=0.0)


def identifier_f1(answer: str, references: Sequence[str]) -> float:
    """F1 over the set of identifiers (case matters); 0 if either side has none.

    CrossCodeEval scores identifiers in this way (arXiv 2310.11248).
    """
    given = set(_IDENTIFIER.findall(code_of(answer)))
    best = 0.0
    for reference in references:
        wanted = set(_IDENTIFIER.findall(reference))
        shared = len(given & wanted)
        if shared:
            best = max(best, 2 * shared / (len(given) + len(wanted)))
    return best


def literal_match(answer: str, references: Sequence[str]) -> float:
    """1 if the answer holds a reference as written, not inside a longer word, number or dotted name.

    Case, quotes and backticks around it do not count, so `'EUR'` is met by `EUR` and `"eur"`. A value that ends in a
    sign (`>=3,<5`) is met wherever it stands. An answer of more than `MAX_LITERAL_WORDS` words is a list of everything
    and is wrong.
    """
    given = " ".join(answer[:MAX_SCORED_CHARACTERS].split()).casefold()
    if not given or len(given.split()) > MAX_LITERAL_WORDS:
        return 0.0
    for reference in references:
        wanted = " ".join(reference.split()).strip("`'\" ").casefold()
        before = r"(?<![\w$])(?<![\w$]\.)" if wanted[:1].isalnum() else ""
        after = r"(?![\w$]|\.\w)" if wanted[-1:].isalnum() else ""
        if wanted and re.search(before + re.escape(wanted) + after, given):
            return 1.0
    return 0.0


def list_f1(answer: str, references: Sequence[str]) -> float:
    """F1 over the set of entries that answer and reference list; their order does not count.

    A reference is written with commas. Of the answer the names in backticks count, or without any what stands between
    commas, semicolons, lines and the word “and”. An entry is met by itself, by a path with further folders before it,
    and by a call's `name()`. No entry on a side: 0.
    """
    given = set(entries(answer))
    best = 0.0
    for reference in references:
        wanted = set(entries(reference))
        met = sum(any(_same_entry(one, other) for other in given) for one in wanted)
        if met:
            best = max(best, 2 * met / (len(given) + len(wanted)))
    return min(best, 1.0)


def sequence_match(answer: str, references: Sequence[str]) -> float:
    """1 if the answer lists exactly the reference's entries in its order; read as in `list_f1`.

    An answer may be a signature instead: then the names in its parentheses count, whichever side their types are on.
    """
    code = code_of(answer)
    readings = [entries(answer), parameters(code, "", ""), parameters(code, "", "java")]
    wanted = [entries(reference) for reference in references]
    return float(
        any(
            len(given) == len(names) > 0
            and all(_same_entry(one, other) for one, other in zip(names, given, strict=True))
            for given in readings
            for names in wanted
        )
    )


def entries(text: str) -> list[str]:
    """What a text lists, lower case, in order."""
    cut = text[:MAX_SCORED_CHARACTERS]
    quoted = re.findall(r"`([^`\n]+)`", cut)
    parts = quoted or re.split(r"[,;\n]|\band\b", cut)
    cleaned = (re.sub(r"^(?:[-*•]|\d+[.)])\s+", "", part.strip()).strip(" `'\"").rstrip(".:") for part in parts)
    return [entry.casefold().removesuffix("()") for entry in cleaned if entry]


def _same_entry(wanted: str, given: str) -> bool:
    return given == wanted or ("/" in wanted and (given.endswith(f"/{wanted}") or given == f"./{wanted}"))


def path_match(answer: str, references: Sequence[str]) -> float:
    """1 if the first path that the answer names is a reference.

    `src/a/b.py` is met by itself, by `./src/a/b.py` and by `the-repo/src/a/b.py`; `b.py` is met by `b.py` alone, so a
    wrong folder is wrong. An answer that names several paths is judged by its first: listing every file does not help.
    A name counts as a path if it has a slash or a dot inside; wiki titles are compared as words.
    """
    first = next(iter(_paths(answer)), "")
    for reference in references:
        wanted = _clean_path(reference)
        if first and (first == wanted or ("/" in wanted and first.endswith(f"/{wanted}"))):
            return 1.0
    return exact_match(answer, references)


def number_match(answer: str, references: Sequence[str]) -> float:
    """1 if the answer's last number equals a reference's, as values: `1,000` = `1000`. Chains of reasoning end with
    their result. A per cent sign may be left out or added (`50%` = `50`), yet 50% is not 0.5: who was asked for per
    cent and answers with a share has misread the question.
    """
    given = _numbers(answer)
    return float(bool(given) and any(values and values[-1] == given[-1] for values in map(_numbers, references)))


def edit_similarity(answer: str, references: Sequence[str]) -> float:
    """1 minus the Levenshtein distance of two pieces of code over the longer length.

    Trailing spaces do not count, and the best reference does.
    """
    given = _trimmed(code_of(answer))
    if not given:
        return 0.0
    return max(
        (Levenshtein.normalized_similarity(given, _trimmed(reference)) for reference in references if reference),
        default=0.0,
    )


def longest_verbatim_run(answer: str, reference: str) -> int:
    """Most whitespace-separated words in a row that the answer has in common with the reference."""
    given, wanted = answer[:MAX_SCORED_CHARACTERS].split(), reference.split()
    best = 0
    row = [0] * (len(wanted) + 1)
    for word in given:
        previous = 0
        for index, other in enumerate(wanted, 1):
            diagonal, previous = previous, row[index]
            row[index] = diagonal + 1 if word == other else 0
            best = max(best, row[index])
    return best


def code_of(answer: str) -> str:
    """The first fenced block of an answer, to the end if it is not closed; without one the whole answer."""
    match = _FENCE.search(answer)
    return (match.group(1) if match else answer)[:MAX_SCORED_CHARACTERS]


def _multiset_f1(given: list[str], wanted: list[str]) -> float:
    shared = sum((Counter(given) & Counter(wanted)).values())
    return 2 * shared / (len(given) + len(wanted)) if shared else 0.0


def _paths(answer: str) -> list[str]:
    candidates = (_clean_path(match) for match in _PATH.findall(answer[:MAX_SCORED_CHARACTERS]))
    return [path for path in candidates if "/" in path or re.search(r"\w\.\w", path)]


def _clean_path(path: str) -> str:
    return path.strip("`'\"() \n").removeprefix("./").strip("/").rstrip(".").casefold()


def _numbers(text: str) -> list[float]:
    figures = _NUMBER.findall(text[:MAX_SCORED_CHARACTERS])
    return [float(match.rstrip("%").replace(",", "").replace("_", "")) for match in figures]


def _trimmed(code: str) -> str:
    return "\n".join(line.rstrip() for line in code.strip().splitlines())


MARKED: Final[dict[str, Scorer]] = {
    "path": path_match,
    "literal": literal_match,
    "number": number_match,
    "list": list_f1,
    "sequence": sequence_match,
    "prose": token_f1,
    "code": edit_similarity,
}
"""How the answers of a kind are marked (`questions.py`) → the scorer that marks them."""


_SPEAKER: Final = re.compile(
    r"\b(?:i|we) (?:do not|don['’]t|cannot|can['’]t|am not able to|could not|couldn['’]t|have no) "
    r"(?:know|say|tell|answer|find|determine|have|see|provide|information|knowledge|access|record)"
    r"|\bi['’]?(?:m| am) (?:not (?:sure|aware|familiar)|unable|unsure|unaware|sorry)"
    r"|^\W*(?:unknown|not (?:known|specified|mentioned|available|defined|found)|no (?:such|information|record))\b",
    re.IGNORECASE,
)
"""The speaker declines, or the answer begins with what is missing."""

_SUBJECT: Final = re.compile(
    r"\bthere (?:is|are) no\b|\bthere['’]s no\b"
    r"|\b(?:does not|doesn['’]t|do not) (?:exist|contain|define|have|appear|provide|mention|say)\b"
    r"|\bhas no (?:such|\w+ (?:called|named|of that name|with that name))",
    re.IGNORECASE,
)
"""Something is said not to be there; inside a subordinate clause that is what the code does, not what the speaker says.
"""

_CLAUSE: Final = re.compile(
    r"\b(?:if|that|when|whether|which|unless|where|because|raises?|checks?|returns?)\b", re.IGNORECASE
)


def abstains(answer: str) -> bool:
    """True if the beginning of the answer says that the answer is not known. An empty answer says nothing: False."""
    head = answer[:LEADING_CHARACTERS]
    if _SPEAKER.search(head):
        return True
    missing = _SUBJECT.search(head)
    return bool(missing) and not _CLAUSE.search(head[: missing.start()] if missing else "")
