"""Results folders: read as they are, format 1 converted, what is newer or malformed refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.samples import format_1, results, written
from xlrank.errors import XlrankError
from xlrank.report.reading import read_results


def test_format_2(tmp_path: Path) -> None:
    found = read_results(written(tmp_path, results()))
    assert (found.primary, found.tests.baseline, len(found.rows)) == ("map", "dense", 9)
    split = found.rows[2]
    assert split.comparison is not None and split.comparison.p_corrected == 0.049
    assert split.modules["ranking/en"].bytes == 7_400_000
    assert split.published is not None and split.published.significant


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    value = results(later="x")
    value["rows"][0]["later"] = {}
    assert len(read_results(written(tmp_path, value)).rows) == 9


def test_format_1_is_converted(tmp_path: Path) -> None:
    found = read_results(written(tmp_path, format_1()))
    assert found.metrics == ["map", "mrr"]  # MAP was what format 1 tested
    assert found.tests.baseline == "dense" and found.tests.correction == "holm"
    dense, split = found.rows
    assert dense.collection == "mini" and dense.comparison is None and dense.topics == 3
    assert split.comparison is not None
    assert (split.comparison.p_corrected, split.comparison.baseline, split.comparison.effect) == (0.049, "dense", None)
    assert (split.cost.seconds, split.cost.pairs_per_second, split.intervals) == (1.26, 24.5, {})


def test_newer_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        XlrankError, match=r"results\.json: of format 3, written by a newer xlrank \(9\.9\).*upgrade xlrank"
    ) as caught:
        read_results(written(tmp_path, results(format=3, xlrank="9.9")))
    assert "\n" not in str(caught.value)


def without(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def remove(value: Any) -> None:  # noqa: ANN401
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return remove


def with_(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def put(found: Any) -> None:  # noqa: ANN401
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return put


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("metrics"), "lacks 'metrics'"),
        (without("rows", 1, "per_topic"), r"rows\[1\] lacks 'per_topic'"),
        (without("rows", 2, "metrics", "map"), r"rows\[2\].metrics lacks 'map'"),
        (without("rows", 2, "comparison", "p_corrected"), r"rows\[2\].comparison lacks 'p_corrected'"),
        (with_("rows", 0, "metrics", "map", value=float("nan")), r"rows\[0\].metrics.map: input should be a finite number"),
        (with_("rows", 0, "metrics", "map", value="0.4"), r"rows\[0\].metrics.map: input should be a valid number"),
        (with_("rows", 0, "metrics", "map", value=True), r"rows\[0\].metrics.map: input should be a valid number"),
        (with_("rows", 0, "per_topic", "map", "9", value="high"), r"rows\[0\].per_topic.map.9"),
        (with_("rows", value=[]), "rows: list should have at least 1 item"),
        (with_("rows", value=["dense"]), r"rows\[0\]: input should be a valid dictionary"),
        (with_("rows", 1, "system", value="dense"), r"rows\[1\] is for the same system and pair as rows\[0\]"),
        (with_("rows", 1, "run", value="../../etc/passwd"), r"rows\[1\].run: must be a relative path inside"),
        (with_("rows", 1, "run", value="/etc/passwd"), r"rows\[1\].run: must be a relative path inside"),
        (with_("rows", 2, "candidates", value="a/../../b"), r"rows\[2\].candidates: must be a relative path inside"),
        (with_("tests", "method", value="guess"), "tests.method"),
        (with_("format", value="two"), "'format' is 'two'"),
        (with_("format", value=0), "'format' is 0"),
    ],
)
def test_malformed_results(tmp_path: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    value = results()
    spoil(value)
    with pytest.raises(XlrankError, match=message) as caught:
        read_results(written(tmp_path, value))
    assert "xlrank eval" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("baseline"), "lacks 'baseline'"),
        (without("rows", 0, "per_topic"), r"rows\[0\] lacks 'per_topic'"),
        (without("rows", 1, "comparison", "p_holm"), r"rows\[1\].comparison lacks 'p_holm'"),
        (with_("rows", value=[3]), r"rows\[0\] is not an object"),
        (with_("rows", value={}), "'rows' is not a list"),
        (with_("metrics", value=["mrr"]), "'map' in it"),
    ],
)
def test_malformed_results_of_format_1(tmp_path: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    value = format_1()
    spoil(value)
    with pytest.raises(XlrankError, match=message):
        read_results(written(tmp_path, value))


@pytest.mark.parametrize("text", [None, "{", "[]", "null"])
def test_missing_or_broken_files(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text, encoding="utf-8")
    with pytest.raises(XlrankError, match=r"results\.json"):
        read_results(tmp_path)
