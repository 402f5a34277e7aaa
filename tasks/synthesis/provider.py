"""From parameters to a way of asking: client, budget, transport, desk."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tasks.base.errors import InputError
from tasks.synthesis.batches import Batches
from tasks.synthesis.budget import Budget
from tasks.synthesis.desk import Desk
from tasks.synthesis.online import Online
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.prices import Prices, prices_of
from tasks.synthesis.responses import Responses

OPENAI: Final = "https://api.openai.com/v1"

NO_KEY: Final = "none"
"""Sent to a server of one's own, which asks for no key; the client refuses to start without one."""


def checked_prices(params: SynthesisParams) -> dict[str, Prices]:
    """Prices of the models that the parameters name.

    Raises:
        InputError: no model is named, its price is unknown, or the budget allows nothing.
    """
    if not params.model:
        raise InputError("synthesis.model: the provider `openai` needs the name of a model on the server")
    prices = {model: prices_of(params, model) for model in {params.model, params.judge_model or params.model}}
    if params.budget_usd == 0 and not all(price.free for price in prices.values()):
        raise InputError(
            "synthesis.budget_usd: 0 allows no call; state how many dollars may be spent (see `rawtune plan`)"
        )
    return prices


@asynccontextmanager
async def opened(params: SynthesisParams, cache: Path, key: str) -> AsyncIterator[tuple[Desk, Budget]]:
    """A desk to ask at and the budget that it pays from, for one step key.

    Args:
        params: what and where to ask.
        cache: folder of responses, spend journals and batch records.
        key: the step's key; a resumed run has the same and goes on counting.

    Raises:
        InputError: the parameters or the environment lack something.
    """
    from openai import AsyncOpenAI

    prices = checked_prices(params)
    api_key = os.environ.get("OPENAI_API_KEY")
    if not api_key and params.base_url.rstrip("/") == OPENAI:
        raise InputError(f"OPENAI_API_KEY: not set; {OPENAI} needs it")
    for folder in ("spend", "batches"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    budget = Budget(cache / "spend" / f"{key}.jsonl", params.budget_usd)
    retries = 4 if params.batch else 0
    client = AsyncOpenAI(
        api_key=api_key or NO_KEY, base_url=params.base_url, max_retries=retries, timeout=params.timeout
    )
    records = cache / "batches" / key
    transport: Online | Batches
    if params.batch:
        records.mkdir(exist_ok=True)
        transport = Batches(client, budget, prices, records, params.batch_requests, params.batch_poll)
    else:
        transport = Online(client, budget, prices, params.concurrency)
    try:
        yield Desk(transport, Responses(cache / "responses"), params.at_budget == "keep"), budget
        if isinstance(transport, Batches):
            transport.forget()
    finally:
        await transport.close()
        budget.close()
