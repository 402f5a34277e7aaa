"""`python -m tasks.release.gguf_convert SOURCES …`: llama.cpp's converter, from its sources, in a process of its own.

It knows a tokenizer by the ids of one text and gives up on others, such as one that came from a GGUF file. Those are
named here by how they split text, where llama.cpp has a name for that; whether ids are the same `verify-export` finds.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any


def pretokenizer(document: dict[str, Any]) -> str | None:
    """llama.cpp's name for how a tokenizer.json splits text before merging; null = none of those known here."""
    described = json.dumps(document.get("pre_tokenizer") or {})
    if '"Digits"' in described:
        return "smollm"
    if '"Split"' in described:
        return "llama-bpe" if "{1,3}" in described else None
    return "gpt-2" if '"ByteLevel"' in described else None


def main() -> None:
    """Runs the converter with the rest of the arguments."""
    sources = Path(sys.argv.pop(1))
    sys.path[:0] = [str(sources), str(sources / "gguf-py")]
    model: Any = importlib.import_module("conversion.base").TextModel
    known = model.get_vocab_base_pre

    def named(self: Any, tokenizer: Any) -> str:
        try:
            return str(known(self, tokenizer))
        except NotImplementedError:
            name = pretokenizer(json.loads((self.dir_model / "tokenizer.json").read_text("utf-8")))
            if name is None:
                raise
            return name

    model.get_vocab_base_pre = named
    runpy.run_path(str(sources / "convert_hf_to_gguf.py"), run_name="__main__")


if __name__ == "__main__":
    main()
