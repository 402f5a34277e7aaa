"""What the training table is made of: parts (a chunk, a dialogue) and the rows that hold them."""

from __future__ import annotations

from tasks.base.records import Record

ROWS = "rows.jsonl"
TABLE = "table.parquet"


class Part(Record):
    """A chunk or dialogue as it stands in a row."""

    id: str
    """Id of the chunk, dialogue or replay record."""
    source: str
    """`raw-file`, `raw-pull`, `raw-wiki`, `dialogue-<method>` or `replay-<name>`."""
    document_id: str
    tokens: int
    trained_tokens: int
    """Tokens under the loss."""
    copy_number: int
    """0, and counted up where the mixture repeats the same part."""


class Row(Record):
    """A row of the table, in the table's order."""

    id: str
    tokens: int
    parts: tuple[Part, ...]
    """In the row's order; positions restart at 0 with each."""
