"""Paired tests against scipy, Holm's correction against an example worked out by hand."""

import random
import warnings

import pytest
from scipy import stats

from xlrank.errors import XlrankError
from xlrank.evaluation import Comparison, compare
from xlrank.evaluation.significance import holm


def test_agrees_with_scipy_whatever_the_order_of_topics() -> None:
    draw = random.Random(7)
    system = {f"{topic:02}": draw.random() for topic in range(40)}
    baseline = {topic: min(1.0, max(0.0, value - 0.05 + draw.gauss(0, 0.1))) for topic, value in system.items()}
    shuffled = dict(sorted(baseline.items(), key=lambda _: draw.random()))
    expected = stats.ttest_rel(list(system.values()), list(baseline.values()))
    found = compare(system, shuffled)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx(sum(system.values()) / 40 - sum(baseline.values()) / 40)
    assert (found.wins + found.losses + found.ties, found.topics) == (40, 40)
    assert compare(baseline, system).p_value == pytest.approx(expected.pvalue)


def test_counts_wins_losses_and_ties_up_to_rounding() -> None:
    found = compare({"a": 0.5, "b": 0.1, "c": 0.1 + 0.2, "d": 0.9}, {"a": 0.4, "b": 0.3, "c": 0.3, "d": 0.2})
    assert (found.wins, found.losses, found.ties, found.topics) == (2, 1, 1, 4)
    assert found.difference == pytest.approx((0.1 - 0.2 + 0.0 + 0.7) / 4)


@pytest.mark.parametrize(
    ("system", "baseline", "p_value"),
    [
        ({"a": 0.5, "b": 0.1}, {"a": 0.5, "b": 0.1}, 1.0),
        ({"a": 0.6, "b": 0.4, "c": 0.3}, {"a": 0.5, "b": 0.3, "c": 0.2}, 0.0),
        ({"a": 0.6}, {"a": 0.5}, None),
    ],
    ids=["no difference", "constant difference", "one topic"],
)
def test_where_the_t_test_is_not_defined(system: dict[str, float], baseline: dict[str, float], p_value: float | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compare(system, baseline).p_value == p_value


def test_identical_systems() -> None:
    values = {"a": 0.5, "b": 0.25}
    assert compare(values, values) == Comparison(0.0, 1.0, 0, 0, 2, 2)


def test_topics_must_be_the_same() -> None:
    with pytest.raises(XlrankError, match="the baseline has no value for topic 'b'"):
        compare({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.0})
    with pytest.raises(XlrankError, match="the system has no value for topic 'z'"):
        compare({"a": 1.0}, {"a": 1.0, "z": 1.0})
    with pytest.raises(XlrankError, match="no topics"):
        compare({}, {})


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 and 0.04 x 1, each at least the one before: 0.04, 0.06, 0.06, 0.06."""
    corrected = holm({"d": 0.04, "none": None, "a": 0.01, "c": 0.03, "b": 0.02})
    assert corrected == pytest.approx({"d": 0.06, "none": None, "a": 0.04, "c": 0.06, "b": 0.06})
    assert list(corrected) == ["d", "none", "a", "c", "b"]


def test_holm_ends() -> None:
    assert holm({}) == {}
    assert holm({"a": None}) == {"a": None}
    assert holm({"a": 0.3}) == {"a": 0.3}
    assert holm({"a": 0.6, "b": 0.9, "c": 1.0}) == {"a": 1.0, "b": 1.0, "c": 1.0}
