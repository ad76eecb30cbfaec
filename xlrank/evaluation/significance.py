"""Can the difference between two systems be chance? Paired tests over topics, corrected for how many were made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from xlrank.errors import XlrankError
from xlrank.evaluation.corrections import Correction, correct, holm
from xlrank.evaluation.resampling import SAME, bootstrap_interval, bootstrap_p, randomisation_p

__all__ = ["SAME", "Comparison", "Tests", "compare", "compare_all", "compare_families", "holm", "interval"]

Values = Mapping[str, float]
"""Topic id to a metric's value."""

Topics = Literal["same", "shared"]
METHODS, CORRECTIONS, FAMILIES = ("t-test", "randomisation", "bootstrap"), ("holm", "bh", "none"), ("pair", "all")


@dataclass(frozen=True)
class Tests:
    """How differences are tested.

    Attributes:
        method: ``t-test`` (paired), ``randomisation`` (of signs) or ``bootstrap`` (studentised); all are two-sided.
        correction: ``holm``, ``bh`` (Benjamini-Hochberg) or ``none``.
        alpha: level below which a corrected p is called significant.
        baseline: system that the others are compared with; None: nothing is tested.
        family: tests that are corrected together: those of a language ``pair``, or ``all``.
        seed: of resampling.
        resamples: how many, for tests and intervals.

    Raises:
        XlrankError: a value is not among these.
    """

    method: Literal["t-test", "randomisation", "bootstrap"] = "t-test"
    correction: Correction = "holm"
    alpha: float = 0.05
    baseline: str | None = None
    family: Literal["pair", "all"] = "pair"
    seed: int = 13
    resamples: int = 2000

    def __post_init__(self) -> None:
        for name, known in (("method", METHODS), ("correction", CORRECTIONS), ("family", FAMILIES)):
            if getattr(self, name) not in known:
                raise XlrankError(f"{name} of tests is {getattr(self, name)!r}; expected {', '.join(known)}")
        if not 0 < self.alpha < 1:
            raise XlrankError(f"alpha is {self.alpha}; expected a level between 0 and 1, such as 0.05")
        if self.resamples < 1 or self.seed < 0:
            raise XlrankError(f"resamples is {self.resamples} and seed {self.seed}; expected 1 or more, and 0 or more")


@dataclass(frozen=True)
class Comparison:
    """A system against a baseline on the same topics.

    Attributes:
        difference: mean over topics of system minus baseline, in the metric's unit.
        p_value: two-sided, uncorrected; ``None`` where there is no test: with fewer than two topics, and of the t-test and the
            bootstrap where all topics differ by the same amount, for without variance nothing is known of chance.
        wins: topics on which the system is better.
        losses: topics on which the baseline is better.
        ties: topics on which they are equal, up to rounding.
        topics: number of topics.
        p_corrected: p corrected for its family; ``None`` where ``p_value`` is, and outside a family.
        effect: mean difference in standard deviations of the differences, with Hedges' correction for few topics; ``None``
            with fewer than three topics, and where all topics differ by the same amount.
        interval: 95 % bootstrap interval (BCa) of the difference; ``None`` with fewer than two topics.
    """

    difference: float
    p_value: float | None
    wins: int
    losses: int
    ties: int
    topics: int
    p_corrected: float | None = None
    effect: float | None = None
    interval: tuple[float, float] | None = None


def compare(system: Values, baseline: Values, tests: Tests | None = None, *, topics: Topics = "same") -> Comparison:
    """Compare two systems by their values per topic, aligned by topic id.

    The two-sided paired t-test is what Urbano, Lima and Hanjalic (SIGIR 2019) recommend for means over topics.

    Args:
        system: topic id to value.
        baseline: topic id to value.
        tests: method, seed and number of resamples; by default a t-test.
        topics: both must have the ``same``, or the ``shared`` ones are compared (runs evaluated with ``missing="skip"``).

    Raises:
        XlrankError: the two do not hold the same topics, share none, or hold a value that is not finite.
    """
    tests = tests or Tests()
    differences = _differences(system, baseline, topics)
    wins, losses = int((differences > SAME).sum()), int((differences < -SAME).sum())
    several = len(differences) > 1
    return Comparison(
        difference=float(differences.mean()),
        p_value=_p_value(differences, tests) if several else None,
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
        topics=len(differences),
        effect=_effect(differences),
        interval=bootstrap_interval(differences, tests.seed, tests.resamples) if several else None,
    )


def compare_all(values: Mapping[str, Values], tests: Tests, *, topics: Topics = "same") -> dict[str, Comparison | None]:
    """Compare all systems with the baseline, as one family of tests.

    Args:
        values: system to topic id to value.
        tests: how. Without a baseline, or where no system has its name, nothing is compared.
        topics: as in :func:`compare`.

    Returns:
        The systems in their order; ``None`` for the baseline and where nothing was compared.

    Raises:
        XlrankError: as :func:`compare`; the system is named.
    """
    return compare_families({"": values}, tests, topics=topics)[""]


def compare_families(
    families: Mapping[str, Mapping[str, Values]], tests: Tests, *, topics: Topics = "same"
) -> dict[str, dict[str, Comparison | None]]:
    """Compare all systems with the baseline on several language pairs.

    Args:
        families: pair to system to topic id to value.
        tests: how; with ``family="all"`` the tests of all pairs are corrected together, else those of each pair.
        topics: as in :func:`compare`.

    Returns:
        Pairs and systems in their order; ``None`` for the baseline, and for all systems of a pair that lacks it.

    Raises:
        XlrankError: as :func:`compare`; pair and system are named.
    """
    found: dict[tuple[str, str], Comparison | None] = {}
    for pair, systems in families.items():
        baseline = systems.get(tests.baseline) if tests.baseline is not None else None
        for name, values in systems.items():
            found[pair, name] = None
            if baseline is not None and name != tests.baseline:
                try:
                    found[pair, name] = compare(values, baseline, tests, topics=topics)
                except XlrankError as error:
                    raise XlrankError(f"{pair}{', ' if pair else ''}system {name!r}: {error}") from None
    groups = [list(found)] if tests.family == "all" else [[key for key in found if key[0] == pair] for pair in families]
    corrected: dict[tuple[str, str], float | None] = {}
    for group in groups:
        tested = {key: comparison.p_value for key in group if (comparison := found[key]) is not None}
        corrected.update(correct(tested, tests.correction))
    complete = {key: each and replace(each, p_corrected=corrected[key]) for key, each in found.items()}
    return {pair: {name: complete[pair, name] for name in systems} for pair, systems in families.items()}


def interval(values: Values, seed: int = Tests.seed, resamples: int = Tests.resamples) -> tuple[float, float]:
    """The 95 % bootstrap interval (BCa) of a mean over topics; of one topic, its value twice.

    Raises:
        XlrankError: there is no topic, or a value that is not finite.
    """
    if not values:
        raise XlrankError("no topics to average over; evaluate on at least one judged topic")
    _finite(values, "the system")
    return bootstrap_interval(np.array(list(values.values()), dtype=np.float64), seed, resamples)


def _differences(system: Values, baseline: Values, topics: str) -> np.ndarray:
    if topics not in ("same", "shared"):
        raise XlrankError(f"topics is {topics!r}; expected same or shared")
    for one, other, lacks in ((system, baseline, "baseline"), (baseline, system, "system")):
        missing = sorted(one.keys() - other.keys())
        if missing and topics == "same":
            raise XlrankError(f"the {lacks} has no value for topic {missing[0]!r}; evaluate both runs with the same qrels")
    shared = [topic for topic in system if topic in baseline]
    if not shared:
        raise XlrankError("no topics to compare; evaluate both runs on at least one judged topic")
    _finite(system, "the system")
    _finite(baseline, "the baseline")
    return np.array([system[topic] - baseline[topic] for topic in shared], dtype=np.float64)


def _finite(values: Values, whose: str) -> None:
    for topic, value in values.items():
        if not math.isfinite(value):
            raise XlrankError(f"{whose} has the value {value} for topic {topic!r}; expected a finite number")


def _p_value(differences: np.ndarray, tests: Tests) -> float | None:
    if tests.method == "randomisation":
        return randomisation_p(differences, tests.seed, tests.resamples)
    if np.ptp(differences) <= SAME:  # no variance: t is 0/0, or infinite however few the topics are
        return None
    return bootstrap_p(differences, tests.seed, tests.resamples) if tests.method == "bootstrap" else _t_test(differences)


def _t_test(differences: np.ndarray) -> float:
    """As ``scipy.stats.ttest_rel``; scipy.special is imported in a tenth of the time that scipy.stats takes."""
    try:
        from scipy.special import stdtr
    except ImportError as error:
        raise XlrankError(f"a paired t-test needs scipy ({error}); `pip install xlrank[eval]` brings it") from None
    topics = len(differences)
    t = differences.mean() / (differences.std(ddof=1) / math.sqrt(topics))
    return float(2 * stdtr(topics - 1, -abs(t)))


def _effect(differences: np.ndarray) -> float | None:
    if len(differences) < 3:
        return None
    if np.abs(differences).max() <= SAME:
        return 0.0
    if np.ptp(differences) <= SAME:
        return None
    freedom = len(differences) - 1
    unbiased = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return float(unbiased * differences.mean() / differences.std(ddof=1))
