"""Effectiveness against speed."""

from typing import Any

from xlrank.report.board import Board
from xlrank.report.figures import metric_name
from xlrank.report.plots.style import INK, Made, look, mean, plain

MOST_NAMES = 20
"""Points that are named; of more, those that no other beats on both axes."""


def figure(board: Board) -> Made | None:
    """A point for each system that scored pairs on all pairs of languages; None for fewer than two."""
    from matplotlib.figure import Figure

    points = {}
    for system in board.systems:
        rows = [board.cells[system, pair] for pair in board.pairs if (system, pair) in board.cells]
        rates = [entry.row.cost.pairs_per_second for entry in rows]
        known = [rate for rate in rates if rate]
        if len(rows) == len(board.pairs) and known:
            points[system] = (mean(known), mean(entry.value for entry in rows))
    if len(points) < 2:
        return None
    found = Figure(figsize=(8.0, 4.4), layout="constrained")
    axes = found.subplots()
    front = {system for system, point in points.items() if not any(_beats(other, point) for other in points.values())}
    for index, (system, (x, y)) in enumerate(points.items()):
        axes.scatter([x], [y], s=38, linewidth=0, **look(index))
        if len(points) <= MOST_NAMES or system in front:
            axes.annotate(board.systems[system], (x, y), (6, 4), textcoords="offset points", fontsize=9)
    if max(x for x, _ in points.values()) > 4 * min(x for x, _ in points.values()):
        axes.set_xscale("log")
    axes.margins(0.12, 0.15)
    low, high = axes.get_ylim()
    baseline = next((entry.system for entry in board.entries if entry.baseline), None)
    average = board.average(baseline, board.pairs) if baseline and baseline not in points else None
    if baseline and average is not None:
        axes.axhline(average, color=INK, linewidth=0.9, linestyle="--")
        axes.annotate(f"{board.systems[baseline]} (baseline)", (0.01, average), (0, 3), **_LEFT)
        axes.set_ylim(min(low, average - 0.01), max(high, average + 0.02))
    axes.set_xlabel("pairs a second, mean over language pairs")
    axes.set_ylabel(f"{metric_name(board.primary)}, mean over language pairs")
    plain(axes, "both")
    caption = "Systems that score pairs and were evaluated on all language pairs; up and to the right is better."
    unnamed = len(points) - len(front) if len(points) > MOST_NAMES else 0
    left_out = f"Names are left out of the {unnamed} systems that another one beats on both axes." if unnamed else ""
    return Made(found, "Effectiveness against speed", caption, left_out)


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether one is as fast and as good, and not the same."""
    return one != other and one[0] >= other[0] and one[1] >= other[1]


_LEFT: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "fontsize": 9}
