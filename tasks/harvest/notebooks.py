"""A Jupyter notebook as Markdown: the words and the code of its cells, without outputs."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tasks.harvest.decoding import whole

_INLINE_DATA: Final = re.compile(r"data:[\w.+/-]{1,100};base64,[A-Za-z0-9+/=]{64,}")


def notebook_text(text: str) -> str | None:
    """The cells of a notebook (nbformat 3 and 4) in order, code in fences; None if the text is no notebook."""
    try:
        notebook, _ = whole(json.loads(text))
    except (ValueError, RecursionError):
        return None
    if not isinstance(notebook, dict):
        return None
    sheets = [notebook, *_listed(notebook.get("worksheets"))]
    cells = [cell for sheet in sheets for cell in _listed(sheet.get("cells"))]
    if not cells and not isinstance(notebook.get("cells"), list):
        return None
    language = _language(notebook)
    return "\n\n".join(part for cell in cells if (part := _cell(cell, language))) + "\n"


def _cell(cell: dict[str, Any], language: str) -> str:
    source = cell.get("source", cell.get("input", ""))
    written = "".join(map(str, source)) if isinstance(source, list) else str(source)
    kept = _INLINE_DATA.sub("", written).strip("\n")
    if cell.get("cell_type") != "code" or not kept:
        return kept
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`{3,}", kept)), 3)
    return f"{fence}{language}\n{kept}\n{fence}"


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    found = metadata.get("language_info") or metadata.get("kernelspec") if isinstance(metadata, dict) else None
    name = (found.get("name") or found.get("language")) if isinstance(found, dict) else ""
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z+#]{1,20}", name) else "python"


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
