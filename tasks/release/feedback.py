"""What people think of answers, as dialogues that a later run can train on (`synthesis.feedback`).

feedback/<name>/liked.jsonl      conversations whose last answer got a thumb up
feedback/<name>/disliked.jsonl   … a thumb down
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasks.base.files import write_text
from tasks.base.locks import hold
from tasks.base.records import Dialogue, Message, Provenance, Split
from tasks.base.store import Store

METHOD: Final = "feedback"


def keep_vote(store: Store, name: str, revision: str, model: str, messages: Sequence[Message], liked: bool) -> Dialogue:
    """Appends a conversation to the liked or disliked ones and returns its record.

    Args:
        store: where it is kept.
        name: project of the release.
        revision: the release that answered.
        model: `tuned` or `base`.
        messages: the conversation up to the answer that was voted on.
        liked: thumb up or down.
    """
    side = "liked" if liked else "disliked"
    path = store.root / "feedback" / name / f"{side}.jsonl"
    with hold(store, f"feedback/{name}"):
        known = path.read_text("utf-8") if path.exists() else ""
        dialogue = Dialogue(
            id=f"{name}/feedback/{side}/{known.count(chr(10)) + 1:07d}",
            messages=tuple(messages),
            method=METHOD,
            provenance=Provenance(
                document_id=f"{name}/feedback",
                revision=revision,
                span=(1, 1),
                prompt_version=METHOD,
                model=f"{model}@{revision}",
            ),
            split=Split.TRAIN,
        )
        write_text(path, known + dialogue.line() + "\n")
    return dialogue
