"""Facts of code on small repositories of every language: what is known is found, what is not so is not said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.synthesis.facts import code
from tasks.synthesis.facts.corpus import corpora
from tasks.text.facts import Fact
from tests.synthesis.conftest import document
from tests.synthesis.repositories import csharp, go, java, php, python, ruby, rust, typescript

LANGUAGES = {
    module.__name__.rsplit(".", 1)[-1]: module for module in (csharp, go, java, php, python, ruby, rust, typescript)
}


def facts_of(folder: Path, files: dict[str, str], held_out: dict[str, str] | None = None) -> list[Fact]:
    """Facts of both sides of a split that holds the files."""
    for name, found in (("train.jsonl", files), ("held_out.jsonl", held_out or {})):
        records = sorted((document(path, text) for path, text in found.items()), key=lambda record: record.id)
        (folder / name).write_text("".join(record.line() + "\n" for record in records))
    return [
        fact for side in corpora(folder, (code.FAMILY,)) for one in side.documents() for fact in code.facts(one, side)
    ]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_small_repository(language: str, tmp_path: Path) -> None:
    known = LANGUAGES[language]
    found = facts_of(tmp_path, known.FILES)
    values: dict[tuple[str, str], set[str]] = {}
    for fact in found:
        values.setdefault((fact.kind, fact.subject), set()).update(fact.values)
    missing = {key: (expected, values.get(key)) for key, expected in known.FACTS.items() if values.get(key) != expected}
    assert not missing
    assert not known.ABSENT & values.keys()
    assert len({fact.id for fact in found}) == len(found)
