"""Who is asked and on what terms."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from tasks.base.params import Params

OPENAI = "https://api.openai.com/v1"


class PriceParams(Params):
    """Prices of a model, for models that the built-in table does not know; all 0 for a server of your own."""

    input_usd: float = Field(ge=0.0)
    """Dollars per million input tokens."""

    output_usd: float = Field(ge=0.0)
    """Dollars per million output tokens."""

    cached_input_usd: float | None = Field(None, ge=0.0)
    """Dollars per million input tokens that the server reads from its prompt cache; null = as other input."""


@dataclass(frozen=True)
class Server:
    """A server, its models and what may be spent there."""

    section: str
    """Section of the parameters that say all this, for error messages: `synthesis`, `evaluation.judge`."""
    models: tuple[str, ...]
    base_url: str = OPENAI
    budget_usd: float = 0.0
    """Hard cap under one step key."""
    prices: PriceParams | None = None
    """Null = the table of genai-prices."""
    concurrency: int = 16
    timeout: float = 120.0
    """Seconds to wait for one answer."""
    keep_at_budget: bool = False
    """Whether calls that the budget does not allow fail one by one instead of ending the run."""
    batch: bool = False
    """Whether everything goes through the Batch API."""
    batch_requests: int = 5_000
    batch_poll: float = 30.0
    """Seconds between two looks at a batch."""
    keys: tuple[str, ...] = ("OPENAI_API_KEY",)
    """Environment variables that may hold the key; the first that is set counts."""
