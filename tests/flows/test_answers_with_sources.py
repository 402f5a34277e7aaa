"""The release of the shared run asked by its users' own clients: an agent by MCP, a person by `llm`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.flows.conftest import Finished

pytestmark = pytest.mark.slow


def called(finished: Finished, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """Names of the tools of `rawtune mcp`, and what it answers to some calls, in order."""
    command = ["-c", "from deployments.cli import main; main()", "mcp", "post", "--store", str(finished.store.uri)]
    server = StdioServerParameters(command=sys.executable, args=command, cwd=Path(__file__).parents[2])

    async def run() -> tuple[list[str], list[Any]]:
        async with Client(server) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            return names, [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(run())


def test_agent_searches_explains_and_asks_what_changed(finished: Finished) -> None:
    names, (passages, symbol, changes, wrong) = called(
        finished,
        ("search", {"query": "Where is `weigh_parcel`?", "number": 1}),
        ("explain_symbol", {"name": "weigh_parcel"}),
        ("what_changed", {"since": "2023-12-01"}),
        ("what_changed", {"since": "yesterday"}),
    )
    assert names == ["ask", "search", "explain_symbol", "what_changed"]
    (found,) = passages.structured_content["result"]
    assert found["place"].startswith("post/parcel.py:")
    assert "def weigh_parcel(grams):" in found["text"]
    (defined,) = symbol.structured_content["definitions"]
    assert defined["place"] == found["place"]
    assert changes.structured_content["undated_pulls"] == 1  # one was never merged, and plain git does not say when
    assert changes.structured_content["compared_with"] is None
    assert wrong.is_error


def test_agent_asks_the_tuned_model_and_hears_what_it_was_shown(finished: Finished) -> None:
    _, (answer,) = called(finished, ("ask", {"question": "Where is `weigh_parcel` defined?", "max_tokens": 8}))
    told = json.loads(answer.content[0].text)
    assert "\n\nSources:" in told["answer"]
    assert told["sources"][0]["place"].startswith("post/parcel.py:")
