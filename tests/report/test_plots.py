"""Plots: those that the data allow, with all texts as text, and the same bytes again."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.report.samples import ARABIC, EVIL, ranker, results, row
from xlrank.report.board import Board, Source, board_of
from xlrank.report.html import inline
from xlrank.report.plots import Plot, plots
from xlrank.report.plots.resources import level
from xlrank.report.plots.style import MOST_SYSTEMS, shown_systems
from xlrank.report.plots.topics import differences
from xlrank.report.reading import checked
from xlrank.report.resources import CLASSES, NAMES


def board(rows: list[dict[str, Any]] | None = None, **other: Any) -> Board:  # noqa: ANN401
    value = results(**other) | ({"rows": rows} if rows else {})
    return board_of([Source(Path("a"), checked(value), "small")])


@pytest.fixture(scope="module")
def drawn() -> list[Plot]:
    return plots(board())


def texts(plot: Plot) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(plot.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_all_that_the_data_allow(drawn: list[Plot]) -> None:
    found = {plot.name: plot for plot in drawn}
    assert list(found) == ["plot-pairs", "plot-resources", "plot-topics"]  # no series; one system has a rate, on two pairs only
    assert {"ky → en", "DENSE", "BM25", ARABIC} <= set(texts(found["plot-pairs"]))
    assert EVIL in texts(found["plot-pairs"]) and "<script>" not in found["plot-pairs"].svg
    assert all(plot.png.startswith(b"\x89PNG") for plot in found.values())
    assert [plot.svg for plot in plots(board())] == [plot.svg for plot in found.values()]


def test_one_pair_and_no_baseline() -> None:
    value = results(rows=[row("dense", "ky-en", 0.4, intervals={})])
    value["tests"]["baseline"] = None
    found = plots(board_of([Source(Path("a"), checked(value), "small")]))
    assert [plot.name for plot in found] == ["plot-pairs"]


def test_series() -> None:
    rows = [row("dense", "ky-en", 0.4)]
    rows += [ranker(f"ra-{x}", "ky-en", 0.5 + x / 100, 0.1, series="RA + LA^Doc", x=x, label=f"RA (rf {x})") for x in (16, 2, 4)]
    found = {plot.name: plot for plot in plots(board(rows))}
    assert "plot-speed" in found
    curve = texts(found["plot-series"])
    assert [text for text in curve if text in ("2", "4", "16")] == ["2", "4", "16"]
    assert "reduction factor" in curve and "RA + LA^Doc" in curve and "DENSE (baseline)" in curve
    assert found["plot-series"].title == "MAP by reduction factor"


def test_a_single_point_is_no_series() -> None:
    rows = [row("dense", "ky-en", 0.4), ranker("ra-16", "ky-en", 0.5, 0.1, series="RA", x=16)]
    assert "plot-series" not in [plot.name for plot in plots(board(rows))]


def test_of_many_systems_the_best_are_shown_and_the_baseline() -> None:
    rows = [row("dense", "ky-en", 0.1)] + [row(f"s{n}", "ky-en", 0.2 + n / 100, 0.5) for n in range(20)]
    found = board(rows)
    systems, note = shown_systems(found, found.pairs)
    assert systems == ["dense", *(f"s{n}" for n in range(13, 20))]
    assert note == f" The best {MOST_SYSTEMS} of 21 systems on average, the baseline among them."


def test_differences_fall_and_need_both() -> None:
    found = board()
    ky, _, fa = found.pairs
    assert differences(found, "split", ky) == pytest.approx([0.13] * 3)
    assert differences(found, "split", fa) == differences(found, "dense", ky) == []


def test_resource_classes() -> None:
    paper = ("de", "en", "fa", "fi", "it", "ky", "ru", "so", "sw", "tr", "ug", "zh")
    assert [CLASSES[code] for code in paper] == [5, 5, 4, 4, 4, 1, 4, 1, 2, 4, 1, 5]
    assert set(CLASSES.values()) <= set(NAMES)
    found = board([row("dense", "ky-en", 0.4), row("dense", "en-fa", 0.4), row("dense", "xx-en", 0.4)])
    assert [level(pair) for pair in found.pairs] == [1, 4, None]


def test_inline_drawings_have_the_colours_of_the_page_and_ids_of_their_own(drawn: list[Plot]) -> None:
    for plot in drawn:
        drawing = inline(plot)
        assert drawing.startswith('<svg class="plot" role="img" aria-label="') and "xmlns" not in drawing
        assert "currentColor" in drawing and "#1f2328" not in drawing
        assert f'id="{plot.name}-' in drawing and f"url(#{plot.name}-" in drawing
