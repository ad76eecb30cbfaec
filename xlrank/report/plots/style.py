"""What all plots share: colours that a page can replace by its own, and drawing to SVG and PNG."""

import io
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from xlrank.report.board import Board, Entry, Pair
from xlrank.report.figures import listed
from xlrank.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINE, PAPER = "#1f2328", "#d8dee4", "#fefefe"
"""Text, grid and background: colours that nothing else in the drawing has, so that a page can put its own in their place."""

# Okabe and Ito's colours, told apart by colour-blind readers and on light and dark ground; more systems begin again, hatched.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c")
HATCHES = ("", "///", "...", "xxx")
MARKERS = "osD^vP*X"
MOST_SYSTEMS = 20
"""Systems that one plot can show; of more the best ones are shown, and the baseline."""
LONGEST_LABEL, LONGEST_NAME = 80, 30
"""Characters of a system's label in a legend, and in a sentence."""

LETTERS_AN_INCH, LINE_HEIGHT = 14, 0.19
"""Of 9 points, about; and the inches from line to line."""

STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "hatch.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@dataclass(frozen=True)
class Plot:
    """A plot, drawn.

    Attributes:
        name: of its files, without an end.
        title: heading.
        caption: what is to be known to read it, and what is left out; the latter stands in the drawing too.
        svg: text; text in it stays text.
        png: 144 dots per inch.
    """

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


class Made(NamedTuple):
    """A figure before it is drawn, what is to be known to read it, and a sentence on what is left out, if anything is."""

    figure: "Figure"
    title: str
    caption: str
    left_out: str = ""


def drawn(name: str, make: Callable[[Board], Made | None], board: Board) -> Plot | None:
    """Draw the figure that ``make`` makes of the board, if it makes one."""
    import matplotlib

    drawing, picture = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the PNG may lack a script; the SVG leaves fonts to the reader
        made = make(board)
        if made is None:
            return None
        figure, title, caption, left_out = made
        if left_out:
            caption = f"{caption} {left_out}"
            lines = textwrap.wrap(left_out, int(LETTERS_AN_INCH * figure.get_figwidth()))
            figure.set_figheight(figure.get_figheight() + LINE_HEIGHT * len(lines))
            figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=9)
        figure.savefig(drawing, format="svg", metadata={"Date": None})
        figure.savefig(picture, format="png", dpi=144, metadata={"Software": None})
    return Plot(name, title, caption, drawing.getvalue().decode("utf-8"), picture.getvalue())


def legend(figure: "Figure", handles: Iterable[Any], labels: Sequence[str]) -> None:
    """A legend below, in as many columns as its longest label allows; the figure grows by its rows."""
    texts = [shortened(" ".join(label.split()), LONGEST_LABEL) for label in labels]
    columns = int(figure.get_figwidth() / (0.6 + max(map(len, texts)) / LETTERS_AN_INCH))
    columns = max(1, min(columns, len(texts)))
    figure.set_figheight(figure.get_figheight() + LINE_HEIGHT * (-(-len(texts) // columns)))
    figure.legend(handles, texts, loc="outside lower center", ncols=columns)


def shown_systems(board: Board, pairs: Sequence[Pair], among: Iterable[str] | None = None) -> tuple[list[str], str]:
    """Systems to show, in order of appearance, and a sentence on the others where they are not all.

    Args:
        board: the board.
        pairs: that the plot is about.
        among: keys of the systems that the plot can show; None: all.
    """
    allowed = set(board.systems) if among is None else set(among)
    ranked = [system for system in board.ranked(pairs) if system in allowed]
    if len(ranked) <= MOST_SYSTEMS:
        return [system for system in board.systems if system in ranked], ""
    kept = set(ranked[:MOST_SYSTEMS])
    baselines = [entry.system for entry in board.entries if entry.baseline and entry.system in allowed]
    if baselines and baselines[0] not in kept:
        kept = {*ranked[: MOST_SYSTEMS - 1], baselines[0]}
    among_them = ", the baseline among them" if baselines else ""
    names = [shortened(" ".join(board.systems[system].split()), LONGEST_NAME) for system in ranked if system not in kept]
    note = f"The best {MOST_SYSTEMS} of {len(ranked)} systems on average{among_them}. Left out: {listed(names, MOST_SYSTEMS)}."
    return [system for system in board.systems if system in kept], note


def look(index: int) -> dict[str, Any]:
    """Colour and marker of the n-th system."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def pair_name(board: Board, pair: Pair) -> str:
    """``ky → en``, with the collection below where there are several."""
    text = f"{pair.query} → {pair.documents}"
    return f"{text}\n{pair.collection}" if board.several_collections else text


def plain(axes: "Axes", grid: Literal["both", "x", "y"] = "y") -> None:
    """No frame, a light grid along one axis or both."""
    axes.grid(axis=grid, color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    found = list(values)
    return sum(found) / len(found)


def compared(board: Board) -> list[Entry]:
    """Rows that have a difference to a baseline."""
    return [entry for entry in board.entries if entry.row.comparison is not None]
