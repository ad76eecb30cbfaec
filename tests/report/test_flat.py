"""CSV and JSON: one record a system, pair and metric."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.report.samples import EVIL, FORMULA, results, row
from xlrank.report.board import Board, Source, board_of
from xlrank.report.flat import COLUMNS, flat_csv, flat_json
from xlrank.report.reading import checked


def board() -> Board:
    value = results()
    value["rows"][1] |= {"label": FORMULA, "reference_comparison": {"p_value": 0.04, "star": True, "baseline": "dense"}}
    return board_of([Source(Path("a"), checked(value), "small")])


def test_json() -> None:
    found = json.loads(flat_json(board()))
    assert tuple(found["columns"]) == COLUMNS and len(found["records"]) == 9 * 2
    by_place = {(r["system"], r["language"], r["metric"]): r for r in found["records"]}
    split = by_place["split", "ky", "map"]
    assert (split["value"], split["low"], split["high"]) == pytest.approx((0.53, 0.43, 0.63))
    assert (split["p_corrected"], split["significant"], split["effect"], split["baseline"]) == (0.049, True, 0.5, "dense")
    assert (split["published"], split["published_difference"]) == (0.555, pytest.approx(-0.025))
    assert (split["ms_per_query_p95"], split["module_bytes"], split["experiment"]) == (1200.5, 14_800_000, "small")
    assert by_place["split", "ky", "recall@100"]["p_corrected"] is None  # only the primary metric is tested
    assert by_place["dense", "ky", "map"]["difference"] is None
    assert by_place["bm25", "ky", "map"]["label"] == FORMULA
    assert (by_place["bm25", "ky", "map"]["reference_p_value"], by_place["bm25", "ky", "map"]["reference_star"]) == (0.04, True)


def test_csv_says_the_same_and_holds_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(flat_csv(board()))))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 18
    assert {row["label"] for row in rows if row["system"] == "bm25"} == {"'" + FORMULA}  # one label a system
    assert [row["label"] for row in rows if row["system"] == "evil"] == [EVIL, EVIL]
    split = next(row for row in rows if row["system"] == "split" and row["language"] == "ky")
    assert (split["value"], split["significant"], split["x"]) == ("0.53", "1", "")
    difference = next(row for row in rows if row["system"] == "bm25" and row["difference"])["difference"]
    assert float(difference) == pytest.approx(-0.1)  # a negative number is no formula


def test_metrics_that_a_row_lacks_make_no_record() -> None:
    value = results(rows=[row("dense", "ky-en", 0.4, metrics={"map": 0.4})])
    assert len(json.loads(flat_json(board_of([Source(Path("a"), checked(value), "a")])))["records"]) == 1
