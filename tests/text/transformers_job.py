"""Child job: what transformers makes of a dialogue."""

from collections.abc import Callable
from typing import Any


def apply_templates(request: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Token ids of each dialogue by each folder's tokenizer, with and without generation prompt."""
    from transformers import AutoTokenizer

    answers = {}
    for name, folder in request["folders"].items():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        answers[name] = [
            tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, add_generation_prompt=asks)
            for messages in request["dialogues"]
            for asks in (False, True)
        ]
    return answers
