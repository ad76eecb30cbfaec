"""Comparisons of systems: paired tests against scipy, families, and where a test is not defined."""

import math
import random
import statistics
import warnings
from dataclasses import replace
from typing import Any, Literal

import pytest
from scipy import stats

from xlrank.errors import XlrankError
from xlrank.evaluation import Comparison, compare, compare_all
from xlrank.evaluation import Tests as Settings  # pytest would collect what is called Test…
from xlrank.evaluation.significance import compare_families, holm, interval

Method = Literal["t-test", "randomisation", "bootstrap"]
METHODS: tuple[Method, ...] = ("t-test", "randomisation", "bootstrap")


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
        ({"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 0.5}, 0.5),
        ({"a": 0.6, "b": 0.4, "c": 0.3}, {"a": 0.5, "b": 0.3, "c": 0.2}, 0.25),
        ({"a": 0.6}, {"a": 0.5}, None),
    ],
    ids=["no difference", "two equal differences", "three equal differences", "one topic"],
)
def test_without_variance_only_signs_can_be_tested(
    system: dict[str, float], baseline: dict[str, float], p_value: float | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {method: compare(system, baseline, Settings(method=method)).p_value for method in METHODS}
    assert found == {"t-test": None, "bootstrap": None, "randomisation": p_value}


def test_identical_systems() -> None:
    values = {"a": 0.5, "b": 0.25, "c": 0.0}
    for method in METHODS:
        p_value = 1.0 if method == "randomisation" else None
        assert compare(values, values, Settings(method=method)) == Comparison(0.0, p_value, 0, 0, 3, 3, None, 0.0, (0.0, 0.0))


def test_what_cannot_be_tested_is_no_member_of_the_family() -> None:
    values = {"base": random_values(1), "x": random_values(2, 0.1)}
    values["y"] = {topic: value - 0.1 for topic, value in values["base"].items()}
    found = compare_all(values, Settings(baseline="base"))
    assert found["x"] is not None and found["y"] is not None
    assert found["y"].p_corrected is None and found["x"].p_corrected == found["x"].p_value


def test_topics_must_be_the_same() -> None:
    with pytest.raises(XlrankError, match="the baseline has no value for topic 'b'"):
        compare({"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 1.0})
    with pytest.raises(XlrankError, match="the system has no value for topic 'z'"):
        compare({"a": 1.0}, {"a": 1.0, "z": 1.0})
    with pytest.raises(XlrankError, match="no topics"):
        compare({}, {})


def test_shared_topics() -> None:
    """Runs evaluated with missing="skip" may lack different topics."""
    found = compare({"a": 0.5, "b": 0.4, "c": 1.0}, {"c": 0.5, "a": 0.5, "z": 1.0}, topics="shared")
    assert (found.topics, found.difference, found.wins, found.ties) == (2, 0.25, 1, 1)
    with pytest.raises(XlrankError, match="no topics to compare"):
        compare({"a": 1.0}, {"b": 1.0}, topics="shared")


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(XlrankError, match="the baseline has the value nan for topic 'b'"):
        compare({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": math.nan})
    with pytest.raises(XlrankError, match="the system has the value inf for topic 'a'"):
        interval({"a": math.inf})


def test_one_topic_is_measured_but_not_tested() -> None:
    for method in METHODS:
        found = compare({"a": 0.6}, {"a": 0.5}, Settings(method=method))
        assert found == Comparison(pytest.approx(0.1), None, 1, 0, 0, 1, None, None, None)  # type: ignore[arg-type]


def test_the_effect_is_hedges() -> None:
    """Mean over standard deviation, times the exact correction, near 1 - 3 / (4 (n - 1) - 1)."""
    system = {str(topic): 0.3 + value for topic, value in enumerate([0.1, 0.0, 0.2, -0.05, 0.12, 0.3])}
    found = compare(system, dict.fromkeys(system, 0.3))
    values = [value - 0.3 for value in system.values()]
    uncorrected = statistics.mean(values) / statistics.stdev(values)
    assert found.effect == pytest.approx(uncorrected * (1 - 3 / (4 * 5 - 1)), rel=0.005)
    assert found.effect == pytest.approx(uncorrected * math.gamma(2.5) / (math.sqrt(2.5) * math.gamma(2)))
    assert found.interval is not None
    assert found.interval[0] < found.difference < found.interval[1]


def test_a_constant_difference_has_no_standardised_effect() -> None:
    system = {"a": 0.6, "b": 0.4, "c": 0.3}
    found = compare(system, {topic: value - 0.1 for topic, value in system.items()}, Settings(method="bootstrap", resamples=99))
    assert (found.p_value, found.effect) == (None, None)
    assert found.interval == pytest.approx((0.1, 0.1))
    exact = compare(system, {topic: value - 0.1 for topic, value in system.items()}, Settings(method="randomisation"))
    assert exact.p_value == 2 / 8


def random_values(seed: int, shift: float = 0.0, topics: int = 30) -> dict[str, float]:
    draw = random.Random(seed)
    return {f"{topic}": min(1.0, max(0.0, draw.gauss(0.4 + shift, 0.2))) for topic in range(topics)}


@pytest.mark.parametrize("method", METHODS)
def test_all_against_a_baseline_are_one_family(method: Method) -> None:
    values = {"x": random_values(1, 0.1), "base": random_values(2), "y": random_values(3), "z": random_values(4, -0.2)}
    found = compare_all(values, Settings(baseline="base", method=method))
    assert list(found) == ["x", "base", "y", "z"]
    assert found["base"] is None
    compared = {name: each for name, each in found.items() if each is not None}
    assert {name: each.p_corrected for name, each in compared.items()} == pytest.approx(
        holm({name: each.p_value for name, each in compared.items()})
    )
    single = compare(values["z"], values["base"], Settings(method=method))
    assert replace(compared["z"], p_corrected=None) == single
    smallest = min(each.p_value or 0 for each in compared.values())
    assert 0 < smallest < 0.01
    assert min(each.p_corrected or 0 for each in compared.values()) == pytest.approx(3 * smallest)
    assert (compared["y"].p_corrected or 0) > 0.05


def test_a_constant_baseline_is_nothing_special() -> None:
    values = {"base": dict.fromkeys(random_values(1), 0.0), "x": random_values(1)}
    found = compare_all(values, Settings(baseline="base"))["x"]
    assert found is not None
    assert found.p_value == pytest.approx(stats.ttest_1samp(list(values["x"].values()), 0).pvalue)


@pytest.mark.parametrize("baseline", [None, "other"])
def test_without_a_baseline_nothing_is_compared(baseline: str | None) -> None:
    assert compare_all({"x": random_values(1)}, Settings(baseline=baseline)) == {"x": None}
    assert compare_all({}, Settings(baseline=baseline)) == {}


def test_families_over_pairs() -> None:
    """Two pairs with two systems each; the third lacks the baseline."""
    families = {
        "ky-en": {"base": random_values(1), "x": random_values(2, 0.1), "y": random_values(3, 0.1)},
        "sw-en": {"x": random_values(4, 0.1), "base": random_values(5)},
        "ug-en": {"x": random_values(6)},
    }
    by_pair = compare_families(families, Settings(baseline="base"))
    together = compare_families(families, Settings(baseline="base", family="all"))
    assert {pair: list(systems) for pair, systems in together.items()} == {pair: list(s) for pair, s in families.items()}
    assert together["ug-en"] == {"x": None}
    p_values = {(p, s): each.p_value for p, found in by_pair.items() for s, each in found.items() if each}
    assert len(p_values) == 3
    assert {(p, s): each.p_corrected for p, found in together.items() for s, each in found.items() if each} == holm(p_values)
    single = by_pair["sw-en"]["x"]
    assert single is not None
    assert single.p_corrected == single.p_value


def test_different_topics_are_named_with_pair_and_system() -> None:
    families = {"ky-en": {"base": {"1": 0.5, "2": 0.1}, "x": {"1": 0.5}}}
    with pytest.raises(XlrankError, match="ky-en, system 'x': the system has no value for topic '2'"):
        compare_families(families, Settings(baseline="base"))
    found = compare_families(families, Settings(baseline="base"), topics="shared")["ky-en"]["x"]
    assert found is not None
    assert found.topics == 1


def test_intervals_do_not_depend_on_the_order_of_systems() -> None:
    values = random_values(1)
    assert interval(values, 13, 500) == interval(values, 13, 500) != interval(values, 14, 500)
    assert interval({"1": 0.5}) == (0.5, 0.5)
    with pytest.raises(XlrankError, match="no topics to average over"):
        interval({})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "sign"}, "method of tests is 'sign'; expected t-test, randomisation, bootstrap"),
        ({"correction": "bonferroni"}, "correction of tests is 'bonferroni'; expected holm, bh, none"),
        ({"family": "table"}, "family of tests is 'table'; expected pair, all"),
        ({"alpha": 5}, "alpha is 5; expected a level between 0 and 1"),
        ({"resamples": 0}, "resamples is 0 and seed 13"),
        ({"seed": -1}, "resamples is 2000 and seed -1"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(XlrankError, match=said):
        Settings(**settings)
