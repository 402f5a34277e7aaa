"""Which parts go into the table, and how often: shares by tokens, the same for the same seed.

A sample takes whole documents: parts are ranked by a hash of their document, so raw text and dialogues of the same
documents are chosen, a fact keeps all its wordings, and one more document in the corpus moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.mixture.params import FAMILIES, MixtureParams

Ints = NDArray[np.int64]


def repeats(
    sources: Sequence[str],
    documents: Sequence[str],
    tokens: Ints,
    total_tokens: int | None,
    params: MixtureParams,
    replay_share: float = 0.0,
) -> Ints:
    """How often each part stands in the table; 0 leaves it out.

    Without a budget every part of a source that `shares` name (of every source, if they name none) stands there at
    least once: as often as `passes` says, or where `shares` are given as often as its source needs to reach its share,
    up to `max_repeats` times. With a budget each gets its share of it: too many parts are sampled, too few repeated,
    and what is still missing goes to the others. A budget without `shares` is divided equally among the families (raw,
    dialogue), and nothing is repeated beyond its passes.

    The replay is drawn last and stands there once at most: as much of it as makes `replay_share` of the whole.

    Args:
        sources: source of each part.
        documents: document id of each part.
        tokens: length of each part.
        total_tokens: budget, never exceeded; None = no budget.
        params: passes, shares (weight by source such as `raw-file` or by family; the longest matching name counts; need
            not add up to 1), bound on repeats, and the seed that chooses among samples.
        replay_share: part of the table's tokens that the replay has, below 1.
    """
    weights = params.shares or dict.fromkeys(FAMILIES, 1.0)
    groups: dict[str, list[int]] = {name: [] for name in weights}
    for number, source in enumerate(sources):
        name = _group(source, weights)
        if name is not None:
            groups[name].append(number)
    members = {name: np.asarray(parts, dtype=np.int64) for name, parts in groups.items() if parts}
    available = {name: int(tokens[parts].sum()) for name, parts in members.items()}
    replayed = np.asarray([number for number, source in enumerate(sources) if is_replay(source)], dtype=np.int64)
    share = replay_share if len(replayed) else 0.0
    targets = _targets(available, weights, _beside_replay(total_tokens, share), params)
    ranks = np.asarray([rank(params.seed, document) for document in documents], dtype=np.uint64)
    chosen = np.zeros(len(sources), dtype=np.int64)
    for name, parts in members.items():
        if available[name]:
            rounds, rest = divmod(targets[name], available[name])
            chosen[parts] = rounds
            ordered = parts[np.argsort(ranks[parts], kind="stable")]
            chosen[_fitting(ordered, tokens, rest)] += 1
    if share:
        wanted = replay_tokens(int((chosen * tokens).sum()), share)
        chosen[_fitting(replayed[np.argsort(ranks[replayed], kind="stable")], tokens, wanted)] = 1
    return chosen


def is_replay(source: str) -> bool:
    """Whether a source is one of the replay's streams."""
    return source.startswith("replay-")


def replay_tokens(other_tokens: int, share: float) -> int:
    """Tokens of the replay that make `share` of a table that holds `other_tokens` more."""
    return round(other_tokens * share / (1 - share))


def tokens_taken(
    available: dict[str, int], total_tokens: int | None, params: MixtureParams, replay_share: float = 0.0
) -> dict[str, int]:
    """Tokens that `repeats` takes of each source or family, whole parts aside.

    The replay is counted under `replay`, as if there were enough of it.
    """
    weights = params.shares or dict.fromkeys(FAMILIES, 1.0)
    grouped: dict[str, int] = {}
    for source, tokens in available.items():
        name = _group(source, weights)
        if name is not None and tokens:
            grouped[name] = grouped.get(name, 0) + tokens
    taken = _targets(grouped, weights, _beside_replay(total_tokens, replay_share), params)
    return taken | ({"replay": replay_tokens(sum(taken.values()), replay_share)} if replay_share else {})


def _beside_replay(total_tokens: int | None, share: float) -> int | None:
    return None if total_tokens is None else int(total_tokens * (1 - share))


def _targets(
    available: dict[str, int], weights: dict[str, float], total_tokens: int | None, params: MixtureParams
) -> dict[str, int]:
    passes: dict[str, int] = {str(name): times for name, times in (params.passes or {}).items()}
    limits = {
        name: tokens_there * (params.max_repeats if params.shares else passes.get(name, 1))
        for name, tokens_there in available.items()
    }
    if total_tokens is not None:
        return share_out(total_tokens, {name: weights[name] for name in available}, limits)
    if not params.shares:
        return limits
    scale = max((available[name] / weights[name] for name in available), default=0.0)
    return {name: min(limits[name], round(scale * weights[name])) for name in available}


def weighed(times: Ints, ids: Sequence[str], documents: Sequence[str], weights: Mapping[str, float], seed: int) -> Ints:
    """How often each part stands in the table if some documents count for less.

    A part of a document with weight w stands there w times as often, rounded up or down by a hash of its id, so that of
    many parts the share w remains.

    Args:
        times: result of `repeats`.
        ids: id of each part.
        documents: document id of each part.
        weights: by document id, above 0 and below 1; others keep all.
        seed: chooses among the parts.
    """
    kept = times.copy()
    for number, document in enumerate(documents):
        if document in weights:
            drawn = rank(seed, f"weight\0{ids[number]}") / 2**64
            kept[number] = int(times[number] * weights[document] + drawn)
    return kept


def share_out(total: int, weights: dict[str, float], limits: dict[str, int]) -> dict[str, int]:
    """Divides `total` by weight, and what exceeds a limit among the others, again by weight.

    The parts never add up to more than `total`.
    """
    parts: dict[str, int] = {}
    open_names = sorted(weights)
    rest = total
    while open_names:
        weight = sum(weights[name] for name in open_names)
        full = [name for name in open_names if rest * weights[name] / weight >= limits[name]]
        if not full:
            return parts | {name: int(rest * weights[name] / weight) for name in open_names}
        for name in full:
            parts[name] = limits[name]
        rest -= sum(limits[name] for name in full)
        open_names = [name for name in open_names if name not in full]
    return parts


def rank(seed: int, name: str) -> int:
    """A number below 2^64 that orders names at random but always alike."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "big")


def _group(source: str, weights: dict[str, float]) -> str | None:
    return max((name for name in weights if source == name or source.startswith(f"{name}-")), key=len, default=None)


def _fitting(ordered: Ints, tokens: Ints, budget: int) -> list[int]:
    """Parts taken in order as long as they fit; one that does not is passed over, so that a long one does not end the
    sample.
    """
    taken = []
    for part in ordered.tolist():
        length = int(tokens[part])
        if length <= budget:
            taken.append(part)
            budget -= length
    return taken
