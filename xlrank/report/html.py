"""The leaderboard as one HTML page that needs no network and no other file: style, script, data and plots are inside."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import xlrank
from xlrank.report import figures
from xlrank.report.board import Board, Pair, Source
from xlrank.report.drill import DrillDown
from xlrank.report.page_data import page_data
from xlrank.report.plots.style import INK, LINE, PAPER, Plot

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("data.js", "tables.js", "panel.js", "main.js")
MOST_EXPERIMENT = 100_000
"""Characters of an experiment that are shown."""


def html(board: Board, plots: Sequence[Plot], drill: DrillDown) -> str:
    """The whole of ``leaderboard.html``; every text of the results is escaped, and no script but the page's own can run."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    script = "\n" + "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    drawings = [{"name": p.name, "title": p.title, "caption": p.caption, "drawing": Markup(inline(p))} for p in plots]
    return environment.get_template("leaderboard.html.jinja").render(
        board=board,
        facts=list(_facts(board)),
        legend=list(_legend(board)),
        metric=figures.metric_name(board.primary),
        plain=[_plain_table(board, group, pairs) for group, pairs in board.groups.items()],
        plots=drawings,
        sources=[_source(source) for source in board.sources],
        version=xlrank.__version__,
        style=Markup((PAGE / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=Markup(script_hash(script)),
        data=Markup(page_data(board, drill)),
        pieces={name: Markup(piece) for name, piece in drill.pieces.items()},
    )


def script_hash(script: str) -> str:
    """What a content security policy calls a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def inline(plot: Plot) -> str:
    """A drawing as an element of the page, in the page's own colours; ids are the plot's own, and only those that are used."""
    drawing = plot.svg[plot.svg.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", drawing)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', drawing))
    drawing = re.sub(r' id="([^"]+)"', lambda found: f' id="{plot.name}-{found[1]}"' if found[1] in used else "", drawing)
    drawing = re.sub(r'(url\(|href=")#', rf"\g<1>#{plot.name}-", drawing).replace("xlink:href", "href")
    drawing = re.sub(r"\n\s*", "\n", drawing)
    for colour, own in ((INK, "currentColor"), (LINE, "var(--line)"), (PAPER, "var(--paper)")):
        drawing = drawing.replace(colour, own)
    title = plot.title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return drawing.replace("<svg", f'<svg class="plot" role="img" aria-label="{title}; the tables hold the values"', 1).strip()


def _facts(board: Board) -> Iterator[tuple[str, str]]:
    collections = list(dict.fromkeys(pair.collection for pair in board.pairs))
    yield "Collections" if len(collections) > 1 else "Collection", figures.listed(collections, 4)
    yield "Language pairs", _pairs(board.pairs)
    yield "Systems", str(len(board.systems))
    topics = sorted({entry.row.topics for entry in board.entries})
    yield "Topics", f"{topics[0]}–{topics[-1]}" if len(topics) > 1 else str(topics[0])
    if labels := board.baseline_labels():
        yield "Baseline" if len(labels) == 1 else "Baselines", figures.listed(labels, 3)
    dates = sorted(figures.date(source.results.date) for source in board.sources)
    yield "Evaluated", dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"


def _pairs(pairs: Sequence[Pair]) -> str:
    if len(pairs) > 1:
        return str(len(pairs))
    return f"{figures.language_name(pairs[0].query)} → {figures.language_name(pairs[0].documents)}"


def _legend(board: Board) -> Iterator[str]:
    told: dict[str, None] = {}
    for source in board.sources:
        label = _baseline(board, source)
        if label:
            name = f"{source.name}: " if len(board.sources) > 1 else ""
            told[f"{name}* {figures.tests_in_words(source.results.tests)}, against {label}."] = None
    yield from told
    if any(entry.row.comparison and entry.row.comparison.effect is not None for entry in board.entries):
        yield "Effect: mean difference in standard deviations of the differences."


def _baseline(board: Board, source: Source) -> str | None:
    labels = (entry.label for entry in board.entries if entry.source is source and entry.baseline)
    return next(labels, source.results.tests.baseline)


def _plain_table(board: Board, group: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    """The primary metric by system and pair, for readers without JavaScript."""
    rows = []
    for system in board.ranked(pairs):
        entries = [board.cells.get((system, pair)) for pair in pairs]
        cells = [
            (figures.number(e.value) + "*" * e.significant, board.is_best(e, board.primary)) if e else ("–", False)
            for e in entries
        ]
        rows.append((board.systems[system], [*cells, (figures.number(board.average(system, pairs)), False)]))
    return {"title": group, "codes": [f"{pair.query}-{pair.documents}".upper() for pair in pairs], "rows": rows}


def _source(source: Source) -> dict[str, Any]:
    """What the page says on a results folder."""
    results, treatment = source.results, source.results.treatment
    treated = {"zero": "count 0", "skip": "are left out"}
    missing, irrelevant = treated[treatment.topics_without_results], treated[treatment.topics_without_relevant]
    order = "of the run" if treatment.ties == "run" else "of trec_eval"
    facts = [("Folder", source.link), ("Title", results.title), ("Version", f"xlrank {results.xlrank}")]
    if results.tests.baseline:
        facts.append(("Test", figures.tests_in_words(results.tests)))
    facts.append(
        (
            "Treatment",
            f"topics without results {missing}, those without relevant documents {irrelevant}; equal scores in the order {order}",
        )
    )
    facts.append(("Environment", " · ".join(f"{name} {value}" for name, value in results.environment.items())))
    experiment = json.dumps(results.experiment, ensure_ascii=False, indent=1) if results.experiment else ""
    return {
        "name": source.name,
        "date": figures.date(results.date),
        "facts": [(name, value) for name, value in facts if value],
        "command": results.command,
        "experiment": experiment[:MOST_EXPERIMENT],
        "notes": results.notes,
    }
