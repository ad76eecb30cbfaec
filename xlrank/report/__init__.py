"""The leaderboard of an evaluation: Markdown, one self-contained HTML page, and a plot, all from ``results.json``."""

from pathlib import Path

from xlrank.errors import XlrankError
from xlrank.files import replacing, write_text
from xlrank.report.table import read_results

__all__ = ["write_report"]


def write_report(folder: Path) -> list[Path]:
    """Write ``leaderboard.md``, ``leaderboard.html``, ``map.svg`` and ``map.png`` beside ``folder/results.json``.

    Everything is made before anything is written, and each file is written whole or not at all. The same results give the
    same bytes.

    Returns:
        The four paths, in the order above.

    Raises:
        XlrankError: ``results.json`` is missing or malformed, a library is missing, or the folder cannot be
            written.
    """
    from xlrank.report.html import html
    from xlrank.report.markdown import markdown
    from xlrank.report.plot import plot

    results = read_results(folder)
    try:
        drawing, picture = plot(results)
        texts = {"leaderboard.md": markdown(results), "leaderboard.html": html(results, drawing), "map.svg": drawing}
    except ImportError as error:
        raise XlrankError(f"reports need matplotlib and jinja2 ({error}); `pip install xlrank[eval]` brings them") from None
    for name, text in texts.items():
        write_text(folder / name, text)
    with replacing(folder / "map.png") as temporary:
        temporary.write_bytes(picture)
    return [folder / name for name in (*texts, "map.png")]
