"""Facts and dialogues of what strangers filled, in every language and format that is read, come in linear time."""

from __future__ import annotations

import pytest

from tasks.base.store import Store
from tasks.synthesis.dialogues import dialogues
from tasks.synthesis.facts.step import facts
from tasks.synthesis.params import SynthesisParams
from tests.synthesis.conftest import MakeSplit
from tests.text.hostile import MAX_SECONDS, TELLING, too_slow
from tests.text.readers import kinds

PATHS = (
    *("a.py", "a.ts", "A.tsx", "a.js", "a.go", "A.java", "A.kt", "A.scala", "a.rs", "a.rb", "a.php", "A.cs", "a.c"),
    *("a.cpp", "a.sh", "a.sql", "a.md", "CHANGELOG.md", "a.yaml", "a.json", "a.toml", "a.html", "a.css", "a.vue"),
    *("Dockerfile", "nginx.conf", ".env", "requirements.txt", "go.mod", "pom.xml", "package.json", "conf/routes"),
    *(".github/workflows/a.yml", "compose.yaml", "openapi.yaml", "tests/test_a.py", "notebook.ipynb", "a.txt"),
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_facts_and_dialogues_are_linear_in_every_format(store: Store, make_split: MakeSplit) -> None:
    number = len(kinds("a", PATHS))

    def work(text: str) -> None:
        split = make_split(kinds(text, PATHS))
        found = facts.direct(store, documents=split)
        dialogues.direct(store, documents=split, facts=found, params=SynthesisParams())

    said = [too_slow(work, filling, limit=MAX_SECONDS * number) for filling in TELLING]
    assert list(filter(None, said)) == []
