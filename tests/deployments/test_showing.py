"""What `rawtune show` prints of text that a model wrote."""

import json
import re

import pytest

from deployments.cli.showing import find, show_artifacts
from tasks.base.store import Store
from tests.evaluation.conftest import answers_of

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\x00\r[bold red]markup[/] " + "A" * 100_000


def test_hostile_answers_cannot_drive_the_terminal_and_stay_short(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    answers_of(store, "base", {"a": HOSTILE, "b": "fine"})
    show_artifacts(store, find(store, "tests/answer-base"), records=3, as_json=False)
    shown = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "u001b[2J" in shown
    assert "[bold red]markup[/]" in shown
    assert len(shown) < 6_000
    assert '"text": "fine"' in shown
    show_artifacts(store, find(store, "tests/answer-base"), records=1, as_json=True)
    text = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f]", text)
    assert json.loads(text)[0]["first_records"][0]["text"] == HOSTILE
