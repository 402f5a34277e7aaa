"""`rawtune mcp`: a release as tools for agents and editors, by the Model Context Protocol.

`search`, `explain_symbol` and `what_changed` read the release's index and need no model; `ask` starts the tuned model
when it is first asked and keeps it until the client goes.
"""

from __future__ import annotations

import datetime
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final

from tasks.base.errors import RawtuneError
from tasks.base.store import Store
from tasks.release.lineage import chosen_release
from tasks.release.registry import Revision
from tasks.release.requests import RETRIEVAL
from tasks.release.serving import Endpoint, messages_of, serving, whole_answer
from tasks.release.sources import Changes, index_of, what_changed
from tasks.retrieval.index import Index
from tasks.retrieval.symbols import Found, Symbol, explain, found

MAX_PASSAGES: Final = 20
MAX_TOKENS: Final = 512


@dataclass
class Desk:
    """What the tools work with."""

    store: Store
    name: str
    release: Revision
    index: Index
    closing: ExitStack
    _endpoint: Endpoint | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def endpoint(self) -> Endpoint:
        """The server of the models, started by the first call."""
        with self._lock:
            if self._endpoint is None:
                self._endpoint = self.closing.enter_context(serving(self.store, self.release.artifact, sources=True))
            return self._endpoint


def serve_tools(store: Store, asked: str | None) -> None:
    """Serves the tools of a release until standard input ends.

    Raises:
        InputError: there is no such release, or it has no index.
    """
    name, release = chosen_release(store, asked)
    folder, _ = index_of(store, release.artifact)
    with ExitStack() as closing:
        tools(Desk(store, name, release, Index.open(folder), closing)).run("stdio")


def tools(desk: Desk) -> Any:
    """The server with its four tools; what their docstrings say is what an agent reads."""
    from anyio import to_thread
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    server = MCPServer(
        "rawtune",
        version=version("rawtune"),
        instructions=f"Knows the sources of {desk.name} as of {desk.release.revision}: code, pages and pull requests.",
        log_level="WARNING",
    )

    def told(work: Any, *arguments: Any) -> Any:
        try:
            return work(*arguments)
        except RawtuneError as error:
            raise ToolError(str(error)) from error

    async def ask(question: str, max_tokens: int = 256) -> dict[str, Any]:
        """Asks the model that was tuned on these sources; its answer comes with the passages that it was shown, those
        that the answer rests on marked as cited. A small model: check what matters with `search`.
        """
        return dict(await to_thread.run_sync(told, _ask, desk, question, max_tokens))

    async def search(query: str, number: int = 5) -> list[Found]:
        """The passages of the sources that fit a query best: identifiers first, else its words."""
        return [found(passage) for passage in desk.index.search(query, max(1, min(number, MAX_PASSAGES)))]

    async def explain_symbol(name: str) -> Symbol:
        """Where a function, class or constant is defined, with its text, and lines that use it."""
        return explain(name, desk.index)

    async def what_changed_since(since: datetime.date) -> Changes:
        """Pull requests since a day (YYYY-MM-DD), and files that differ from the last release up to it."""
        changes: Changes = await to_thread.run_sync(told, what_changed, desk.store, desk.name, desk.release, since)
        return changes

    for tool in (ask, search, explain_symbol):
        server.add_tool(tool)
    server.add_tool(what_changed_since, name="what_changed")
    return server


def _ask(desk: Desk, question: str, max_tokens: int) -> dict[str, Any]:
    text, fields = whole_answer(
        desk.endpoint(), f"tuned{RETRIEVAL}", messages_of(question), max(1, min(max_tokens, MAX_TOKENS))
    )
    return {"answer": text, "sources": fields["sources"]}
