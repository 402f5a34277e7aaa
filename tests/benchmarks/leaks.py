"""The leak guard: planted copies found, innocent questions accused and tokens a second, beside the usual methods.

    python tests/benchmarks/leaks.py [MILLIONS_OF_WORDS]

Texts are drawn from a Zipf vocabulary, so every overlap that is not planted is chance or template. 500 questions of one
template; 250 of them are pasted, with their answers, into a text each, one fifth in each disguise; the texts also hold
every answer, alone, and 250 template questions about other names.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from tasks.base.records import Item, Provenance
from tasks.mixture.leaks.matching import QuestionIndex, Texts, words
from tasks.text import ngrams

TEXT_WORDS = 1_000
QUESTIONS = 500
DISGUISES = ("verbatim", "case and punctuation", "markup and spacing", "one word replaced", "a word in ten replaced")


class Corpus:
    """Texts with planted questions, and what was planted how."""

    def __init__(self, millions: float) -> None:
        drawn = random.Random(0)
        letters = "abcdefghijklmnopqrstuvwxyz"
        vocabulary = ["".join(drawn.choices(letters, k=drawn.randint(2, 9))) for _ in range(20_000)]
        weights = 1 / np.arange(1, len(vocabulary) + 1)
        chosen = np.random.default_rng(0).choice(len(vocabulary), size=int(millions * 1e6), p=weights / weights.sum())
        count = len(chosen) // TEXT_WORDS
        self.texts = [
            " ".join(vocabulary[n] for n in chosen[i * TEXT_WORDS : (i + 1) * TEXT_WORDS]) for i in range(count)
        ]
        rare = vocabulary[2_000:]

        def phrase(length: int) -> str:
            return " ".join(drawn.choices(rare, k=length))

        def ask() -> str:
            return f"In the {rare[0]} repository, what does the {phrase(3)} do when the {phrase(4)} is switched off?"

        self.items = [_item(number, ask(), phrase(8)) for number in range(QUESTIONS)]
        for item in self.items:
            self._plant(item.answers[0], drawn)
        for _ in range(QUESTIONS // 2):
            self._plant(f"{ask()} {drawn.choice(self.items).answers[0]}", drawn)
        self.planted: dict[int, str] = {}
        for number in range(QUESTIONS // 2):
            self.planted[number] = DISGUISES[number % len(DISGUISES)]
            item = self.items[number]
            self._plant(_disguised(f"{item.question} {item.answers[0]}", self.planted[number], drawn, rare), drawn)

    def _plant(self, text: str, drawn: random.Random) -> None:
        place = drawn.randrange(len(self.texts))
        spaces = [found for found, letter in enumerate(self.texts[place]) if letter == " "]
        at = drawn.choice(spaces)
        self.texts[place] = f"{self.texts[place][:at]} {text} {self.texts[place][at:]}"


def _item(number: int, question: str, answer: str) -> Item:
    provenance = Provenance(document_id=str(number), revision="", span=(1, 1), prompt_version="", model="")
    return Item(
        id=str(number),
        suite="recall",
        question=question,
        answers=(answer,),
        document_id=str(number),
        span=(1, 1),
        answerable=True,
        pair_id=None,
        provenance=provenance,
    )


def _disguised(text: str, disguise: str, drawn: random.Random, vocabulary: Sequence[str]) -> str:
    parts = text.split()
    match disguise:
        case "case and punctuation":
            return " -- ".join([text.upper().replace(",", ";").replace("?", "!"), ""])
        case "markup and spacing":
            return "\n".join(f"**{part}**  " for part in parts)
        case "one word replaced":
            parts[drawn.randrange(len(parts))] = drawn.choice(vocabulary)
        case "a word in ten replaced":
            for place in range(drawn.randrange(10), len(parts), 10):
                parts[place] = drawn.choice(vocabulary)
    return " ".join(parts)


def ours(items: Sequence[Item], texts: Sequence[str]) -> set[int]:
    index = QuestionIndex(items, overlap=0.5, jaccard=0.7)
    batches = [texts[start : start + 150] for start in range(0, len(texts), 150)]
    return {match.item for batch in batches for _, match in index.search(Texts.of(batch), need_answer=True)}


def any_gram(size: int) -> Callable[[Sequence[Item], Sequence[str]], set[int]]:
    """GPT-3's and PaLM's way: a question with its answer leaked if any of its n-grams stands in a text."""

    def find(items: Sequence[Item], texts: Sequence[str]) -> set[int]:
        wanted = [ngrams.window_hashes(ngrams.words(f"{i.question} {i.answers[0]}"), size) for i in items]
        seen = [ngrams.window_hashes(ngrams.words(text), size) for text in texts]
        known = np.unique(np.concatenate(seen))
        places = [np.minimum(np.searchsorted(known, grams), len(known) - 1) for grams in wanted]
        return {
            number for number, (grams, at) in enumerate(zip(wanted, places, strict=True)) if (known[at] == grams).any()
        }

    return find


def minhash(items: Sequence[Item], texts: Sequence[str]) -> set[int]:
    """MinHash of question-with-answer against whole texts, Jaccard 0.7: what deduplication libraries offer."""
    asked = ngrams.signatures([f"{item.question} {item.answers[0]}" for item in items])
    trained = ngrams.signatures(list(texts))
    return {n for n, signature in enumerate(asked) if (np.mean(trained == signature, axis=1) >= 0.7).any()}


def minhash_windows(items: Sequence[Item], texts: Sequence[str]) -> set[int]:
    """The same against windows of 40 words, half overlapping."""
    windows = []
    for text in texts:
        found = words(text)
        windows += [" ".join(found[start : start + 40]) for start in range(0, len(found), 20)]
    return minhash(items, windows)


def main() -> None:
    """Prints the table."""
    corpus = Corpus(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    total = sum(len(text.split()) for text in corpus.texts)
    table = Table(title=f"{QUESTIONS} questions, {len(corpus.planted)} of them planted in {total:,} words")
    for column in ("method", *DISGUISES, "innocent accused", "words a second"):
        table.add_column(column, justify="left" if column == "method" else "right")
    methods = {
        "leak guard": ours,
        "any 13-gram": any_gram(13),
        "any 8-gram": any_gram(8),
        "MinHash, whole texts": minhash,
        "MinHash, windows": minhash_windows,
    }
    for name, method in methods.items():
        started = time.perf_counter()
        found = method(corpus.items, corpus.texts)
        seconds = time.perf_counter() - started
        shares = []
        for disguise in DISGUISES:
            numbers = {number for number, used in corpus.planted.items() if used == disguise}
            shares.append(f"{len(numbers & found) / len(numbers):.0%}")
        innocent = len(found - corpus.planted.keys()) / (QUESTIONS - len(corpus.planted))
        table.add_row(name, *shares, f"{innocent:.0%}", f"{total / seconds:,.0f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
