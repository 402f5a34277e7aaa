"""What the dialogues of a split will cost, counted before anything is sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, PlainSerializer

from tasks.base.artifacts import Artifact
from tasks.base.errors import InputError
from tasks.base.records import Dialogue, Document, Split
from tasks.base.runs import RECORDS, read_records
from tasks.base.store import Store
from tasks.llm.calls import Call, Usage
from tasks.llm.client import Responses
from tasks.llm.prices import Prices, count_tokens, prices_of
from tasks.synthesis.curation import Curated
from tasks.synthesis.dialogues import METHODS
from tasks.synthesis.facts.shelf import Shelf
from tasks.synthesis.feedback import METHOD, FeedbackParams, trained_votes
from tasks.synthesis.index import FILES, Index
from tasks.synthesis.methods import Method, Subject, asks, has_template
from tasks.synthesis.params import SynthesisParams
from tasks.synthesis.templates import from_template

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

VERBATIM: Final = frozenset({"page_instruction"})
"""Methods whose answers are the document itself; the model writes questions only."""

JUDGE_TOKENS: Final = 30
"""Expected output per judged pair."""


Dollars = Annotated[Decimal, PlainSerializer(lambda usd: round(float(usd), 6), return_type=float)]


class Share(BaseModel):
    """Calls of one method, or of the judge."""

    calls: int = 0
    """Calls that must be sent; repair turns not counted."""
    input_tokens: int = 0
    """Of all prompts, by o200k; another model's tokenizer counts differently."""
    output_tokens: int = 0
    """Expected."""
    usd: Dollars = Decimal(0)
    """Expected, by the table or the stated prices, without discounts for the server's prompt cache."""
    worst_usd: Dollars = Decimal(0)
    """If every answer used up its limit. Reservations are made on this."""

    def add(self, other: Share) -> None:
        """Adds another share's figures to these."""
        for name in Share.model_fields:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Estimate(BaseModel):
    """Calls, tokens and dollars of one step, what the response cache already has left out."""

    model_config = ConfigDict(frozen=True)

    methods: dict[str, Share]
    """By method, `judge` for the judging calls of all."""
    cached: int
    """Writing calls that the response cache answers."""
    dialogue_tokens: dict[str, int]
    """Expected tokens of the trained side's questions and answers, by method; what the table will hold of them."""

    @property
    def total(self) -> Share:
        """The sums over all methods."""
        total = Share()
        for share in self.methods.values():
            total.add(share)
        return total


def estimate(store: Store, documents: Artifact, facts: Artifact, params: SynthesisParams) -> Estimate:
    """Counts the calls that `synthesis/dialogues` would make for a split with the provider `openai`; sends nothing.

    Raises:
        InputError: a model or its price is missing.
    """
    if not params.model:
        raise InputError("synthesis.model: the provider `openai` needs the name of a model on the server")
    prices = {model: prices_of(params.server(), model) for model in (params.model, params.judge_model) if model}
    tally = _Tally(Responses(store.local("cache", "synthesis") / "responses"), prices)
    index = Index(store.checkout(documents))
    shelf = Shelf(store.checkout(facts) / RECORDS)
    for split, name in FILES.items():
        for document in read_records(store, documents, Document, name):
            subject = Subject(document, split, document.id in index.pages, index, shelf.of(document.id))
            for name in (*params.by("openai"), *params.by("template")):
                method = METHODS[name]
                if method.applies(subject):
                    tally.take(subject, method, params, name in params.by("openai"))
    return Estimate(
        methods=dict(sorted(tally.methods.items())),
        cached=tally.cached,
        dialogue_tokens=dict(sorted(tally.dialogue_tokens.items())),
    )


class Spending(BaseModel):
    """What the dialogues will cost."""

    model_config = ConfigDict(frozen=True)

    provider: str
    model: str | None
    batch: bool
    methods: dict[str, Share]
    """Calls, tokens and dollars by method; `judge` for the judging of all."""
    calls: int
    cached: int
    """Calls that earlier answers save."""
    dialogues: int | None
    """How many there are, if they are made already."""
    usd: float
    worst_usd: float
    """If every answer used up its limit."""
    budget_usd: float
    within_budget: bool
    """Whether the expected cost fits the cap; at the cap the run stops and keeps what it has."""


def spending(params: SynthesisParams, estimated: Estimate | None, pairs: Artifact | None) -> Spending:
    """What the dialogues will cost; nothing where a template or an earlier run has made them."""
    shares = {} if estimated is None or pairs is not None else estimated.methods
    total = estimated.total if estimated and shares else Share()
    return Spending(
        provider=params.provider,
        model=params.model if estimated else None,
        batch=params.batch and estimated is not None,
        methods=shares,
        calls=total.calls,
        cached=estimated.cached if estimated else 0,
        dialogues=pairs.counts["records"] if pairs else None,
        usd=round(float(total.usd), 4),
        worst_usd=round(float(total.worst_usd), 4),
        budget_usd=params.budget_usd,
        within_budget=float(total.usd) <= params.budget_usd,
    )


def tokens_by_method(store: Store, pairs: Artifact, held_out: bool) -> dict[str, int]:
    """Tokens (o200k) of finished dialogues by method: the trained side's, or those of both sides."""
    found: Counter[str] = Counter()
    for dialogue in read_records(store, pairs, Dialogue):
        if held_out or dialogue.split is Split.TRAIN:
            found[dialogue.method] += sum(count_tokens(message.content) for message in dialogue.messages)
    return dict(sorted(found.items()))


def tokens_of_votes(votes: FeedbackParams | None) -> dict[str, int]:
    """Tokens (o200k) of the chat's votes that can be trained on, as `tokens_by_method` would count them; empty if none.

    Raises:
        InputError: a line is not a vote.
    """
    if votes is None:
        return {}
    dialogues = trained_votes(votes, lambda where, reason, detail: None)
    return {METHOD: sum(count_tokens(message.content) for one in dialogues for message in one.messages)}


class _Tally:
    def __init__(self, responses: Responses, prices: dict[str, Prices]) -> None:
        self.responses = responses
        self.prices = prices
        self.methods: defaultdict[str, Share] = defaultdict(Share)
        self.dialogue_tokens: Counter[str] = Counter()
        self.cached = 0

    def take(self, subject: Subject, method: Method, params: SynthesisParams, asking: bool) -> None:
        """Counts a document by one method; a method that asks no model makes its dialogues here and now."""
        made = 0
        if asking and asks(method):
            for call in method.calls(subject, params):
                self._call(call, params)
                made += _expected(call, params)
            if made and method.METHOD in VERBATIM:
                made += count_tokens(subject.document.text)
        elif has_template(method):
            for result in from_template(subject, method, params):
                if isinstance(result, Curated):
                    made += sum(count_tokens(message.content) for message in result.dialogue.messages)
        if subject.split is Split.TRAIN:
            self.dialogue_tokens[method.METHOD] += made

    def _call(self, call: Call, params: SynthesisParams) -> None:
        """Counts a writing call and, if there is a judge, the call that will judge its answer."""
        if self.responses.get(call) is not None:
            self.cached += 1
            return
        size = sum(count_tokens(message.content) for message in call.messages)
        expected = _expected(call, params)
        self._spend(call.name, call, size, expected, self.prices[call.model])
        if params.judge or call.name == "near_miss":
            # The judge reads the same documents and rules, and the answer; it writes scores.
            judged = self.prices[params.judge_model or call.model]
            self._spend("judge", call, size + expected, JUDGE_TOKENS * max(1, expected // 90), judged)

    def _spend(self, name: str, call: Call, input_tokens: int, output_tokens: int, prices: Prices) -> None:
        extra = call.max_output_tokens if name == "judge" else 0  # the judge reads what was written, too
        self.methods[name].add(
            Share(
                calls=1,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                usd=prices.cost(Usage(input_tokens, 0, output_tokens)),
                worst_usd=prices.cost(Usage(prices.input_bound(call) + extra, 0, call.max_output_tokens)),
            )
        )


def _expected(call: Call, params: SynthesisParams) -> int:
    return min(OUTPUT_TOKENS[call.name], params.max_output_tokens)
