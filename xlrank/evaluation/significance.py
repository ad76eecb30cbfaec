"""Can the difference between two systems be chance? Paired tests over topics, corrected for how many were made."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xlrank.errors import XlrankError

SAME = 1e-12
"""Differences up to here are rounding."""


@dataclass(frozen=True)
class Comparison:
    """A system against a baseline on the same topics.

    Attributes:
        difference: mean over topics of system minus baseline, in the metric's unit.
        p_value: two-sided paired t-test, uncorrected; ``None`` with fewer than two topics.
        wins: topics on which the system is better.
        losses: topics on which the baseline is better.
        ties: topics on which they are equal, up to rounding.
        topics: number of topics.
    """

    difference: float
    p_value: float | None
    wins: int
    losses: int
    ties: int
    topics: int


def compare(system: Mapping[str, float], baseline: Mapping[str, float]) -> Comparison:
    """Compare two systems by their values per topic, aligned by topic id.

    The two-sided paired t-test is what Urbano, Lima and Hanjalic (SIGIR 2019) recommend for means over topics. Where it is
    not defined its limit is given: 1 when no topic differs, 0 when all differ by the same amount.

    Raises:
        XlrankError: the two do not hold the same topics, or hold none.
    """
    _same_topics(system, baseline)
    differences = np.array([value - baseline[topic] for topic, value in system.items()])
    wins, losses = int((differences > SAME).sum()), int((differences < -SAME).sum())
    ties = len(differences) - wins - losses
    return Comparison(float(differences.mean()), _p_value(differences), wins, losses, ties, len(differences))


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Holm's correction (1979) of a family of tests: the chance of any false discovery stays below the level.

    Args:
        p_values: name to uncorrected p; ``None`` (no test was made) does not count as a test.

    Returns:
        The same names in the same order; corrected values are at most 1 and as ordered as the uncorrected ones.
    """
    tests = sorted((p, name) for name, p in p_values.items() if p is not None)
    corrected: dict[str, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for done, (p, name) in enumerate(tests):
        highest = max(highest, min(1.0, (len(tests) - done) * p))
        corrected[name] = highest
    return corrected


def _same_topics(system: Mapping[str, float], baseline: Mapping[str, float]) -> None:
    for one, other, lacks in ((system, baseline, "baseline"), (baseline, system, "system")):
        missing = sorted(one.keys() - other.keys())
        if missing:
            raise XlrankError(f"the {lacks} has no value for topic {missing[0]!r}; evaluate both runs with the same qrels")
    if not system:
        raise XlrankError("no topics to compare; evaluate both runs on at least one judged topic")


def _p_value(differences: np.ndarray) -> float | None:
    if len(differences) < 2:
        return None
    if np.ptp(differences) <= SAME:  # no variance: scipy answers nan or warns
        return 1.0 if abs(differences[0]) <= SAME else 0.0
    try:
        from scipy import stats
    except ImportError as error:
        raise XlrankError(f"a paired t-test needs scipy ({error}); `pip install xlrank[eval]` brings it") from None
    return float(stats.ttest_1samp(differences, 0.0).pvalue)
