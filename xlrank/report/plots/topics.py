"""Difference to the baseline topic by topic, sorted."""

from xlrank.report.board import Board, Pair
from xlrank.report.figures import listed, metric_name
from xlrank.report.plots.style import INK, Made, compared, pair_name, plain

MOST_PANELS, ACROSS = 12, 4
BETTER, WORSE = "#009e73", "#d55e00"


def figure(board: Board) -> Made | None:
    """A panel for each language pair, for the best system that was compared; None without one."""
    from matplotlib.figure import Figure

    systems = {entry.system for entry in compared(board)}
    best = next((system for system in board.ranked(board.pairs) if system in systems), None)
    if best is None:
        return None
    panels = {pair: values for pair in board.pairs if (values := differences(board, best, pair))}
    if not panels:
        return None
    kept = list(panels)[:MOST_PANELS]
    across = min(ACROSS, len(kept))
    down = -(-len(kept) // across)
    found = Figure(figsize=(max(6.0, 2.7 * across), 0.5 + 2.1 * down), layout="constrained")
    grid = found.subplots(down, across, squeeze=False, sharey=True)
    for axes, pair in zip(grid.flat, kept, strict=False):
        values = panels[pair]
        places = range(len(values) + 1)
        for sign, colour in ((1, BETTER), (-1, WORSE)):
            heights = [max(0.0, sign * value) * sign for value in values]
            axes.fill_between(places, [*heights, heights[-1]], step="post", color=colour, linewidth=0)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_title(pair_name(board, pair).replace("\n", ", "), fontsize=9.5)
        axes.set_xlim(0, len(values))
        axes.set_xticks([])
        plain(axes)
        axes.spines["bottom"].set_visible(False)
    for axes in list(grid.flat)[len(kept) :]:
        axes.set_visible(False)
    name = metric_name(board.primary)
    found.supylabel(f"Δ {name}", fontsize=9.5)
    others = [pair_name(board, pair).replace("\n", ", ") for pair in panels if pair not in kept]
    left_out = (
        f"The first {len(kept)} of {len(panels)} language pairs. Left out: {listed(others, MOST_PANELS)}." if others else ""
    )
    system = board.systems[best]
    title = f"Difference to the baseline by topic: {system}"
    chosen = f" {system} is the best of the compared systems on average." if len(systems) > 1 else ""
    caption = f"A step is a topic; its height, {name} of the system minus {name} of the baseline.{chosen}"
    return Made(found, title, caption, left_out)


def differences(board: Board, system: str, pair: Pair) -> list[float]:
    """System minus baseline on each topic that both have, falling; none where there is no baseline."""
    entry = board.cells.get((system, pair))
    other = board.baseline_of(entry) if entry else None
    if entry is None or other is None:
        return []
    mine, theirs = (each.row.per_topic.get(board.primary, {}) for each in (entry, other))
    return sorted((mine[topic] - theirs[topic] for topic in mine if topic in theirs), reverse=True)
