"""The plot: MAP by language and system, with bootstrap intervals over topics."""

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from xlrank.report import table
from xlrank.report.table import Results, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESAMPLES, SEED = 2000, 20231123
INK, LINE, PAPER = "#1f2328", "#d8dee4", "#fefefe"
"""Text, grid and background: colours that nothing else in the drawing has, so that a page can put its own in their place."""

# Okabe and Ito's colours, told apart by colour-blind readers and on light and dark ground; more systems begin again, hatched.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c")
HATCHES = ("", "///", "...", "xxx")
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "xlrank",
    "text.parse_math": False,
    "font.size": 10,
    "hatch.linewidth": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "legend.frameon": False,
}


def interval(values: list[float]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of a mean over topics (Efron and Tibshirani, 1993); the seed is fixed."""
    sample = np.asarray(values, dtype=np.float64)
    means = np.random.default_rng(SEED).choice(sample, (RESAMPLES, len(sample))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def plot(results: Results) -> tuple[str, bytes]:
    """Draw grouped bars; text in the SVG stays text, and equal results give equal bytes.

    Returns:
        The SVG (text) and the PNG (bytes, 144 dots per inch).
    """
    import matplotlib

    drawing, picture = io.BytesIO(), io.BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the PNG may lack a script; the SVG leaves fonts to the reader
        figure = _figure(results)
        figure.savefig(drawing, format="svg", metadata={"Date": None})
        figure.savefig(picture, format="png", dpi=144, metadata={"Software": None})
    return drawing.getvalue().decode("utf-8"), picture.getvalue()


def _figure(results: Results) -> "Figure":
    from matplotlib.figure import Figure

    groups = table.pairs(results)
    systems = {row["system"]: row["label"] for row in reversed(results["rows"])}
    systems = dict(reversed(systems.items()))  # in order of appearance, under the label that came first
    width = min(15.0, max(6.5, 1.5 + len(groups) * (0.34 * len(systems) + 0.4)))
    figure = Figure(figsize=(width, 4.0), layout="constrained")
    axes = figure.subplots()
    bars = []
    for index, system in enumerate(systems):
        rows = [(place, row) for place, rows in enumerate(groups.values()) for row in rows if row["system"] == system]
        bars.append(_bars(axes, rows, index, len(systems)))
    axes.set_xticks(range(len(groups)), [f"{query} → {documents}" for query, documents in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("MAP")
    axes.set_title(f"{results['collection']}: MAP, with 95 % bootstrap intervals over topics", fontsize=10, loc="left")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    columns = max(1, min(len(systems), int(width / 1.7)))
    figure.legend(bars, list(systems.values()), loc="outside lower center", ncols=columns)
    return figure


def _bars(axes: Any, rows: list[tuple[int, Row]], index: int, systems: int) -> Any:  # noqa: ANN401 - matplotlib's Axes
    width = 0.8 / systems
    places = [place + (index - (systems - 1) / 2) * width for place, _ in rows]
    means = [row["metrics"]["map"] for _, row in rows]
    ends = [interval(list(row["per_topic"]["map"].values())) for _, row in rows]
    errors = [
        [max(0.0, m - low) for m, (low, _) in zip(means, ends, strict=True)],
        [max(0.0, high - m) for m, (_, high) in zip(means, ends, strict=True)],
    ]
    colour, hatch = COLOURS[index % len(COLOURS)], HATCHES[index // len(COLOURS) % len(HATCHES)]
    return axes.bar(
        places,
        means,
        width * 0.92,
        color=colour,
        hatch=hatch,
        edgecolor=PAPER,
        linewidth=0,
        yerr=errors,
        error_kw={"ecolor": INK, "elinewidth": 0.9, "capsize": 2},
    )
