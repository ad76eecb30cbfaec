"""The primary metric by language pair and system, with intervals."""

from typing import TYPE_CHECKING, Any

from xlrank.report.board import Board, Entry, Pair
from xlrank.report.figures import metric_name
from xlrank.report.plots.style import COLOURS, HATCHES, INK, PAPER, Made, legend, pair_name, plain, shown_systems

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDEST = 11.0
"""Inches of a line of pairs; more lines follow below."""
BAR, NARROW_BAR, MOST_WIDE_BARS = 0.17, 0.12, 8
"""Inches of a bar, of one of many, and how many systems are not many."""


def figure(board: Board) -> Made:
    """Grouped bars, in as many lines as the pairs need."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    systems, left_out = shown_systems(board, board.pairs)
    each = (BAR if len(systems) <= MOST_WIDE_BARS else NARROW_BAR) * len(systems) + 0.35
    lines = _lines(board.pairs, max(1, int((WIDEST - 1.2) / each)))
    width = min(WIDEST, max(6.5, 1.2 + each * len(lines[0])))
    found = Figure(figsize=(width, 0.9 + 2.9 * len(lines)), layout="constrained")
    name = metric_name(board.primary)
    top = max((entry.row.intervals.get(board.primary, (0.0, 0.0))[1] for entry in board.entries), default=0.0)
    top = max([top, *(entry.value for entry in board.entries)]) * 1.04 or 1.0
    # Few bars stay slim: there is room for as many groups as would be twice as wide as they need to be.
    free = max(0.0, (width - 1.2) / (2 * each) - len(lines[0])) / 2
    for axes, pairs in zip(found.subplots(len(lines), squeeze=False)[:, 0], lines, strict=True):
        for index, system in enumerate(systems):
            _bars(axes, board, pairs, system, index, len(systems))
        axes.set_xticks(range(len(pairs)), [pair_name(board, pair) for pair in pairs])
        axes.set_xlim(-0.5 - free, len(lines[0]) - 0.5 + free)
        axes.set_ylim(0, top)
        axes.set_ylabel(name)
        plain(axes)
    legend(found, [Patch(**_look(index)) for index in range(len(systems))], [board.systems[system] for system in systems])
    caption = "Lines are 95 % bootstrap intervals over topics."
    return Made(found, f"{name} by language pair and system", caption, left_out)


def _lines(pairs: tuple[Pair, ...], most: int) -> list[tuple[Pair, ...]]:
    """Lines of about equal length."""
    count = -(-len(pairs) // most)
    length = -(-len(pairs) // count)
    return [pairs[start : start + length] for start in range(0, len(pairs), length)]


def _bars(axes: "Axes", board: Board, pairs: tuple[Pair, ...], system: str, index: int, systems: int) -> None:
    width = 0.8 / systems
    found = [(place, board.cells[system, pair]) for place, pair in enumerate(pairs) if (system, pair) in board.cells]
    places = [place + (index - (systems - 1) / 2) * width for place, _ in found]
    axes.bar(
        places,
        [entry.value for _, entry in found],
        width * 0.92,
        yerr=_errors([entry for _, entry in found], board.primary),
        error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 1.5},
        **_look(index),
    )


def _look(index: int) -> dict[str, Any]:
    """Of the n-th system's bars."""
    colour, hatch = COLOURS[index % len(COLOURS)], HATCHES[index // len(COLOURS) % len(HATCHES)]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": PAPER, "linewidth": 0}


def _errors(entries: list[Entry], metric: str) -> list[list[float]] | None:
    """Distances down and up; None where a row has no interval."""
    ends = [entry.row.intervals.get(metric) for entry in entries]
    if not ends or None in ends:
        return None
    low = [max(0.0, entry.value - end[0]) for entry, end in zip(entries, ends, strict=True) if end]
    high = [max(0.0, end[1] - entry.value) for entry, end in zip(entries, ends, strict=True) if end]
    return [low, high]
