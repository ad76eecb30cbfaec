"""Numbers as text: the same in every file."""

from xlrank.report import figures, model
from xlrank.report.figures import date, direction, effect, interval, metric_name, number, p_value, signed


def test_numbers() -> None:
    assert [number(value) for value in (0.8125, 0.0005, 1.0, None, -0.25, 0.4994999999999999)] == [
        "0.813",
        "0.001",
        "1.000",
        "–",
        "-0.250",
        "0.500",
    ]
    assert [signed(value) for value in (0.0004, -0.0004, -0.02, 1.0)] == ["0.000", "0.000", "-0.020", "+1.000"]
    assert [p_value(value) for value in (None, 0.0, 0.00099, 0.04951, 1.0)] == ["n/a", "<0.001", "<0.001", "0.050", "1.000"]
    assert [effect(value) for value in (None, 0.001, -0.256, 1.5)] == ["–", "0.00", "-0.26", "+1.50"]
    assert interval((0.1, 0.25)) == "[0.100, 0.250]" and interval(None) == ""


def test_names() -> None:
    assert [metric_name(name) for name in ("map", "ndcg@10", "judged@10", "own metric")] == [
        "MAP",
        "nDCG@10",
        "Judged@10",
        "own metric",
    ]
    assert [direction(code) for code in ("ug", "fa", "ky", "xx")] == ["rtl", "rtl", "ltr", "auto"]
    assert date("2026-11-23T17:00:00+00:00") == "2026-11-23 17:00 UTC" and date("yesterday") == "yesterday"


def test_tests_in_words() -> None:
    assert figures.tests_in_words(model.Tests()) == (
        "two-sided paired t-test over topics, Holm's correction over the systems of a language pair, p < 0.05"
    )
    drawn = model.Tests(method="randomisation", correction="bh", family="all", alpha=0.01, seed=7, resamples=500)
    assert "(500 resamples, seed 7)" in figures.tests_in_words(
        drawn
    ) and "over all systems and pairs, p < 0.01" in figures.tests_in_words(drawn)
    assert "no correction, p" in figures.tests_in_words(model.Tests(correction="none"))
