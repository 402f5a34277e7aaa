"""Paired statistics of two arms over the same items.

Answers about one document are not independent, so intervals come from a bootstrap over documents (cluster bootstrap;
Miller 2024, arXiv 2411.00640, shows that ignoring clusters understates the error up to three times). Everything is
deterministic: the resampling has a fixed seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SEED: Final = 20261124
POWER: Final = 0.8
"""Power at which the minimum detectable effect is stated."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval."""

    mean: float
    low: float
    high: float
    items: int
    clusters: int
    standard_error: float
    """Of the mean, clustered."""


def clustered_mean(
    values: Sequence[float], clusters: Sequence[str], confidence: float = 0.95, resamples: int = 5_000
) -> Estimate:
    """Mean of per-item values (a score, or a paired difference) with a percentile interval from resampling whole
    clusters.

    The mean weighs items, not clusters, alike: a resample's mean is its sum of values over its number of items. One
    cluster alone gives no information about the spread between clusters: the interval is then the widest possible
    for the range of the values, (-inf, inf).

    Args:
        values: one per item [n].
        clusters: document of each item [n].
        confidence: coverage of the interval.
        resamples: bootstrap resamples.
    """
    if not values:
        return Estimate(float("nan"), float("-inf"), float("inf"), 0, 0, float("inf"))
    sums, sizes = _by_cluster(values, clusters)
    mean = float(sums.sum() / sizes.sum())
    count = len(sums)
    if count < 2:
        return Estimate(mean, float("-inf"), float("inf"), len(values), count, float("inf"))
    generator = np.random.default_rng(SEED)
    means = np.empty(resamples)
    for start in range(0, resamples, 500):  # 500 resamples of 10,000 clusters are 40 MB
        stop = min(start + 500, resamples)
        drawn = generator.integers(0, count, (stop - start, count))
        means[start:stop] = sums[drawn].sum(1) / sizes[drawn].sum(1)
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Estimate(mean, float(low), float(high), len(values), count, clustered_standard_error(values, clusters))


def clustered_standard_error(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Standard error of the mean with the small-sample factor G/(G-1): statsmodels' OLS on a constant with
    `cov_type="cluster"` gives the same.

    (statsmodels' factor is G/(G-1) * (n-1)/(n-k) with k = 1 regressor, so the second part is 1.)
    """
    sums, sizes = _by_cluster(values, clusters)
    count, total = len(sums), sizes.sum()
    if count < 2:
        return float("inf")
    residuals = sums - sizes * (sums.sum() / total)
    return float(np.sqrt(count / (count - 1) * np.square(residuals).sum()) / total)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided McNemar p-value of paired 0/1 outcomes: a binomial test on the discordant pairs. No discordant
    pair: 1.

    It takes items as independent; the clustered interval beside it does not.
    """
    from scipy.stats import binomtest

    wins = sum(b and not a for a, b in zip(first, second, strict=True))
    losses = sum(a and not b for a, b in zip(first, second, strict=True))
    if wins + losses == 0:
        return 1.0
    return float(binomtest(wins, wins + losses, 0.5).pvalue)


def clustered_p(values: Sequence[float], clusters: Sequence[str]) -> float:
    """Two-sided p-value that the mean is 0: t-test with the clustered standard error and clusters - 1 degrees of
    freedom.
    """
    from scipy.stats import t

    error = clustered_standard_error(values, clusters)
    mean = float(np.mean(values)) if len(values) else 0.0
    if mean == 0 or not np.isfinite(error):
        return 1.0
    if error == 0:
        return 0.0
    return float(2 * t.sf(abs(mean) / error, len(set(clusters)) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the given order (Holm 1979): the family-wise error over all suites
    stays at its level.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def minimum_detectable_effect(standard_error: float, confidence: float = 0.95) -> float:
    """Smallest true difference that a two-sided test of this precision finds with probability `POWER`: (z_{1-a/2} +
    z_{power}) * SE.
    """
    from scipy.stats import norm

    return float((norm.ppf(1 - (1 - confidence) / 2) + norm.ppf(POWER)) * standard_error)


def cohens_kappa(first: list[str], second: list[str]) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960); null without labels or where chance alone agrees fully."""
    count = len(first)
    if count == 0:
        return None
    observed = sum(one == other for one, other in zip(first, second, strict=True)) / count
    expected = sum(first.count(label) * second.count(label) for label in set(first)) / count**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _by_cluster(values: Sequence[float], clusters: Sequence[str]) -> tuple[Floats, Floats]:
    index: dict[str, int] = {}
    positions = np.array([index.setdefault(cluster, len(index)) for cluster in clusters])
    sums = np.bincount(positions, np.asarray(values, dtype=float))
    return sums.astype(np.float64), np.bincount(positions).astype(np.float64)
