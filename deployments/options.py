"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tasks.base.errors import InputError

if TYPE_CHECKING:
    from tasks.base.store import Store

DEFAULT_STORE = "./.rawtune"

DIALOGUES = "synthesis/dialogues"
"""The step whose records people read one by one and edit."""

LEDGER = "ledger"
"""Not a room: what the runs of each month did and cost."""

StoreOption = Annotated[str | None, typer.Option("--store", help="Artifact store: a folder or s3://bucket/prefix.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def open_store(uri: str | None) -> Store:
    """The store that `--store` names, or the default one.

    Raises:
        InputError: it is at an address that cannot be read: no such protocol, bucket, credentials or network.
    """
    from tasks.base.store import Store

    try:
        store = Store(uri or DEFAULT_STORE)
        if not store.is_local:
            store.root.fs.exists(store.root.path)
    except Exception as error:  # every file system has its own error types; all of them mean the same to the user
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"--store {uri}: cannot be read ({reason}); check the address, and for s3:// AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL"
        ) from error
    return store
