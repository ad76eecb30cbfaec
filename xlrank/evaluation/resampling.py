"""Bootstrap and sign-flipping over topics. The draws depend on the seed and on the number of topics alone.

So every system of an experiment is resampled with the same topics, results repeat to the last bit, and the draws are made once.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from xlrank.errors import XlrankError

SAME = 1e-12
"""Differences up to here are rounding."""

LEVEL = 0.95
"""Coverage of intervals."""

EXACT_TOPICS = 12
"""Up to so many topics all sign-flips are made: 4,096."""

BLOCK = 2**21
"""Drawn values that are held at once; draws that fit are kept for the next system."""


def bootstrap_interval(values: np.ndarray, seed: int, resamples: int, level: float = LEVEL) -> tuple[float, float]:
    """The bias-corrected and accelerated bootstrap interval (BCa, Efron 1987) of a mean over topics.

    Equal to ``scipy.stats.bootstrap(method="BCa")`` with the same draws, which are shared between systems here. Where BCa is
    not defined (all resampled means on one side of the mean), the percentile interval. One value, or equal values, give
    that value twice: nothing is known of their spread.

    Args:
        values: float64 (topics,), at least one.
        seed: of the draws.
        resamples: how many.
        level: coverage.
    """
    centre = float(values.mean())
    spread = values - centre
    if np.abs(spread).max() <= SAME:
        return centre, centre
    means = np.concatenate([counts @ values for counts in _bootstrap(len(values), seed, resamples)]) / len(values)
    normal = NormalDist()
    ends = [(1 - level) / 2, (1 + level) / 2]
    below = float(((means < centre - SAME).mean() + (means <= centre + SAME).mean()) / 2)
    if 0 < below < 1:
        bias = normal.inv_cdf(below)
        acceleration = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))  # the jackknife's, worked out for a mean
        shifted = [bias + normal.inv_cdf(end) for end in ends]
        ends = [normal.cdf(bias + each / (1 - acceleration * each)) for each in shifted]
    low, high = np.quantile(means, ends)
    return float(low), float(high)


def randomisation_p(differences: np.ndarray, seed: int, resamples: int) -> float:
    """Two-sided p of a mean difference by flipping signs (Fisher's randomisation test; Smucker et al., CIKM 2007).

    Up to ``EXACT_TOPICS`` topics every flip is made, and p is exact. Otherwise flips are drawn, and p = (1 + those with a mean
    as far from 0) / (1 + resamples), which is never 0.
    """
    topics = len(differences)
    observed = abs(float(differences.sum())) - SAME
    if topics <= EXACT_TOPICS:
        flips = 1.0 - 2.0 * ((np.arange(2**topics)[:, None] >> np.arange(topics)) & 1)
        return float((np.abs(flips @ differences) >= observed).mean())
    as_far = sum(int((np.abs(signs @ differences) >= observed).sum()) for signs in _signs(topics, seed, resamples))
    return (1 + as_far) / (1 + resamples)


def bootstrap_p(differences: np.ndarray, seed: int, resamples: int) -> float:
    """Two-sided p of a mean difference by the studentised bootstrap test (Efron and Tibshirani 1993; Sakai, SIGIR 2006).

    Differences are centred, so that there is none; p = (1 + resamples whose t is as far from 0 as the observed t) /
    (1 + resamples). At least two topics, which differ.
    """
    topics = len(differences)
    centred = differences - differences.mean()
    observed = abs(differences.mean()) / math.sqrt((centred**2).mean())
    as_far = 0
    for counts in _bootstrap(topics, seed, resamples):
        means = counts @ centred / topics
        variances = np.maximum(counts @ centred**2 / topics - means**2, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.abs(means) / np.sqrt(variances)
        without = variances <= SAME**2
        ratios[without] = np.where(np.abs(means[without]) > SAME, np.inf, 0.0)
        as_far += int((ratios >= observed * (1 - SAME)).sum())
    return (1 + as_far) / (1 + resamples)


def _bootstrap(topics: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """How often each resample has each topic: blocks of float64 (some resamples, topics)."""
    _check(seed, resamples)
    yield from _kept_counts(topics, seed, resamples) if topics * resamples <= BLOCK else _counts(topics, seed, resamples)


def _signs(topics: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """+1 or -1 for each topic: blocks of float64 (some resamples, topics)."""
    _check(seed, resamples)
    yield from _kept_flips(topics, seed, resamples) if topics * resamples <= BLOCK else _flips(topics, seed, resamples)


def _check(seed: int, resamples: int) -> None:
    if resamples < 1 or seed < 0:
        raise XlrankError(f"resamples is {resamples} and seed {seed}; expected 1 or more, and 0 or more")


def _counts(topics: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    for rows in _blocks(topics, resamples):
        drawn = random.integers(0, topics, (rows, topics)) + topics * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * topics).reshape(rows, topics).astype(np.float64)


def _flips(topics: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    for rows in _blocks(topics, resamples):
        yield 2.0 * random.integers(0, 2, (rows, topics)) - 1.0


def _blocks(topics: int, resamples: int) -> Iterator[int]:
    most = max(1, BLOCK // topics)
    while resamples > 0:
        yield min(most, resamples)
        resamples -= most


@lru_cache(maxsize=4)
def _kept_counts(topics: int, seed: int, resamples: int) -> list[np.ndarray]:
    return list(_counts(topics, seed, resamples))


@lru_cache(maxsize=4)
def _kept_flips(topics: int, seed: int, resamples: int) -> list[np.ndarray]:
    return list(_flips(topics, seed, resamples))
