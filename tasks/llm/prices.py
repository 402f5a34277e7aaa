"""Dollars of a call: the worst case before it, the actual cost after it. Exact decimals, so that sums do not drift."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

from tasks.base.errors import InputError
from tasks.llm.calls import Call, Usage
from tasks.llm.params import PriceParams, Server

BATCH_FACTOR: Final = Decimal("0.5")
"""OpenAI's Batch API costs half (platform.openai.com/docs/guides/batch)."""

MESSAGE_TOKENS: Final = 8
"""Upper bound of what a chat template adds per message; OpenAI's own formula says 3 to 4 (openai-cookbook)."""

O200K: Final = "o200k_base"
"""The encoding that is counted in."""

MAX_TOKEN_BYTES: Final = 16
"""Prose and code have 3 to 5 bytes a token in every current tokenizer; only runs of blanks have more than this."""

MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True)
class Prices:
    """Prices of one model."""

    model: str
    input_usd: Decimal
    """Per million input tokens, the dearer of plain input and cache writes."""
    cached_usd: Decimal
    """Per million input tokens that the server read from its cache."""
    output_usd: Decimal
    """Per million output tokens."""
    factor: Decimal = Decimal(1)
    exact_tokens: bool = False
    """Whether o200k counts this model's tokens; if not, the worst case takes a token per byte."""

    def cost(self, usage: Usage) -> Decimal:
        """Dollars of an answer."""
        fresh = usage.input_tokens - usage.cached_tokens
        total = fresh * self.input_usd + usage.cached_tokens * self.cached_usd + usage.output_tokens * self.output_usd
        return total * self.factor / MILLION

    def worst(self, call: Call) -> Decimal:
        """The most that one request of a call can cost: all input fresh, the output limit used up."""
        usage = Usage(self.input_bound(call), 0, call.max_output_tokens)
        return self.cost(usage)

    def input_bound(self, call: Call) -> int:
        """Upper bound of the input tokens; the schema counts twice, as JSON mode repeats it in the prompt."""
        texts = [*(message.content for message in call.messages), *2 * [json.dumps(call.json_schema)]]
        size = sum(map(count_tokens if self.exact_tokens else _bytes, texts))
        return size + MESSAGE_TOKENS * (len(call.messages) + 2)

    def billed(self, sent_bytes: int, usage: Usage | None, content: str) -> Decimal | None:
        """Dollars of an answer by the usage that the server reports; None if the report cannot be right.

        A report is not believed that is missing, negative or out of order, or that counts fewer than one token for
        `MAX_TOKEN_BYTES` bytes that were sent or came back.
        """
        if self.free:
            return Decimal(0)
        if usage is None or not 0 <= usage.cached_tokens <= usage.input_tokens or usage.output_tokens < 0:
            return None
        if usage.input_tokens * MAX_TOKEN_BYTES < sent_bytes or usage.output_tokens * MAX_TOKEN_BYTES < _bytes(content):
            return None
        return self.cost(usage)

    @property
    def free(self) -> bool:
        """Whether nothing costs anything, as on a server of one's own."""
        return not (self.input_usd or self.output_usd)


def prices_of(server: Server, model: str) -> Prices:
    """Prices that are stated, or from the table of `genai-prices` for OpenAI's models.

    Raises:
        InputError: neither knows the model.
    """
    factor = BATCH_FACTOR if server.batch else Decimal(1)
    if isinstance(server.prices, PriceParams):
        given = server.prices
        hit = given.input_usd if given.cached_input_usd is None else given.cached_input_usd
        fields = (_exact(given.input_usd), _exact(hit), _exact(given.output_usd))
        return Prices(model, *fields, factor, _is_o200k(model))
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    def usd(**tokens: int) -> Decimal:
        return Decimal(str(calc_price(Tokens(**tokens), model_ref=model, provider_id="openai").total_price))

    try:
        # Tiers of long prompts begin far above `window_characters`; a million tokens at once would be priced in them.
        plain, written = usd(input_tokens=1000), usd(input_tokens=1000, cache_write_tokens=1000)
        cached, output = usd(input_tokens=1000, cache_read_tokens=1000), usd(output_tokens=1000)
    except LookupError as error:
        raise InputError(
            f"{server.section}.model: no price is known for {model}; state `{server.section}.prices` "
            "(dollars per million tokens, 0 for a server of your own)"
        ) from error
    return Prices(model, max(plain, written) * 1000, cached * 1000, output * 1000, factor, _is_o200k(model))


def count_tokens(text: str) -> int:
    """Tokens of a text in o200k, OpenAI's encoding since GPT-4o; counted offline by bpe-openai."""
    return len(_encoding().encode_ordinary(text))


def count_all(texts: Sequence[str]) -> list[int]:
    """The same of several texts."""
    return [count_tokens(text) for text in texts]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _is_o200k(model: str) -> bool:
    return model.startswith(("gpt-4o", "gpt-4.1", "gpt-5", "chatgpt-4o", "o1", "o3", "o4"))


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


@cache
def _encoding() -> Any:
    from bpe_openai import get_encoding

    return get_encoding(O200K)
