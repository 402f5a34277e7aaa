"""Portions of a stream: by the size of their members, or by what padding makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def by_size(members: Iterable[T], size: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Members in order, in portions that end with the member that reaches `limit`."""
    portion: list[T] = []
    total = 0
    for member in members:
        portion.append(member)
        total += size(member)
        if total >= limit:
            yield portion
            portion, total = [], 0
    if portion:
        yield portion


def by_padded_length(
    lengths: Sequence[int], new_tokens: int, limit: int, most: int | None = None
) -> Iterator[list[int]]:
    """Indices of sequences in portions of similar length, so that little of a portion is padding.

    Args:
        lengths: tokens of each sequence.
        new_tokens: that will be appended to each.
        limit: of a portion's padded tokens; only a sequence that exceeds it alone is in a portion beyond it.
        most: sequences of a portion; null = any number.

    Yields:
        Indices, the shortest sequences first, equal lengths by position.
    """
    portion: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda position: (lengths[position], position)):
        full = (lengths[index] + new_tokens) * (len(portion) + 1) > limit or len(portion) == most
        if portion and full:
            yield portion
            portion = []
        portion.append(index)
    if portion:
        yield portion
