"""Plots: those that the data allow, with all texts as text, and the same bytes again."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.report.samples import ARABIC, EVIL, ranker, results, row
from xlrank.report.board import Board, Source, board_of
from xlrank.report.html import inline
from xlrank.report.plots import Plot, plots
from xlrank.report.plots.pairs import figure as pairs_figure
from xlrank.report.plots.resources import level
from xlrank.report.plots.style import MOST_SYSTEMS, drawn, shown_systems
from xlrank.report.plots.topics import differences
from xlrank.report.reading import checked
from xlrank.report.resources import CLASSES, NAMES


def board(rows: list[dict[str, Any]] | None = None, **other: Any) -> Board:  # noqa: ANN401
    value = results(**other) | ({"rows": rows} if rows else {})
    return board_of([Source(Path("a"), checked(value), "small")])


@pytest.fixture(scope="module")
def drawings() -> list[Plot]:
    return plots(board())


def texts(plot: Plot) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(plot.svg).iter("{http://www.w3.org/2000/svg}text")]


def test_all_that_the_data_allow(drawings: list[Plot]) -> None:
    found = {plot.name: plot for plot in drawings}
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


def many(systems: int, *pairs: str) -> Board:
    """The baseline is the worst, and the others are the better the later they stand."""
    rows = [row("dense", pair, 0.1) for pair in pairs]
    return board(rows + [row(f"s{n}", pair, 0.2 + n / 100, 0.5) for pair in pairs for n in range(1, systems)])


def test_of_many_systems_the_best_are_shown_and_the_baseline() -> None:
    found = many(23, "ky-en")
    systems, note = shown_systems(found, found.pairs)
    assert systems == ["dense", *(f"s{n}" for n in range(4, 23))]
    assert note == f"The best {MOST_SYSTEMS} of 23 systems on average, the baseline among them. Left out: S3, S2, S1."
    assert shown_systems(many(20, "ky-en"), found.pairs) == (["dense", *(f"s{n}" for n in range(1, 20))], "")


@pytest.mark.parametrize(("systems", "pairs"), [(2, 1), (20, 1), (20, 3), (40, 3)])
def test_bars_are_readable_whether_few_or_many(systems: int, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: figures.append(figure))
    found = many(systems, *("ky-en", "tr-fa", "ug-de")[:pairs])
    drawn("plot-pairs", pairs_figure, found)
    figure = figures[-1]
    figure.draw_without_rendering()
    shown = min(systems, MOST_SYSTEMS)
    bars = [patch.get_window_extent().width / figure.dpi for axes in figure.axes for patch in axes.patches]
    assert len(bars) == shown * pairs
    assert all(0.07 < inches < 0.7 for inches in bars)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["DENSE", "S1" if systems <= MOST_SYSTEMS else "S21"]
    looks = {(patch.get_facecolor(), patch.get_hatch()) for patch in legend.get_patches()}
    assert len(looks) == shown, "no two systems look alike"
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert all(box.height / figure.dpi > 1.5 for box in boxes), "the legend and the note leave room for the bars"
    below, above = legend.get_window_extent(), figure.get_suptitle()
    assert below.x0 >= 0 and below.x1 <= figure.bbox.x1 and not any(below.overlaps(box) for box in boxes)
    assert ("Left out: S20, S19" in above) == (systems > MOST_SYSTEMS)


def test_pictures_and_captions_say_what_is_left_out() -> None:
    found = {plot.name: plot for plot in plots(many(23, "ky-en", "de-en"))}
    for name, note in (("plot-pairs", "Left out: S3, S2, S1."), ("plot-resources", "Left out: S2, S1.")):
        shown = " ".join(texts(found[name]))
        assert note in shown and found[name].caption.endswith(note)
        assert found[name].svg.count("S22</text>") == 1
    languages = ["ar", "de", "es", "fa", "fi", "fr", "hi", "hu", "it", "ja", "ko", "ky", "nl", "tr"]
    topics = {plot.name: plot for plot in plots(many(2, *(f"{code}-en" for code in languages)))}["plot-topics"]
    note = "The first 12 of 14 language pairs. Left out: nl → en, tr → en."
    assert note in " ".join(texts(topics)) and topics.caption.endswith(note)


def test_a_system_that_lacks_the_last_pairs_keeps_its_colour_in_the_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: figures.append(figure))
    drawn(
        "plot-pairs",
        pairs_figure,
        board([row("dense", "ky-en", 0.4), row("bm25", "ky-en", 0.3, 0.5), row("dense", "tr-en", 0.4)]),
    )
    colours = {patch.get_facecolor() for axes in figures[-1].axes for patch in axes.patches}
    assert {patch.get_facecolor() for patch in figures[-1].legends[0].get_patches()} == colours


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


def test_inline_drawings_have_the_colours_of_the_page_and_ids_of_their_own(drawings: list[Plot]) -> None:
    for plot in drawings:
        drawing = inline(plot)
        assert drawing.startswith('<svg class="plot" role="img" aria-label="') and "xmlns" not in drawing
        assert "currentColor" in drawing and "#1f2328" not in drawing
        assert f'id="{plot.name}-' in drawing and f"url(#{plot.name}-" in drawing
