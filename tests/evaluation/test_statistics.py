"""Paired statistics against scipy and statsmodels on the same data."""

import gc
import math
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from tasks.evaluation import statistics


def _clustered(seed: int, clusters: int = 40, size: int = 5) -> tuple[list[float], list[str]]:
    generator = np.random.default_rng(seed)
    values, names = [], []
    for number in range(clusters):
        shift = generator.normal(0.1, 0.3)
        for _ in range(generator.integers(1, size + 1)):
            values.append(float(shift + generator.normal(0, 0.2)))
            names.append(f"document-{number}")
    return values, names


def test_clustered_standard_error_equals_statsmodels_clustered_ols() -> None:
    values, names = _clustered(1)
    groups = np.unique(names, return_inverse=True)[1]
    fit = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert statistics.clustered_standard_error(values, names) == pytest.approx(float(fit.bse[0]), rel=1e-9)


def test_clustered_p_equals_statsmodels_t_test_with_cluster_degrees_of_freedom() -> None:
    values, names = _clustered(2)
    groups = np.unique(names, return_inverse=True)[1]
    fit = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert statistics.clustered_p(values, names) == pytest.approx(float(fit.pvalues[0]), rel=1e-6)


def test_interval_of_singleton_clusters_equals_scipy_percentile_bootstrap() -> None:
    values = np.random.default_rng(3).normal(0.2, 1.0, 120)
    ours = statistics.clustered_mean(list(values), [str(number) for number in range(120)], 0.95, 20_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(4)
    ).confidence_interval
    assert ours.mean == pytest.approx(float(values.mean()))
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=0.01), pytest.approx(theirs.high, abs=0.01))


def test_interval_of_clusters_is_wider_than_without_them() -> None:
    values, names = _clustered(5)
    clustered = statistics.clustered_mean(values, names)
    naive = statistics.clustered_mean(values, [str(number) for number in range(len(values))])
    assert clustered.high - clustered.low > 1.3 * (naive.high - naive.low)
    assert (clustered.items, clustered.clusters) == (len(values), 40)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(120):
        values, names = _clustered(1_000 + seed)
        estimate = statistics.clustered_mean(values, names, 0.9, 400)
        covered += estimate.low <= 0.1 <= estimate.high
    assert 0.82 <= covered / 120 <= 0.97


@pytest.mark.parametrize(("wins", "losses", "ties"), [(12, 3, 40), (5, 5, 0), (0, 9, 2), (1, 0, 0)])
def test_mcnemar_equals_statsmodels_exact_test(wins: int, losses: int, ties: int) -> None:
    first = [False] * wins + [True] * losses + [True] * ties
    second = [True] * wins + [False] * losses + [True] * ties
    table = [[ties, losses], [wins, 0]]
    assert statistics.mcnemar(first, second) == pytest.approx(float(reference_mcnemar(table, exact=True).pvalue))


def test_mcnemar_without_discordant_pairs_is_one() -> None:
    assert statistics.mcnemar([True, False], [True, False]) == 1.0


@pytest.fixture(scope="module")
def _frozen() -> Iterator[None]:
    """statsmodels' `multipletests` collects garbage at every call: half a second among a whole session's objects."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_frozen")
@given(some.lists(some.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert statistics.holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)


def test_minimum_detectable_effect_is_found_four_times_out_of_five() -> None:
    effect = statistics.minimum_detectable_effect(1.0)
    power = scipy.stats.norm.sf(1.959964 - effect) + scipy.stats.norm.cdf(-1.959964 - effect)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_equal_arms_give_an_interval_of_zero_and_no_significance() -> None:
    estimate = statistics.clustered_mean([0.0] * 30, [str(number % 7) for number in range(30)])
    assert (estimate.mean, estimate.low, estimate.high) == (0, 0, 0)
    assert statistics.clustered_p([0.0] * 30, [str(number % 7) for number in range(30)]) == 1.0


def test_one_cluster_and_no_value_give_no_interval() -> None:
    single = statistics.clustered_mean([1.0, 0.0], ["a", "a"])
    assert (single.low, single.high) == (-math.inf, math.inf)
    assert math.isnan(statistics.clustered_mean([], []).mean)


@given(some.lists(some.tuples(some.floats(0, 1), some.sampled_from("abcdef")), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_interval_holds_the_mean_and_is_deterministic(pairs: list[tuple[float, str]]) -> None:
    values, names = [value for value, _ in pairs], [name for _, name in pairs]
    one = statistics.clustered_mean(values, names, 0.95, 300)
    assert one == statistics.clustered_mean(values, names, 0.95, 300)
    assert one.low <= one.high
    assert min(values) - 1e-9 <= one.mean <= max(values) + 1e-9
