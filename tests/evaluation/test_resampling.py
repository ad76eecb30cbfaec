"""Bootstrap and sign-flips against scipy and against enumeration by hand."""

import numpy as np
import pytest
from scipy import stats

from xlrank.errors import XlrankError
from xlrank.evaluation.resampling import BLOCK, bootstrap_interval, bootstrap_p, randomisation_p


def sample(topics: int, shift: float = 0.03, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 0.1, topics) - 0.2 + shift


@pytest.mark.parametrize("topics", [4, 17, 118])
@pytest.mark.parametrize("seed", [0, 13])
def test_intervals_are_scipys(topics: int, seed: int) -> None:
    values = sample(topics)
    expected = stats.bootstrap((values,), np.mean, n_resamples=1000, method="BCa", rng=np.random.default_rng(seed))
    assert bootstrap_interval(values, seed, 1000) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)


def test_intervals_of_values_with_many_ties_are_scipys() -> None:
    """Resampled means often equal the mean itself. Eighths: scipy, which compares without tolerance, must not round."""
    values = np.array([8, 4, 4, 0, 8, 1, 1, 6]) / 8
    expected = stats.bootstrap((values,), np.mean, n_resamples=500, method="BCa", rng=np.random.default_rng(1))
    assert bootstrap_interval(values, 1, 500) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)


def test_intervals_cover_the_true_mean() -> None:
    """95 % of them, with skewed values of 50 topics: 95 % of 300 is 285, four standard deviations are 15."""
    covered = 0
    for seed in range(300):
        low, high = bootstrap_interval(sample(50, 0.0, seed), 13, 400)
        covered += low <= 0.0 <= high
    assert 265 <= covered <= 299


def test_intervals_without_spread() -> None:
    assert bootstrap_interval(np.array([0.4]), 13, 100) == (0.4, 0.4)
    assert bootstrap_interval(np.full(7, 0.25), 13, 100) == (0.25, 0.25)


def test_few_topics_are_flipped_in_all_ways() -> None:
    """Differences 1, 2, 3: of 8 flips only +++ and --- reach a sum of 6; with 3, 2, -1 those that reach 4: 4 of 8."""
    assert randomisation_p(np.array([1.0, 2.0, 3.0]), 0, 1) == 2 / 8
    assert randomisation_p(np.array([3.0, 2.0, -1.0]), 0, 1) == 4 / 8
    values = sample(11)
    expected = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert randomisation_p(values, 0, 1) == pytest.approx(expected.pvalue)


def test_flips_of_many_topics_are_drawn_with_the_seed() -> None:
    values = sample(40, 0.05)
    p_value = randomisation_p(values, 13, 20_000)
    assert p_value == randomisation_p(values, 13, 20_000) != randomisation_p(values, 14, 20_000)
    expected = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(2)
    )
    assert p_value == pytest.approx(expected.pvalue, abs=0.01)
    assert randomisation_p(np.full(40, 0.1), 13, 999) == 1 / 1000  # never 0


def test_the_bootstrap_test_is_near_the_t_test_and_has_its_level() -> None:
    values = sample(60, 0.04)
    assert bootstrap_p(values, 13, 5000) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)
    rejected = sum(bootstrap_p(np.random.default_rng(seed).normal(0, 1, 40), 13, 400) < 0.05 for seed in range(300))
    assert 4 <= rejected <= 28  # 5 % of 300 is 15


def test_draws_that_are_too_many_to_keep_are_the_same() -> None:
    """Blocks must not change what is drawn: 3,000,000 values do not fit in one."""
    assert BLOCK < 300 * 10_000
    values = sample(300)
    expected = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(3), batch=1000)
    assert bootstrap_interval(values, 3, 10_000) == pytest.approx(tuple(expected.confidence_interval), abs=1e-12)
    assert 0 < randomisation_p(values, 3, 10_000) < 1


def test_resamples_and_seeds_are_checked() -> None:
    with pytest.raises(XlrankError, match="resamples is 0 and seed 13"):
        bootstrap_interval(sample(5), 13, 0)
