"""No text that a stranger writes takes long: patterns and readers are found by introspection, so new ones are covered.

The house issue asks for 2 seconds a megabyte; what it takes is told from smaller texts (`tests/text/hostile.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.text.hostile import FILLINGS, MAX_SECONDS, TELLING, too_slow
from tests.text.patterns import Use, pumped, uses
from tests.text.readers import Reader, kinds, readers

USES = uses()
READERS = readers()


def work_of(use: Use) -> Callable[[str], Any]:
    """What the code does with a pattern at worst: all that it finds, or a match of the whole."""

    def work(text: str) -> None:
        said: Any = text.encode("utf-8", "surrogatepass") if isinstance(use.pattern.pattern, bytes) else text
        if use.anchored:
            use.pattern.fullmatch(said)
            use.pattern.match(said)
        else:
            sum(1 for _ in use.pattern.finditer(said))

    return work


def slow_patterns(fillings: tuple[str, ...]) -> list[str]:
    found = []
    for use in USES:
        cases = [("", filling) for filling in fillings] + list(pumped(use.pattern))
        said = next(filter(None, (too_slow(work_of(use), filling, lead) for lead, filling in cases)), None)
        found += [f"{use.where}: {use.pattern.pattern!r}: {said}"] if said else []
    return found


def test_patterns_and_readers_are_found() -> None:
    assert len(FILLINGS) >= 60
    assert len(USES) > 250
    assert {"tasks.corpus.references.find_references", "tasks.text.markdown.sections"} <= {one.name for one in READERS}
    assert sum(one.takes_documents for one in READERS) > 50
    assert {"file", "wiki", "pull"} == {one.kind for one in kinds("a")}


@pytest.mark.parametrize(
    ("pattern", "lead"), [(r"\[\[[^\]]+\]\]", ""), (r"\s*b", ""), (r"^(x+x+)+$", ""), (r"(?:<!--.*-->)+", "")]
)
def test_slow_pattern_is_seen(pattern: str, lead: str) -> None:
    use = Use("here", re.compile(pattern), False)
    cases = [*(("", filling) for filling in TELLING), *pumped(use.pattern)]
    assert any(too_slow(work_of(use), filling, lead) for lead, filling in cases)


def test_patterns_are_linear_in_what_they_repeat() -> None:
    assert slow_patterns(()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_patterns_are_linear_in_every_filling() -> None:
    assert slow_patterns(FILLINGS) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_readers_of_text_are_linear_in_every_filling() -> None:
    found = []
    for reader in READERS:
        if not reader.takes_documents:
            said = next(filter(None, (too_slow(reader.read, filling) for filling in FILLINGS)), None)
            found += [f"{reader.name}: {said}"] if said else []
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_readers_of_documents_are_linear_in_every_kind() -> None:
    number = len(kinds("a"))
    found = []
    for reader in READERS:
        if reader.takes_documents:

            def work(text: str, reader: Reader = reader) -> None:
                for document in kinds(text):
                    reader.read(text, document)

            said = next(
                filter(None, (too_slow(work, filling, limit=MAX_SECONDS * number) for filling in TELLING)), None
            )
            found += [f"{reader.name}: {said}"] if said else []
    assert not found, "\n".join(found)
