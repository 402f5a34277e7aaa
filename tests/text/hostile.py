"""Texts that make slow code show itself, and how their cost is told from a fraction of a megabyte."""

from __future__ import annotations

import string
import time
from collections.abc import Callable
from typing import Final

MEGABYTE: Final = 1 << 20
MAX_SECONDS: Final = 2.0
"""What a megabyte of any filling may cost, in seconds of this thread's processor time."""
SIZES: Final = (16, 24, 256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, MEGABYTE)
"""The first ones are for what grows exponentially."""
LINEAR_GROWTH: Final = 6
"""Of four times the text; linear work takes 4 times as long, quadratic work 16 times."""

FILLINGS: Final = (
    *string.punctuation,
    *" \n\ta0Aé漢\0\u2028",
    *(
        "\r\n",
        "- ",
        "# ",
        "```",
        "```\n",
        "[[",
        "](",
        "[a](",
        "<!--",
        "<a ",
        "\n|-\n",
        "**a",
        "a ",
        "a.",
        "a/",
        "aA",
        "a_",
    ),
    *("a:", "a=", "0.", "a@a.", "{{", "/*", "()", "\n@@ ", "-----BEGIN ", "import ", "def a("),
)
"""Each is repeated; more than the 60 of the house issue."""
TELLING: Final = (" ", "\n", "\t", "a", "0", "-", "[", "](", "`", "(", "<!--", "a.", "a/")
"""The few that found most."""


def filled(size: int, filling: str, lead: str = "") -> str:
    """`lead`, then `size` characters of the filling, then an end that most things that look for an end do not take."""
    return lead + (filling * (size // len(filling) + 1))[:size] + "\0!"


def too_slow(work: Callable[[str], object], filling: str, lead: str = "", limit: float = MAX_SECONDS) -> str | None:
    """What a megabyte would take if that is more than the limit; None otherwise.

    Larger and larger texts are tried until even quadratic growth from there would stay within the limit, or until
    growth is seen to be linear and a half of the limit is enough; at last the megabyte itself is.
    """
    start = _seconds(work, filled(SIZES[0], filling, lead))  # what any text costs
    least, before = max(0.25, 2 * start), 0.0  # shorter ones say little on a machine that has other work
    for size in SIZES[1:]:
        text = filled(size, filling, lead)
        seconds = _seconds(work, text)
        if seconds > least and (seconds - start) * MEGABYTE / size > limit:
            seconds = min(seconds, _seconds(work, text))
            if seconds > least and (seconds - start) * MEGABYTE / size > limit:
                return f"{lead[:20]!r} + {filling!r}: {seconds:.2f} s of {size} characters"
        is_linear = size >= 1 << 14 and seconds <= LINEAR_GROWTH * before and seconds * MEGABYTE / size <= limit / 2
        if is_linear or seconds * (MEGABYTE / size) ** 2 <= limit:
            return None
        before = seconds
    return None


def _seconds(work: Callable[[str], object], text: str) -> float:
    start = time.thread_time()
    work(text)
    return time.thread_time() - start
