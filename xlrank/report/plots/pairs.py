"""The primary metric by language pair and system, with intervals."""

from typing import TYPE_CHECKING, Any

from xlrank.report.board import Board, Entry, Pair
from xlrank.report.figures import metric_name
from xlrank.report.plots.style import COLOURS, HATCHES, INK, PAPER, pair_name, plain, shown_systems

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 11.0
"""Inches of a line of pairs; more lines follow below."""


def figure(board: Board) -> "tuple[Figure, str, str]":
    """Grouped bars, in as many lines as the pairs need."""
    from matplotlib.figure import Figure

    systems, note = shown_systems(board, board.pairs)
    each = 0.17 * len(systems) + 0.35
    lines = _lines(board.pairs, max(1, int((WIDEST - 1.2) / each)))
    width = min(WIDEST, max(6.5, 1.2 + each * len(lines[0])))
    found = Figure(figsize=(width, 0.9 + 2.9 * len(lines)), layout="constrained")
    name = metric_name(board.primary)
    top = max((entry.row.intervals.get(board.primary, (0.0, 0.0))[1] for entry in board.entries), default=0.0)
    top = max([top, *(entry.value for entry in board.entries)]) * 1.04 or 1.0
    for axes, pairs in zip(found.subplots(len(lines), squeeze=False)[:, 0], lines, strict=True):
        bars = [_bars(axes, board, pairs, system, index, len(systems)) for index, system in enumerate(systems)]
        axes.set_xticks(range(len(pairs)), [pair_name(board, pair) for pair in pairs])
        axes.set_xlim(-0.5, len(lines[0]) - 0.5)
        axes.set_ylim(0, top)
        axes.set_ylabel(name)
        plain(axes)
    columns = max(1, min(len(systems), int(width / 1.9)))
    found.legend(bars, [board.systems[system] for system in systems], loc="outside lower center", ncols=columns)
    return found, f"{name} by language pair and system", f"Lines are 95 % bootstrap intervals over topics.{note}"


def _lines(pairs: tuple[Pair, ...], most: int) -> list[tuple[Pair, ...]]:
    """Lines of about equal length."""
    count = -(-len(pairs) // most)
    length = -(-len(pairs) // count)
    return [pairs[start : start + length] for start in range(0, len(pairs), length)]


def _bars(axes: "Axes", board: Board, pairs: tuple[Pair, ...], system: str, index: int, systems: int) -> Any:  # noqa: ANN401
    width = 0.8 / systems
    found = [(place, board.cells[system, pair]) for place, pair in enumerate(pairs) if (system, pair) in board.cells]
    places = [place + (index - (systems - 1) / 2) * width for place, _ in found]
    colour, hatch = COLOURS[index % len(COLOURS)], HATCHES[index // len(COLOURS) % len(HATCHES)]
    return axes.bar(
        places,
        [entry.value for _, entry in found],
        width * 0.92,
        color=colour,
        hatch=hatch,
        edgecolor=PAPER,
        linewidth=0,
        yerr=_errors([entry for _, entry in found], board.primary),
        error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 1.5},
    )


def _errors(entries: list[Entry], metric: str) -> list[list[float]] | None:
    """Distances down and up; None where a row has no interval."""
    ends = [entry.row.intervals.get(metric) for entry in entries]
    if not ends or None in ends:
        return None
    low = [max(0.0, entry.value - end[0]) for entry, end in zip(entries, ends, strict=True) if end]
    high = [max(0.0, end[1] - entry.value) for entry, end in zip(entries, ends, strict=True) if end]
    return [low, high]
