"""Servers that lie about usage, bill errors, or are asked from several machines: the cap holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict
from upath import UPath

from tasks.base.errors import BudgetError
from tasks.base.records import Message
from tasks.llm import online
from tasks.llm.budget import Budget
from tasks.llm.calls import Call
from tasks.llm.online import Online
from tasks.llm.params import Server
from tasks.llm.prices import prices_of
from tests.emulators.openai_api import OpenAIEmulator
from tests.emulators.openai_api.faults import Fault

MODEL = "gpt-5-mini"
PRICES = prices_of(Server("synthesis", (MODEL,)), MODEL)


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIEmulator]:
    monkeypatch.setattr(online, "FIRST_WAIT", 0.01)
    with OpenAIEmulator() as running:
        running.reply = lambda body: '{"text": "' + "word " * 400 + '"}'
        yield running


def call(number: int) -> Call:
    text = f"Question {number}. " + "Please answer at length. " * 40
    return Call(f"x#{number}", "said", Said, MODEL, (Message(role="user", content=text),), 500)


def billed(server: OpenAIEmulator) -> Decimal:
    return sum(
        ((one.input_tokens * PRICES.input_usd + one.output_tokens * PRICES.output_usd) / 1_000_000)
        for one in server.billed
    ) or Decimal(0)


def spend_all(server: OpenAIEmulator, folder: UPath, cap: float, at_once: int = 8, calls: int = 60) -> Budget:
    """Asks until the budget says no, and returns it."""

    async def run() -> Budget:
        budget = Budget(folder, cap)
        library = AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0)
        transport = Online(library, budget, {MODEL: PRICES}, at_once)
        outcomes = await asyncio.gather(*(transport.send(call(n)) for n in range(calls)), return_exceptions=True)
        await transport.close()
        assert any(isinstance(outcome, BudgetError) for outcome in outcomes)
        return budget

    return asyncio.run(run())


LIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "zeros": lambda usage: {"prompt_tokens": 0, "completion_tokens": 0},
    "no usage": lambda usage: None,
    "negative": lambda usage: usage | {"completion_tokens": -5_000},
    "more cached than sent": lambda usage: usage | {"prompt_tokens_details": {"cached_tokens": 10**6}},
    "fractions": lambda usage: usage | {"prompt_tokens": 0.5},
    "strings": lambda usage: {"prompt_tokens": "1", "completion_tokens": "1"},
    "a list": lambda usage: [1, 2],
    "one token each": lambda usage: {"prompt_tokens": 1, "completion_tokens": 1},
}


@pytest.mark.parametrize("lie", LIES)
def test_usage_that_cannot_be_right_counts_as_the_worst_case(server: OpenAIEmulator, tmp_path: Any, lie: str) -> None:
    server.settings.told_usage = LIES[lie]
    budget = spend_all(server, UPath(tmp_path / "budget"), 0.02)
    assert 0 < billed(server) <= Decimal("0.02")
    assert billed(server) <= budget.spent_usd <= budget.cap_usd


def test_cap_holds_over_machines_that_share_a_store(server: OpenAIEmulator) -> None:
    shared = UPath("memory://shared-budget/key")
    for _ in range(3):
        spend_all(server, shared, 0.02)
    assert Decimal("0.01") < billed(server) <= Decimal("0.02")


def test_server_that_breaks_off_may_have_billed_and_one_that_refuses_has_not(
    server: OpenAIEmulator, tmp_path: Any
) -> None:
    async def run(kind: Any) -> Decimal:
        server.billed.clear()
        server.faults.append(Fault(kind, retry_after=0.01))
        budget = Budget(UPath(tmp_path / kind), 1.0)
        library = AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0)
        transport = Online(library, budget, {MODEL: PRICES}, 1)
        await transport.send(call(1))
        await transport.close()
        return budget.spent_usd

    assert asyncio.run(run("server-error")) >= billed(server) + PRICES.worst(call(1))
    assert asyncio.run(run("rate-limit")) == billed(server)
