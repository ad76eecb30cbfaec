"""The plots of a leaderboard, as SVG and PNG: those that its data allow."""

from collections.abc import Callable

from xlrank.report.board import Board
from xlrank.report.plots.style import Made, Plot, drawn

__all__ = ["NAMES", "Plot", "plots"]

NAMES = ("plot-pairs", "plot-resources", "plot-series", "plot-speed", "plot-topics")
"""File names without their ends, in order."""


def plots(board: Board) -> list[Plot]:
    """Draw what the board has data for; equal boards give equal bytes."""
    from xlrank.report.plots import pairs, resources, series, speed, topics

    makers: dict[str, Callable[[Board], Made | None]] = dict(
        zip(NAMES, (pairs.figure, resources.figure, series.figure, speed.figure, topics.figure), strict=True)
    )
    found = ((name, drawn(name, make, board)) for name, make in makers.items())
    return [plot for _, plot in found if plot is not None]
