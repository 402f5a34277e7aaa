"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_STORE = "./.rawtune"

DIALOGUES = "synthesis/dialogues"
"""The step whose records people read one by one and edit."""

LEDGER = "ledger"
"""Not a room: what the runs of each month did and cost."""

StoreOption = Annotated[str | None, typer.Option("--store", help="Artifact store: a folder or s3://bucket/prefix.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
