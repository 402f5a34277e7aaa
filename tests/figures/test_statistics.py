"""Paired statistics against scipy and statsmodels on the same data."""

import gc
import math
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some
from statsmodels.regression.linear_model import OLS, WLS
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from tasks.figures import statistics


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


def test_share_of_singleton_clusters_has_the_exact_interval_of_the_textbook() -> None:
    values = [1.0] * 60 + [0.0] * 340
    ours = statistics.clustered_share(values, [str(number) for number in range(400)])
    theirs = proportion_confint(60, 400, method="beta")
    assert ours.mean == pytest.approx(0.15)
    assert (ours.low, ours.high) == (pytest.approx(theirs[0], abs=0.002), pytest.approx(theirs[1], abs=0.002))


@pytest.mark.parametrize(("wins", "losses", "ties"), [(12, 3, 40), (0, 0, 200), (30, 5, 300)])
def test_difference_of_singleton_clusters_has_the_interval_of_agresti_and_min(
    wins: int, losses: int, ties: int
) -> None:
    values = [1.0] * wins + [-1.0] * losses + [0.0] * ties
    count = len(values)
    ours = statistics.clustered_mean(values, [str(number) for number in range(count)])
    centre = (wins - losses) / (count + 2)
    error = math.sqrt((wins + losses + 1) - (wins - losses) ** 2 / (count + 2)) / (count + 2)
    reach = float(scipy.stats.t.ppf(0.975, count - 1)) * error
    assert (ours.low, ours.high) == (pytest.approx(centre - reach), pytest.approx(centre + reach))


def test_mean_over_strata_is_what_statsmodels_weighted_regression_on_a_constant_gives() -> None:
    values, names = _clustered(2)
    strata = [("rare", "usual", "usual", "often", "often", "often", "often")[index % 7] for index in range(len(values))]
    weights = statistics.macro_weights(strata)
    means = [np.mean([v for v, s in zip(values, strata, strict=True) if s == one]) for one in sorted(set(strata))]
    ours = statistics.clustered_mean(values, names, weights=weights)
    assert (ours.mean, sum(weights)) == (pytest.approx(float(np.mean(means))), pytest.approx(len(values)))
    groups = np.unique(names, return_inverse=True)[1]
    fit = WLS(values, np.ones(len(values)), weights).fit(cov_type="cluster", cov_kwds={"groups": groups})
    error = statistics.clustered_standard_error(values, names, weights)
    assert error == pytest.approx(float(fit.bse[0]), rel=1e-9)


@pytest.mark.parametrize("truths", [(0.9, 0.1, 0.5), (0.02, 0.02, 0.02), (1.0, 1.0, 0.9)])
def test_mean_over_strata_of_unequal_sizes_covers_the_truth_at_least_as_often_as_it_says(
    truths: tuple[float, ...],
) -> None:
    generator = np.random.default_rng(11)
    strata = np.repeat([0, 1, 2], [60, 20, 4])
    names = [str(number) for number in generator.integers(0, 40, len(strata))]
    weights = statistics.macro_weights([str(one) for one in strata])
    truth, covered, crossed = float(np.mean(truths)), 0, 0
    for _ in range(300):
        one, other = (generator.random(len(strata)) < np.take(truths, strata) for _ in range(2))
        share = statistics.clustered_share(list(one.astype(float)), names, weights=weights)
        gain = statistics.clustered_mean(list(one.astype(float) - other), names, weights=weights)
        covered += share.low <= truth <= share.high
        crossed += gain.low <= 0 <= gain.high
    assert covered / 300 >= 0.93
    assert crossed / 300 >= 0.93


def test_interval_of_clusters_is_wider_than_without_them() -> None:
    values, names = _clustered(5)
    alone = [str(number) for number in range(len(values))]
    clustered, naive = statistics.clustered_mean(values, names), statistics.clustered_mean(values, alone)
    assert clustered.high - clustered.low > 1.3 * (naive.high - naive.low)
    assert (clustered.items, clustered.clusters) == (len(values), 40)


@pytest.mark.parametrize(("clusters", "size", "truth"), [(40, 3, 0.98), (8, 4, 0.9), (60, 1, 0.5), (20, 1, 0.02)])
def test_share_covers_the_truth_at_least_as_often_as_it_says_also_at_the_edge(
    clusters: int, size: int, truth: float
) -> None:
    generator = np.random.default_rng(7)
    names = [str(number) for number in range(clusters) for _ in range(size)]
    covered = 0
    for _ in range(300):
        shares = np.repeat(generator.beta(5 * truth, 5 * (1 - truth), clusters), size)
        estimate = statistics.clustered_share(list((generator.random(len(names)) < shares).astype(float)), names)
        covered += estimate.low <= truth <= estimate.high
    assert covered / 300 >= 0.93


@pytest.mark.parametrize(("clusters", "size"), [(5, 4), (40, 3), (200, 1)])
def test_difference_of_equal_arms_covers_zero_at_least_as_often_as_it_says(clusters: int, size: int) -> None:
    generator = np.random.default_rng(8)
    names = [str(number) for number in range(clusters) for _ in range(size)]
    covered = 0
    for _ in range(300):
        turned = generator.random(len(names)) < 0.05
        values = np.where(turned, generator.choice([-1.0, 1.0], len(names)), 0.0)
        estimate = statistics.clustered_mean(list(values), names)
        covered += estimate.low <= 0 <= estimate.high
    assert covered / 300 >= 0.93


@pytest.mark.parametrize(("number", "clusters"), [(1, 1), (2, 2), (5, 5), (20, 20), (300, 300), (300, 3)])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_shares_and_differences_without_spread_have_an_interval_with_width(
    number: int, clusters: int, value: float
) -> None:
    names = [str(index % clusters) for index in range(number)]
    for estimate in (
        statistics.clustered_share([value] * number, names),
        statistics.clustered_mean([value] * number, names),
    ):
        assert estimate.low <= value <= estimate.high
        assert estimate.high - estimate.low > 1 / (clusters + 4)
        assert estimate.decides == (number >= 20 and clusters >= 5)
    p = statistics.clustered_p([value] * number, names)
    assert 0 < p <= 1
    assert p == 1.0 or (value > 0 and clusters > 1)


def test_p_value_and_interval_agree_whether_zero_is_left_out() -> None:
    generator = np.random.default_rng(9)
    for _ in range(200):
        count = int(generator.integers(2, 30))
        values = list(generator.choice([-1.0, 0.0, 1.0], count, p=[0.1, 0.5, 0.4]))
        names = [str(index // 2) for index in range(count)]
        estimate = statistics.clustered_mean(values, names)
        if estimate.clusters > 1:
            assert (statistics.clustered_p(values, names) < 0.05) == (estimate.low > 0 or estimate.high < 0)


@pytest.mark.parametrize(("items", "effect", "flips"), [(200, 0.0, 0.05), (500, 0.0, 0.05), (190, 0.2, 0.3)])
def test_chance_to_pass_is_how_often_the_interval_passes(items: int, effect: float, flips: float) -> None:
    generator = np.random.default_rng(10)
    bound = -0.03 if effect == 0 else 0.1
    names = [str(number) for number in range(items)]
    odds = [(flips - effect) / 2, 1 - flips, (flips + effect) / 2]
    passed = sum(
        statistics.clustered_mean(list(generator.choice([-1.0, 0.0, 1.0], items, p=odds)), names).low >= bound
        for _ in range(400)
    )
    assert statistics.chance_to_pass(effect, bound, items, flips) == pytest.approx(passed / 400, abs=0.07)


def test_needed_questions_are_the_smallest_number_that_passes_four_times_out_of_five() -> None:
    needed = statistics.questions_needed(0.03, 0.05)
    assert 440 <= needed <= 460
    assert statistics.chance_to_pass(0, -0.03, needed, 0.05) >= statistics.POWER
    assert statistics.chance_to_pass(0, -0.03, needed - 5, 0.05) < statistics.POWER


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


def test_one_cluster_and_no_value_give_no_interval() -> None:
    single = statistics.clustered_mean([1.0, 0.0], ["a", "a"])
    assert (single.low, single.high) == (-math.inf, math.inf)
    assert math.isnan(statistics.clustered_mean([], []).mean)


@given(some.lists(some.tuples(some.floats(0, 1), some.sampled_from("abcdef")), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_interval_holds_the_mean_and_is_deterministic(pairs: list[tuple[float, str]]) -> None:
    values, names = [value for value, _ in pairs], [name for _, name in pairs]
    one = statistics.clustered_mean(values, names, 0.95)
    assert one == statistics.clustered_mean(values, names, 0.95)
    assert one.low <= one.high
    assert min(values) - 1e-9 <= one.mean <= max(values) + 1e-9
