"""The general text on which forgetting is measured, by domain; see docs/general-text.md for sources and licences.

`tests/benchmarks/general_text.py` made it from files of Debian and PyPI packages.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from importlib import resources
from typing import Final

FILE: Final = "general_text.jsonl.xz"


@cache
def general_texts() -> dict[str, dict[str, str]]:
    """Domain → id → text, in the order of both."""
    packed = (resources.files("tasks.text") / FILE).read_bytes()
    texts: dict[str, dict[str, str]] = {}
    for line in lzma.decompress(packed).decode("utf-8").splitlines():
        entry = json.loads(line)
        texts.setdefault(entry["domain"], {})[entry["id"]] = entry["text"]
    return texts
