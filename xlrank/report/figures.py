"""Numbers, names and dates as every writer prints them."""

from collections.abc import Sequence
from datetime import datetime

from xlrank.languages import LANGUAGES
from xlrank.report.model import Tests

MISSING = "–"
UNTESTED = "n/a"
"""For p where two systems were compared but no test can be made: of one topic, or without variance."""

METHODS = {
    "t-test": "paired t-test",
    "randomisation": "paired randomisation test",
    "bootstrap": "paired bootstrap test",
}
CORRECTIONS = {"holm": "Holm's correction", "bh": "Benjamini and Hochberg's correction", "none": "no correction"}
SHORT_CORRECTIONS = {"holm": "Holm", "bh": "BH", "none": "uncorrected"}
RIGHT_TO_LEFT = ("Arabic", "Hebrew", "Thaana")
"""Scripts."""


def micro(value: float) -> int:
    """A number in millionths.

    All writers round from these, half away from zero, so that a value reads the same in every file: the page rounds the same
    integers, and what a sum leaves behind the sixteenth digit decides nothing.
    """
    return round(abs(value) * 1e6) * (-1 if value < 0 else 1)


def milli(value: float) -> int:
    """A number in thousandths, by way of :func:`micro`."""
    millionths = micro(value)
    return (abs(millionths) + 500) // 1000 * (-1 if millionths < 0 else 1)


def number(value: float | None) -> str:
    """Three decimals; a dash for none."""
    if value is None:
        return MISSING
    thousandths = milli(value)
    return f"{'-' if thousandths < 0 else ''}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}"


def signed(value: float | None) -> str:
    """Three decimals with a sign, except for what rounds to zero."""
    if value is None:
        return MISSING
    return ("+" if milli(value) > 0 else "") + number(value)


def p_value(value: float | None) -> str:
    """Of a comparison: three decimals, ``<0.001`` below; ``n/a`` where no test can be made."""
    if value is None:
        return UNTESTED
    return "<0.001" if micro(value) < 1000 else number(value)


def effect(value: float | None) -> str:
    """Two decimals with a sign."""
    text = MISSING if value is None else f"{value:+.2f}"
    return text if text.strip("+-0.") else "0.00"


def decimal(value: float | None, places: int = 1) -> str:
    """So many decimals, for seconds, rates and sizes; a dash for none."""
    return MISSING if value is None else f"{value:.{places}f}"


def interval(ends: tuple[float, float] | None) -> str:
    """``[0.412, 0.641]``; empty for none."""
    return f"[{number(ends[0])}, {number(ends[1])}]" if ends else ""


def metric_name(metric: str) -> str:
    """How papers write a metric: ``map`` → MAP, ``ndcg@10`` → nDCG@10; one that is unknown as it stands."""
    from xlrank.errors import XlrankError
    from xlrank.evaluation.names import metric_label

    try:
        return metric_label(metric)
    except XlrankError:
        return metric


def language_name(code: str) -> str:
    """The English name of a language, or the code itself where it is unknown."""
    return LANGUAGES[code].name if code in LANGUAGES else code


def direction(code: str) -> str:
    """``rtl`` or ``ltr`` by the language's script, ``auto`` (by the text) where the language or its script is unknown."""
    if code not in LANGUAGES or not LANGUAGES[code].script:
        return "auto"
    return "rtl" if LANGUAGES[code].script in RIGHT_TO_LEFT else "ltr"


def listed(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def date(text: str) -> str:
    """An ISO date as people read it, to the minute; as it stands where it is none."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return text


def tests_in_words(tests: Tests) -> str:
    """``two-sided paired t-test over topics, Holm's correction over the systems of a language pair, p < 0.05``."""
    over = {"pair": " over the systems of a language pair", "all": " over all systems and pairs"}[tests.family]
    corrected = CORRECTIONS[tests.correction] + (over if tests.correction != "none" else "")
    drawn = f" ({tests.resamples} resamples, seed {tests.seed})" if tests.method != "t-test" else ""
    return f"two-sided {METHODS[tests.method]} over topics{drawn}, {corrected}, p < {tests.alpha:g}"
