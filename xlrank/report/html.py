"""The leaderboard as one HTML page that needs no network and no other file: style, script and plot are inside."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from xlrank.report import table
from xlrank.report.plot import INK, LINE, PAPER
from xlrank.report.table import Results, Row


def html(results: Results, drawing: str) -> str:
    """The whole of ``leaderboard.html``; every text of the results is escaped.

    Args:
        results: what to show.
        drawing: the SVG that :func:`xlrank.report.plot.plot` made of them.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    groups = table.pairs(results)
    rows = [_row(results, row, rows) for rows in groups.values() for row in rows]
    widest = max(abs(topic["bar"]) for row in rows for topic in row["topics"]) or 1.0  # one scale for all bars
    return environment.get_template("leaderboard.html.jinja").render(
        results=results,
        rows=rows,
        metrics=[table.metric_name(metric) for metric in results["metrics"]],
        languages={query: table.language_name(query) for query, _ in groups},
        date=table.date(results),
        level=table.LEVEL,
        baseline=table.baseline_label(results),
        topics=max(len(row["per_topic"]["map"]) for row in results["rows"]),
        documents=table.language_name(results["documents"]),
        widest=widest,
        plot=Markup(inline(drawing)),
    )


def inline(drawing: str) -> str:
    """An SVG file as an element of an HTML page, in the page's own colours."""
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", drawing)
    for colour, own in ((INK, "currentColor"), (LINE, "var(--line)"), (PAPER, "var(--paper)")):
        drawing = drawing.replace(colour, own)
    label = 'class="plot" role="img" aria-label="Bars: MAP by query language and system; the table below holds the values"'
    return drawing.replace("<svg", f"<svg {label}", 1).strip()


def _row(results: Results, row: Row, rows: list[Row]) -> dict[str, Any]:
    """What the template shows of one row: texts, and beside each number the value to sort by."""
    values = [(table.number(row["metrics"][m]), row["metrics"][m], m) for m in results["metrics"]]
    compared = row["comparison"]
    return {
        **row,
        "language_name": table.language_name(row["language"]),
        "documents_name": table.language_name(row["documents"]),
        "link": "./" + quote(row["run"]),  # stays a relative path whatever it says: a colon is quoted too
        "values": [(text, value, text == table.best(rows, metric), metric == "map") for text, value, metric in values],
        "star": table.significant(row),
        "difference": table.signed(compared["difference"]) if compared else table.MISSING,
        "p": table.p_value(compared["p_holm"]) if compared else table.MISSING,
        "seconds_text": table.seconds(row["seconds"]),
        "rate_text": table.seconds(row["pairs_per_second"]),
        "topics": _topics(row, next((other for other in rows if other["system"] == results["baseline"]), None)),
    }


def _topics(row: Row, baseline: Row | None) -> list[dict[str, Any]]:
    """Average precision per topic and its difference to the baseline, in the order of topic ids."""
    others = baseline["per_topic"]["map"] if baseline and baseline is not row else {}
    found = []
    for topic, value in sorted(row["per_topic"]["map"].items(), key=lambda item: (len(item[0]), item[0])):
        difference = value - others[topic] if topic in others else None
        found.append(
            {
                "id": topic,
                "value": table.number(value),
                "bar": difference or 0.0,
                "baseline": table.number(others[topic]) if topic in others else table.MISSING,
                "difference": table.MISSING if difference is None else table.signed(difference),
            }
        )
    return found
