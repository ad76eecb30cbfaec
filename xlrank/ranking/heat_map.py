"""An explanation as a heat map: a page that stands alone, and a picture."""

import io
import warnings
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from xlrank.errors import XlrankError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xlrank.ranking.explain import Explanation

STEPS = 20
"""Shades of the page's heat map; each is a class, so that a large table stays small."""
LIGHT, DARK, INK, MARK = (255, 255, 255), (242, 150, 62), "#1f2328", "#7a1f00"
"""Ends of the scale (black text can be read on both), text, and the mark of a best piece."""
MOST_COLUMNS = 70
"""Word pieces of a document that a picture shows."""
FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Noto Sans Ethiopic")
"""Of the picture, as far as they are installed; the first has Latin, Cyrillic and Arabic letters."""
MOST_TITLE = 160

STYLE = f"""
body {{ margin: 1.2rem; background: #fff; color: {INK}; font: 14px/1.4 system-ui, "Segoe UI", "Noto Sans", sans-serif; }}
h1 {{ margin: 0; font-size: 1.1rem; }}
p {{ margin: 0.3rem 0; max-width: 60rem; }}
.soft {{ color: #59636e; font-size: 0.85rem; }}
.wide {{ overflow: auto; max-height: 85vh; margin-top: 0.8rem; }}
table {{ border-collapse: separate; border-spacing: 0; font-size: 0.72rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.1rem 0.25rem; text-align: center; font-weight: 400; white-space: nowrap; }}
thead th {{ position: sticky; top: 0; z-index: 1; background: #fff; vertical-align: bottom; border-bottom: 1px solid #d8dee4; }}
thead th.turned span {{ writing-mode: vertical-rl; transform: rotate(180deg); }}
th.first {{ position: sticky; left: 0; z-index: 2; background: #fff; text-align: start; border-right: 1px solid #d8dee4;
  font-size: 0.82rem; }}
thead th.first {{ z-index: 3; }}
th.first b {{ color: {MARK}; font-weight: 600; }}
td.best {{ font-weight: 700; color: {MARK}; box-shadow: inset 0 0 0 2px {MARK}; }}
"""


def page(found: "Explanation") -> str:
    """The whole page; every text is escaped."""
    low, high = _ends(found)
    levels = np.clip(np.rint((found.similarities - low) / (high - low) * STEPS), 0, STEPS).astype(int)
    head = "".join(f'<th scope="col" class="turned"><span>{_isolated(piece)}</span></th>' for piece in found.document_pieces)
    rows = []
    for match, cosines, shades in zip(found.matches, found.similarities, levels, strict=True):
        label = f"{_isolated(match.query)} → {_isolated(match.document)} <b>{_short(match.cosine)}</b>"
        cells = "".join(
            f'<td class="h{shade}{" best" if place == match.place else ""}">{_short(float(cosine))}</td>'
            for place, (cosine, shade) in enumerate(zip(cosines, shades, strict=True))
        )
        rows.append(f'<tr><th scope="row" class="first">{label}</th>{cells}</tr>')
    shades_css = "\n".join(f".h{step} {{ background: {_colour(step / STEPS)}; }}" for step in range(STEPS + 1))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>Which word pieces met</title>
<style>{STYLE}{shades_css}
</style>
</head>
<body>
<h1>Which word pieces met</h1>
<p><span class="soft">Query</span> <span dir="auto">{escape(found.query)}</span></p>
<p><span class="soft">Document</span> <span dir="auto">{escape(found.document)}</span></p>
<p>{escape(found.summary)}</p>
<p class="soft"><code>{escape(found.composition)}</code>. Cosines in hundredths, from {low:.2f} (white) to {high:.2f};
the framed cell is the query piece's best, and their mean is MaxSim.</p>
<div class="wide" role="region" aria-label="Cosines of query pieces and document pieces" tabindex="0">
<table>
<thead><tr><th scope="col" class="first">query → best of document</th>{head}</tr></thead>
<tbody>
{chr(10).join(rows)}
</tbody>
</table>
</div>
</body>
</html>
"""


def picture(found: "Explanation") -> bytes:
    """A PNG of the heat map; of a long document the columns that a query piece chose, and the ones beside them.

    Raises:
        XlrankError: matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib import font_manager
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise XlrankError(f"pictures need matplotlib ({error}); `pip install xlrank[eval]` brings it") from None
    installed = {font.name for font in font_manager.fontManager.ttflist}
    style = {"font.family": [name for name in FONTS if name in installed], "text.parse_math": False, "text.color": INK}
    drawn = io.BytesIO()
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a script without a font: boxes, not a flood of warnings
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure = _figure(found, shown_columns(found))
        FigureCanvasAgg(figure).print_png(drawn, metadata={"Software": None})
    return drawn.getvalue()


def shown_columns(found: "Explanation") -> list[int]:
    """The document's pieces that a picture shows: all, or those that a query piece chose and what stands beside them."""
    count, chosen = len(found.document_pieces), {match.place for match in found.matches}
    if count <= MOST_COLUMNS:
        return list(range(count))
    near = {place + step for place in chosen for step in (-1, 0, 1) if 0 <= place + step < count}
    return sorted(near if len(near) <= MOST_COLUMNS else chosen)


def _figure(found: "Explanation", columns: Sequence[int]) -> "Figure":
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    # One column of white stands for pieces that are left out.
    gaps = [place > 0 and column != columns[place - 1] + 1 for place, column in enumerate(columns)]
    order = [part for column, gap in zip(columns, gaps, strict=True) for part in ([None, column] if gap else [column])]
    values = np.full((len(found.query_pieces), len(order)), np.nan, np.float32)
    for place, column in enumerate(order):
        if column is not None:
            values[:, place] = found.similarities[:, column]
    low, high = _ends(found)
    widest = max(map(len, (*found.query_pieces, "")))
    width, height = 1.3 + 0.09 * widest + 0.3 * len(order), 2.0 + 0.25 * len(values)
    figure = Figure(figsize=(max(width, 7.0), height), dpi=110, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    scale = LinearSegmentedColormap.from_list("heat", [_colour(0), _colour(1)]).with_extremes(bad="white")
    image = axes.imshow(values, cmap=scale, vmin=low, vmax=high, aspect="auto")
    axes.set_yticks(range(len(values)), found.query_pieces, fontsize=9)
    labels = ["…" if column is None else found.document_pieces[column] for column in order]
    axes.set_xticks(range(len(order)), labels, rotation=90, fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    for row, match in enumerate(found.matches):
        _mark(axes, row, order.index(match.place), match.cosine)
    figure.suptitle(_cut(found.summary), fontsize=10, x=0.01, ha="left")
    figure.supxlabel(_cut(found.composition), fontsize=8, x=0.01, ha="left", color="#59636e")
    bar = figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, aspect=40)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0)
    return figure


def _mark(axes: "Axes", row: int, column: int, cosine: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor=MARK, linewidth=1.3))
    axes.text(column, row, _short(cosine), ha="center", va="center", fontsize=7, fontweight="bold", color=MARK)


def _ends(found: "Explanation") -> tuple[float, float]:
    """Of the scale: what is below the middle cosine tells nothing and stays nearly white."""
    low, high = float(np.quantile(found.similarities, 0.25)), float(found.similarities.max())
    return (low, high) if high - low > 1e-4 else (high - 1e-4, high)


def _colour(share: float) -> str:
    return "#" + "".join(f"{round(light + (dark - light) * share):02x}" for light, dark in zip(LIGHT, DARK, strict=True))


def _short(cosine: float) -> str:
    """Hundredths: 87; 100 is the same vector."""
    return str(round(100 * cosine))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TITLE else text[: MOST_TITLE - 1] + "…"


def _isolated(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>"
