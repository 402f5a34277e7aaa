"""Statistics of questions that are right or wrong, honest at the edges: intervals, tests, power.

Answers about one document are not independent, so every interval comes from a standard error robust to clusters
(Miller 2024, arXiv 2411.00640, shows that ignoring them understates the error up to three times). Five right answers
out of five prove less than that formula says: it has no spread to go by and gives an interval without width. Shares
therefore get Clopper and Pearson's interval at their effective sample size, paired differences the
pseudo-observations of Agresti and Min. Both are closed formulas, so the same scores always give the same figures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

POWER: Final = 0.8
"""Power at which detectable effects and needed questions are stated."""

MIN_ITEMS: Final = 20
"""Questions below which no suite decides or is claimed to show anything."""

MIN_CLUSTERS: Final = 5
"""Documents below which no suite decides: with fewer, cluster-robust errors are known to be too small (Cameron and
Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015, section VI)."""

SMALLEST_P: Final = 1e-12
"""No p-value is stated below this: a sample is never a proof."""

NO_SPREAD: Final = 1e-9
"""Standard errors below this are rounding of sums whose terms are all alike."""

PSEUDO: Final = ((1.0, 0.5), (-1.0, 0.5), (0.0, 1.0))
"""(value, weight) of the pseudo-observations put to paired differences (Agresti and Min 2005, Simple improved
confidence intervals for comparing matched proportions, Statistics in Medicine 24)."""

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
    """Of the mean, clustered; infinite where there are fewer than two clusters."""

    @property
    def decides(self) -> bool:
        """Whether there are enough questions of enough documents to conclude anything."""
        return decides(self.items, self.clusters)


def decides(items: int, clusters: int | None) -> bool:
    """Whether this many questions of this many documents (null: unknown) allow any conclusion."""
    return items >= MIN_ITEMS and (clusters is None or clusters >= MIN_CLUSTERS)


def macro_weights(strata: Sequence[str]) -> list[float]:
    """Weights [n] that turn the mean over items into the mean of the strata's means; they sum to n."""
    sizes = Counter(strata)
    return [len(strata) / (len(sizes) * sizes[stratum]) for stratum in strata]


def clustered_share(
    values: Sequence[float], clusters: Sequence[str], confidence: float = 0.95, weights: Sequence[float] | None = None
) -> Estimate:
    """Mean of scores between 0 and 1 with Clopper and Pearson's interval at the effective sample size.

    The effective size is p (1 - p) / SE² with the clustered standard error, times (z / t)² for the few degrees of
    freedom that clusters leave (Korn and Graubard 1998, Survey Methodology 24). Where every score is the same there is
    no spread to go by, and each cluster counts as one observation, less where a few clusters hold most of the weight
    (Kish 1965). The interval covers at least as often as it says, also near 0 and 1, where Wilson's does not.

    Args:
        values: one score per item [n].
        clusters: document of each item [n].
        confidence: coverage of the interval.
        weights: above 0, of each item [n]; null = all alike. Items of a stratum that weigh more than others' count
            as drawn with that weight: the spread between strata stays in the error, which is then rather too large.
    """
    from scipy.stats import beta, t

    if not values:
        return Estimate(math.nan, -math.inf, math.inf, 0, 0, math.inf)
    sums, sizes = _by_cluster(values, clusters, weights)
    mean, error, count = _mean_and_error(sums, sizes)
    if count < 2:
        return Estimate(mean, -math.inf, math.inf, len(values), count, math.inf)
    tail = 1 - (1 - confidence) / 2
    normal, student = NormalDist().inv_cdf(tail), float(t.ppf(tail, count - 1))
    spread = mean * (1 - mean)
    size = spread / error**2 if error > NO_SPREAD and spread > 0 else _effective(sizes)
    size *= (normal / student) ** 2
    right, wrong = mean * size, (1 - mean) * size
    low = float(beta.ppf(1 - tail, right, wrong + 1)) if right > 0 else 0.0
    high = float(beta.ppf(tail, right + 1, wrong)) if wrong > 0 else 1.0
    return Estimate(mean, low, high, len(values), count, error)


@dataclass(frozen=True)
class Spread:
    """How far a mean over seeds may be off because there are only so many of them."""

    variance: float
    """Of the mean over seeds: the variance between them by their number."""
    freedom: int
    """Degrees of freedom of that variance: seeds - 1."""


def seed_spread(means: Sequence[float]) -> list[Spread]:
    """The spread of one arm's seeds, from each seed's mean; empty for a single seed."""
    if len(means) < 2:
        return []
    return [Spread(float(np.var(means, ddof=1)) / len(means), len(means) - 1)]


def clustered_mean(
    values: Sequence[float],
    clusters: Sequence[str],
    confidence: float = 0.95,
    weights: Sequence[float] | None = None,
    seeds: Sequence[Spread] = (),
) -> Estimate:
    """Mean of paired differences between -1 and 1, with a clustered t interval after Agresti and Min.

    Two pseudo-clusters of the size that a cluster effectively has are added (`PSEUDO`), which for one question per
    document is exactly their interval for matched proportions. The t distribution has clusters - 1 degrees of freedom.
    One cluster alone gives no information about the spread between clusters: the interval is then infinite.

    Args:
        values: one difference per item [n]; of means over seeds where there are several.
        clusters: document of each item [n].
        confidence: coverage of the interval.
        weights: as for `clustered_share`.
        seeds: spread of either arm's seeds, whose variance is added (degrees of freedom: Welch and Satterthwaite).
    """
    from scipy.stats import t

    if not values:
        return Estimate(math.nan, -math.inf, math.inf, 0, 0, math.inf)
    sums, sizes = _by_cluster(values, clusters, weights)
    mean, _, count = _mean_and_error(sums, sizes)
    if count < 2:
        return Estimate(mean, -math.inf, math.inf, len(values), count, math.inf)
    centre, error, freedom = _adjusted(sums, sizes, seeds)
    reach = float(t.ppf(1 - (1 - confidence) / 2, freedom)) * error
    low, high = max(-1.0, min(mean, centre - reach)), min(1.0, max(mean, centre + reach))
    return Estimate(mean, low, high, len(values), count, error)


def clustered_standard_error(
    values: Sequence[float], clusters: Sequence[str], weights: Sequence[float] | None = None
) -> float:
    """Standard error of the mean with the factor G/(G-1); infinite for fewer than two clusters.

    statsmodels' OLS (WLS with weights) on a constant with `cov_type="cluster"` gives the same: its factor is
    G/(G-1) * (n-1)/(n-k) with k = 1 regressor, so the second part is 1.
    """
    return _mean_and_error(*_by_cluster(values, clusters, weights))[1]


def clustered_p(
    values: Sequence[float],
    clusters: Sequence[str],
    weights: Sequence[float] | None = None,
    seeds: Sequence[Spread] = (),
) -> float:
    """Two-sided p-value of a zero mean of paired differences, from `clustered_mean`'s centre and error.

    The p-value is below 1 - confidence exactly where that interval leaves 0 out. It is 1 for fewer than two clusters
    and never below `SMALLEST_P`.
    """
    from scipy.stats import t

    count = len(set(clusters))
    if count < 2:
        return 1.0
    centre, error, freedom = _adjusted(*_by_cluster(values, clusters, weights), seeds)
    return max(SMALLEST_P, float(2 * t.sf(abs(centre) / error, freedom)))


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided McNemar p-value: a binomial test on the discordant pairs; 1 without any.

    It takes items as independent; the clustered interval beside it does not.
    """
    from scipy.stats import binomtest

    wins = sum(b and not a for a, b in zip(first, second, strict=True))
    losses = sum(a and not b for a, b in zip(first, second, strict=True))
    if wins + losses == 0:
        return 1.0
    return max(SMALLEST_P, float(binomtest(wins, wins + losses, 0.5).pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the given order: they bound the family-wise error."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def minimum_detectable_effect(standard_error: float, confidence: float = 0.95) -> float:
    """Smallest true difference found with probability `POWER`: (z_{1-a/2} + z_{power}) * SE, two-sided."""
    normal = NormalDist()
    return (normal.inv_cdf(1 - (1 - confidence) / 2) + normal.inv_cdf(POWER)) * standard_error


def chance_to_pass(effect: float, bound: float, items: int, flips: float, confidence: float = 0.95) -> float:
    """Probability that the lower end of a paired difference's interval reaches a bound.

    Normal approximation with the pseudo-observations of `clustered_mean`, questions independent.

    Args:
        effect: true difference, tuned minus base.
        bound: what the lower end must reach.
        items: questions.
        flips: share of the questions whose answer turns; at least |effect|.
        confidence: coverage of the interval.
    """
    if items < MIN_ITEMS:
        return 0.0
    variance = max(flips, abs(effect)) - effect**2
    error = math.sqrt(items * variance + 1) / (items + 2)
    return NormalDist().cdf(
        (effect * items / (items + 2) - bound) / error - NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    )


def questions_needed(margin: float, flips: float) -> int:
    """Fewest questions with which an unchanged model passes a bound of -`margin` with probability `POWER`.

    About flips * ((z_{1-a/2} + z_{power}) / margin)², the textbook's size for non-inferiority of matched proportions:
    right turned wrong and wrong turned right in equal numbers give a mean of 0 and a variance of `flips`.

    Args:
        margin: how far below zero the interval's lower end may lie; above 0.
        flips: share of the questions whose answer turns from right to wrong or back.
    """
    items = MIN_ITEMS
    while chance_to_pass(0.0, -margin, items, flips) < POWER:
        items += max(1, items // 200)
    return items


def cohens_kappa(first: list[str], second: list[str]) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960); null without labels or where chance agrees fully."""
    count = len(first)
    if count == 0:
        return None
    observed = sum(one == other for one, other in zip(first, second, strict=True)) / count
    expected = sum(first.count(label) * second.count(label) for label in set(first)) / count**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _adjusted(sums: Floats, sizes: Floats, seeds: Sequence[Spread]) -> tuple[float, float, float]:
    """Mean and standard error with `PSEUDO` put to the clusters, for two clusters or more, and degrees of freedom."""
    size = float(sizes.sum()) / _effective(sizes)
    total = float(sizes.sum()) + size * sum(weight for _, weight in PSEUDO)
    centre = float(sums.sum()) / total
    squares = float(np.square(sums - sizes * centre).sum())
    squares += sum(weight * (size * (value - centre)) ** 2 for value, weight in PSEUDO)
    parts = [Spread(squares / total**2, len(sums) - 1), *seeds]
    variance = sum(part.variance for part in parts)
    return centre, math.sqrt(variance), variance**2 / sum(part.variance**2 / part.freedom for part in parts)


def _mean_and_error(sums: Floats, sizes: Floats) -> tuple[float, float, int]:
    """Mean over items, its clustered standard error, and how many clusters there are."""
    count, total = len(sums), float(sizes.sum())
    mean = float(sums.sum()) / total
    if count < 2:
        return mean, math.inf, count
    squares = float(np.square(sums - sizes * mean).sum())
    return mean, math.sqrt(count / (count - 1) * squares) / total, count


def _effective(sizes: Floats) -> float:
    """How many clusters of one size tell as much as these (Kish 1965, Survey Sampling, section 11.7)."""
    return float(sizes.sum() ** 2 / np.square(sizes).sum())


def _by_cluster(
    values: Sequence[float], clusters: Sequence[str], weights: Sequence[float] | None = None
) -> tuple[Floats, Floats]:
    """Weighted sum of the values and sum of the weights of each cluster."""
    index: dict[str, int] = {}
    positions = np.array([index.setdefault(cluster, len(index)) for cluster in clusters])
    each = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=float)
    sums = np.bincount(positions, each * np.asarray(values, dtype=float))
    return sums.astype(np.float64), np.bincount(positions, each).astype(np.float64)
