"""What the dialogues of a split will cost, counted before anything is sent."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final

from pydantic import BaseModel, ConfigDict

from tasks.base.errors import InputError
from tasks.base.records import Document
from tasks.base.runs import read_records
from tasks.base.store import Artifact, Store
from tasks.synthesis.calls import Call, Usage
from tasks.synthesis.dialogues import METHODS
from tasks.synthesis.index import FILES, Index
from tasks.synthesis.methods import Subject, asks
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.prices import Prices, count_tokens, prices_of
from tasks.synthesis.responses import Responses

OUTPUT_TOKENS: Final = {
    "page_qa": 1_000,
    "page_instruction": 40,
    "atomic_facts": 2_000,
    "multi_hop": 250,
    "pull_why": 600,
    "rewrites": 900,
    "near_miss": 80,
}
"""Expected length of an answer by method, for a full window; a rough guess of ours, the worst case is exact."""

JUDGE_TOKENS: Final = 30
"""Expected output per judged pair."""


class Estimate(BaseModel):
    """Calls, tokens and dollars of one step, what the response cache already has left out."""

    model_config = ConfigDict(frozen=True)

    calls: int
    """Calls that must be sent: writing and judging; repair turns not counted."""
    cached: int
    """Writing calls that the response cache answers."""
    calls_by_method: dict[str, int]
    input_tokens: int
    """Of all prompts, by o200k; another model's tokenizer counts differently."""
    output_tokens: int
    """Expected."""
    usd: float
    """Expected, by the table or the stated prices, without discounts for the server's prompt cache."""
    worst_usd: float
    """If every answer used up its limit. Reservations are made on this."""


def estimate(store: Store, documents: Artifact, params: SynthesisParams) -> Estimate:
    """Counts the calls that `synthesis/dialogues` would make for a split; sends nothing.

    Raises:
        InputError: the provider is `openai` and a model or its price is missing.
    """
    tally = _Tally(Responses(store.local("cache", "synthesis") / "responses"))
    if params.provider == "template":
        return tally.estimate()
    if not params.model:
        raise InputError("synthesis.model: the provider `openai` needs the name of a model on the server")
    prices = {model: prices_of(params, model) for model in (params.model, params.judge_model) if model}
    index = Index(store.checkout(documents))
    for split, name in FILES.items():
        for document in read_records(store, documents, Document, name):
            subject = Subject(document, split, document.id in index.pages, index)
            for method in (METHODS[name] for name in params.methods):
                if asks(method) and method.applies(subject):
                    for call in method.calls(subject, params):
                        tally.add(call, params, prices)
    return tally.estimate()


class _Tally:
    def __init__(self, responses: Responses) -> None:
        self.responses = responses
        self.by_method: Counter[str] = Counter()
        self.cached = self.input_tokens = self.output_tokens = 0
        self.usd = self.worst_usd = Decimal(0)

    def add(self, call: Call, params: SynthesisParams, prices: dict[str, Prices]) -> None:
        """Counts a writing call and, if there is a judge, the call that will judge its answer."""
        if self.responses.get(call) is not None:
            self.cached += 1
            return
        size = sum(count_tokens(message.content) for message in call.messages)
        expected = min(OUTPUT_TOKENS[call.name], params.max_output_tokens)
        self._spend(call.name, call, size, expected, prices[call.model])
        if params.judge or call.name == "near_miss":
            # The judge reads the same documents and rules, and the answer; it writes scores.
            judged = prices[params.judge_model or call.model]
            self._spend("judge", call, size + expected, JUDGE_TOKENS * max(1, expected // 90), judged)

    def _spend(self, name: str, call: Call, input_tokens: int, output_tokens: int, prices: Prices) -> None:
        self.by_method[name] += 1
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.usd += prices.cost(Usage(input_tokens, 0, output_tokens))
        extra = call.max_output_tokens if name == "judge" else 0  # the judge reads what was written, too
        self.worst_usd += prices.cost(Usage(prices.input_bound(call) + extra, 0, call.max_output_tokens))

    def estimate(self) -> Estimate:
        """The sums."""
        return Estimate(
            calls=self.by_method.total(),
            cached=self.cached,
            calls_by_method=dict(sorted(self.by_method.items())),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            usd=round(float(self.usd), 4),
            worst_usd=round(float(self.worst_usd), 4),
        )
