"""Curves of systems that differ in one number, such as the reduction factor of the ranking module."""

import re
from typing import TYPE_CHECKING, Any

from xlrank.report.board import Board, Pair
from xlrank.report.figures import metric_name
from xlrank.report.plots.style import INK, Made, legend, look, mean, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def figure(board: Board) -> Made | None:
    """A panel for each kind of collections; None without a series of at least two points."""
    from matplotlib.figure import Figure

    panels = {group: found for group, pairs in board.groups.items() if (found := _curves(board, pairs))}
    if not panels:
        return None
    drawing = Figure(figsize=(max(6.0, 4.4 * len(panels)), 4.2), layout="constrained")
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    label = _x_name(board)
    for axes, (group, curves) in zip(drawing.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, points in curves.items():
            line: dict[str, Any] = {"linewidth": 1.4, "markersize": 6, **look(names.index(name))}
            axes.plot(list(points), list(points.values()), label=name, **line)
        _x_axis(axes, sorted({x for points in curves.values() for x in points}), label)
        axes.set_title(group)
        axes.set_ylabel(metric_name(board.primary))
        _baseline(axes, board, board.groups[group])
        plain(axes)
    handles = {text: handle for axes in drawing.axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    legend(drawing, handles.values(), list(handles))
    title = f"{metric_name(board.primary)} by {label if label != 'x' else 'series'}"
    return Made(drawing, title, "Means over the language pairs that all points of a curve have.")


def _curves(board: Board, pairs: tuple[Pair, ...]) -> dict[str, dict[float, float]]:
    """Name of a series to its points, by rising x."""
    systems: dict[str, dict[float, str]] = {}
    for entry in board.entries:
        if entry.row.series and entry.row.x is not None and entry.pair in pairs:
            systems.setdefault(entry.row.series, {}).setdefault(entry.row.x, entry.system)
    curves = {}
    for name, points in systems.items():
        shared = [pair for pair in pairs if all((system, pair) in board.cells for system in points.values())]
        if len(points) > 1 and shared:
            curves[name] = {x: mean(board.cells[points[x], pair].value for pair in shared) for x in sorted(points)}
    return curves


def _x_name(board: Board) -> str:
    """``reduction factor`` where the experiment or its labels speak of it."""
    texts = [text for source in board.sources for text in (source.results.name, source.results.title)]
    texts += [entry.label for entry in board.entries if entry.row.series]
    return "reduction factor" if any(re.search(r"\brf\b|reduction.?factor", text, re.IGNORECASE) for text in texts) else "x"


def _x_axis(axes: "Axes", places: list[float], label: str) -> None:
    """Powers of two stand at equal distances."""
    if places[0] > 0 and all(x.is_integer() and int(x) & (int(x) - 1) == 0 for x in places) and places[-1] > 4:
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
    axes.set_xticks(places, [f"{x:g}" for x in places])
    axes.set_xlabel(label)


def _baseline(axes: "Axes", board: Board, pairs: tuple[Pair, ...]) -> None:
    keys = dict.fromkeys(entry.system for entry in board.entries if entry.baseline and not entry.row.series)
    for key in list(keys)[:1]:
        average = board.average(key, pairs)
        if average is not None:
            axes.axhline(average, color=INK, linewidth=0.9, linestyle="--", label=f"{board.systems[key]} (baseline)")
