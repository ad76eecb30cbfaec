"""Rows by system and pair: order, best, averages, and several folders in one."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.samples import ranker, results, row
from xlrank.errors import XlrankError
from xlrank.report.board import Board, Pair, Source, board_of
from xlrank.report.reading import checked


def board(*values: dict[str, Any], names: str = "abc") -> Board:
    return board_of([Source(Path(name), checked(value), name) for value, name in zip(values, names, strict=False)])


KY, UG, FA = Pair("mini", "ky", "en"), Pair("mini", "ug", "fa"), Pair("mini", "fa", "en")


def test_order_best_and_baseline() -> None:
    found = board(results())
    assert found.pairs == (KY, UG, FA)
    assert [entry.system for entry in found.of(KY)] == ["split", "dense", "bm25"]
    assert [entry.system for entry in found.of(FA)] == ["rtl", "dense", "evil"]  # equal values: by name
    assert [entry.system for entry in found.of(KY) if found.is_best(entry, "map")] == ["split"]
    assert all(found.is_best(entry, "recall@100") for entry in found.of(KY))  # all show 0.900
    split = found.cells["split", KY]
    baseline = found.baseline_of(split)
    assert baseline is not None and baseline.system == "dense" and found.baseline_of(baseline) is None
    assert split.significant and not found.cells["rtl", FA].significant  # p = 0.05 is not below 0.05
    assert split.published_difference == pytest.approx(-0.025)


def test_values_that_print_the_same_share_the_honour() -> None:
    value = results(rows=[row("dense", "ky-en", 0.40004), row("split", "ky-en", 0.39996, 0.5), row("bm25", "ky-en", 0.3994, 0.5)])
    found = board(value)
    assert [entry.system for entry in found.of(KY) if found.is_best(entry, "map")] == ["dense", "split"]


def test_averages_only_of_what_is_whole() -> None:
    found = board(results())
    assert found.average("dense", found.pairs) == pytest.approx(0.4)
    assert found.average("split", found.pairs) is None
    assert found.average("split", (KY, UG)) == pytest.approx(0.49)
    assert found.ranked(found.pairs) == ["dense", "bm25", "split", "rtl", "evil"]


def test_no_baseline_and_no_test() -> None:
    value = results(rows=[row("dense", "ky-en", 0.4), row("bm25", "ky-en", 0.3)])
    value["tests"]["baseline"] = None
    found = board(value)
    assert found.baseline_labels() == []
    assert all(not entry.baseline and found.baseline_of(entry) is None for entry in found.entries)


def test_collections_of_one_kind_share_a_group() -> None:
    rows = [row("dense", "en-fa", 0.4, collection="hc4/fa/test"), row("dense", "en-zh", 0.4, collection="hc4/zh/test")]
    rows += [row("dense", "ky-en", 0.4, collection="clef/2003"), row("dense", "en-ru", 0.4, collection="folder:a/b")]
    groups = board(results(rows=rows)).groups
    assert {name: len(pairs) for name, pairs in groups.items()} == {"hc4": 2, "clef/2003": 1, "folder:a/b": 1}


def test_systems_of_two_folders_on_different_pairs_are_one() -> None:
    one = results(rows=[row("dense", "ky-en", 0.4), ranker("split", "ky-en", 0.5, 0.1)])
    other = results(rows=[row("dense", "tr-en", 0.6), ranker("split", "tr-en", 0.7, 0.1)])
    found = board(one, other)
    assert list(found.systems) == ["dense", "split"]
    assert found.average("split", found.pairs) == pytest.approx(0.6)
    assert [entry.source.name for entry in found.of(Pair("mini", "tr", "en"))] == ["b", "b"]


def test_systems_of_two_folders_on_the_same_pair_are_two() -> None:
    one = results(rows=[row("dense", "ky-en", 0.4), ranker("split", "ky-en", 0.5, 0.1)])
    other = results(rows=[row("dense", "ky-en", 0.6, label="DENSE, int8"), ranker("split", "tr-en", 0.7, 0.1)])
    found = board(one, other)
    assert found.systems == {"dense (a)": "DENSE (a)", "split": "SPLIT", "dense (b)": "DENSE, int8 (b)"}
    split = found.cells["split", KY]
    baseline = found.baseline_of(split)
    assert baseline is not None and baseline.source is split.source


def test_labels_tell_systems_of_two_folders_apart() -> None:
    one = results(rows=[row("dense", "ky-en", 0.4)])
    other = results(rows=[row("dense", "tr-en", 0.6, label="another encoder")])
    assert list(board(one, other).systems.values()) == ["DENSE (a)", "another encoder (b)"]


def test_different_primary_metrics_are_not_merged() -> None:
    with pytest.raises(XlrankError, match="b: its primary metric is 'recall@100', that of a is 'map'"):
        board(results(), results(metrics=["recall@100", "map"]))
