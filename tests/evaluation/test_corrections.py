"""Corrections for the number of tests, by hand and against scipy."""

import math
import random

import pytest
from scipy import stats

from xlrank.errors import XlrankError
from xlrank.evaluation.corrections import benjamini_hochberg, correct, holm


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


def test_benjamini_hochberg_is_scipys() -> None:
    draw = random.Random(3)
    p_values: dict[str, float | None] = {f"s{number}": draw.random() ** 3 for number in range(25)}
    expected = stats.false_discovery_control([p for p in p_values.values() if p is not None])
    assert benjamini_hochberg({**p_values, "none": None}) == pytest.approx(
        dict(zip(p_values, expected, strict=True)) | {"none": None}
    )
    assert benjamini_hochberg({"a": 0.01, "b": 0.02, "c": 0.5}) == pytest.approx({"a": 0.03, "b": 0.03, "c": 0.5})


def test_no_correction() -> None:
    assert correct({"b": 0.5, "n": None, "a": 0.01}, "none") == {"b": 0.5, "n": None, "a": 0.01}


def test_wrong_input_is_refused() -> None:
    with pytest.raises(XlrankError, match="correction is 'bonferroni'; expected holm, bh or none"):
        correct({"a": 0.1}, "bonferroni")
    with pytest.raises(XlrankError, match="the p-value of 'a' is nan"):
        correct({"a": math.nan}, "holm")
