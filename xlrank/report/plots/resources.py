"""Gain over the baseline by how much there is of a language."""

from xlrank.report.board import Board, Pair
from xlrank.report.figures import metric_name
from xlrank.report.plots.style import INK, Made, compared, legend, look, mean, plain, shown_systems
from xlrank.report.resources import CLASSES, NAMES


def figure(board: Board) -> Made | None:
    """Points for pairs, lines through their means; None unless there are pairs of two classes or more."""
    from matplotlib.figure import Figure

    rows = [entry for entry in compared(board) if level(entry.pair) is not None]
    levels = sorted({place for entry in rows if (place := level(entry.pair)) is not None})
    if len(levels) < 2:
        return None
    systems, left_out = shown_systems(board, board.pairs, {entry.system for entry in rows})
    found = Figure(figsize=(8.0, 4.2), layout="constrained")
    axes = found.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    for index, system in enumerate(systems):
        points = [
            (levels.index(place), entry.row.comparison.difference)
            for entry in rows
            if entry.system == system and entry.row.comparison and (place := level(entry.pair)) is not None
        ]
        shift = (index - (len(systems) - 1) / 2) * 0.5 / max(len(systems), 4)
        axes.scatter([x + shift for x, _ in points], [y for _, y in points], s=14, alpha=0.55, linewidth=0, **look(index))
        places = sorted({x for x, _ in points})
        means = [mean(y for other, y in points if other == x) for x in places]
        axes.plot([x + shift for x in places], means, linewidth=1.4, markersize=6, label=board.systems[system], **look(index))
    axes.set_xticks(range(len(levels)), [f"{place}\n{NAMES[place]}" for place in levels])
    axes.set_xlim(-0.5, len(levels) - 0.5)
    name = metric_name(board.primary)
    axes.set_ylabel(f"Δ {name} to the baseline")
    axes.set_xlabel("class of the pair's less resourced language")
    plain(axes)
    handles, labels = axes.get_legend_handles_labels()
    legend(found, handles, labels)
    caption = (
        "Small marks are language pairs, large ones their means. Classes from 0 (almost no data) to 5 of Joshi et al. "
        "(ACL 2020); a pair counts for the less resourced of its two languages."
    )
    return Made(found, "Gain over the baseline by language resources", caption, left_out)


def level(pair: Pair) -> int | None:
    """The class of the pair's less resourced language; None where a language's class is unknown."""
    if pair.query not in CLASSES or pair.documents not in CLASSES:
        return None
    return min(CLASSES[pair.query], CLASSES[pair.documents])
