"""The leaderboard of one or several results folders: HTML, Markdown, LaTeX, CSV, JSON and plots."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from xlrank.errors import XlrankError
from xlrank.files import replacing, write_text
from xlrank.report.board import Board, Source, board_of
from xlrank.report.reading import read_results
from xlrank.report.table import console_table

__all__ = ["console_table", "write_report"]


def write_report(folders: Path | Sequence[Path], out: Path | None = None, *, drill_down: bool | None = None) -> list[Path]:
    """Write ``leaderboard.html``, ``.md``, ``.tex``, ``.csv``, ``.json``, and the plots that the data allow (SVG and PNG).

    Everything is made before anything is written, and each file is written whole or not at all. The same results give the
    same bytes. Rows of several folders keep their folder's name, date and version; runs are linked by relative paths.

    Args:
        folders: a results folder, or several to merge.
        out: where to write; None: into the folder itself, if there is but one.
        drill_down: whether the page holds values and documents topic by topic: True: all of it; False: none; None: as much
            as a page can carry.

    Returns:
        The paths of what was written, in the order above.

    Raises:
        XlrankError: a ``results.json`` is missing, malformed or of a newer format; a run, judgements or texts beside it are
            malformed; several folders without ``out``, or with different primary metrics; a library is missing; ``out``
            cannot be written.
    """
    several = [folders] if isinstance(folders, Path) else list(folders)
    if not several:
        raise XlrankError("no results folder to report on; name one that `xlrank eval` wrote")
    if out is None and len(several) > 1:
        raise XlrankError("several results folders are merged into one leaderboard; say where to write it (--out DIR)")
    target = out or several[0]
    texts, pictures = _made(board_of(_sources(several, target)), drill_down)
    for name, text in texts.items():
        write_text(target / name, text)
    for name, picture in pictures.items():
        with replacing(target / name) as temporary:
            temporary.write_bytes(picture)
    _remove_stale(target, {*texts, *pictures})
    return [target / name for name in (*texts, *pictures)]


def _made(board: Board, drill_down: bool | None) -> tuple[dict[str, str], dict[str, bytes]]:
    """File name to text, and to bytes."""
    try:
        from xlrank.report.drill import drill_down as gathered
        from xlrank.report.flat import flat_csv, flat_json
        from xlrank.report.html import html
        from xlrank.report.latex import latex
        from xlrank.report.markdown import markdown
        from xlrank.report.plots import plots

        drawn = plots(board)
        texts = {
            "leaderboard.html": html(board, drawn, gathered(board, drill_down)),
            "leaderboard.md": markdown(board, [(f"{plot.name}.svg", plot.title, plot.caption) for plot in drawn]),
            "leaderboard.tex": latex(board),
            "leaderboard.csv": flat_csv(board),
            "leaderboard.json": flat_json(board),
        }
    except ImportError as error:
        raise XlrankError(f"reports need matplotlib and jinja2 ({error}); `pip install xlrank[eval]` brings them") from None
    texts |= {f"{plot.name}.svg": plot.svg for plot in drawn}
    return texts, {f"{plot.name}.png": plot.png for plot in drawn}


def _sources(folders: Sequence[Path], target: Path) -> list[Source]:
    """The folders, read; experiments of the same name are told apart by their folders, and then by number."""
    found: dict[Path, Source] = {}
    names: set[str] = set()
    for folder in folders:
        place = folder.resolve()
        if place in found:
            raise XlrankError(f"{folder}: named twice; name each results folder once")
        results = read_results(folder)
        wanted = [results.name.strip(), place.name, *(f"{place.name} ({number})" for number in range(2, len(folders) + 2))]
        name = next(name for name in wanted if name and name not in names)
        names.add(name)
        way = os.path.relpath(place, target.resolve())
        link = "" if way == "." else quote(Path(way).as_posix()) + "/"
        found[place] = Source(folder, results, name, link)
    return list(found.values())


def _remove_stale(target: Path, written: set[str]) -> None:
    """Plots of an earlier report that these results have no data for would only mislead."""
    from xlrank.report.plots import NAMES

    for name in (f"{plot}.{end}" for plot in NAMES for end in ("svg", "png")):
        if name not in written:
            (target / name).unlink(missing_ok=True)
