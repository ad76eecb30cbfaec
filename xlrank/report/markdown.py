"""The leaderboard as Markdown (GitHub's tables): one table a pair of languages."""

import re
from urllib.parse import quote

from xlrank.report import table
from xlrank.report.table import Results, Row


def markdown(results: Results) -> str:
    """The whole of ``leaderboard.md``."""
    made = f"documents: {results['documents']} · fields: {results['fields']} · depth: {results['depth']}"
    parts = [
        f"# Leaderboard: {escaped(results['collection'])}",
        escaped(f"{made} · {table.date(results)} · xlrank {results['xlrank']}"),
        "![MAP by language and system](map.svg)",
    ]
    for (query, documents), rows in table.pairs(results).items():
        topics = len(rows[0]["per_topic"]["map"])
        title = f"{table.language_name(query)} → {table.language_name(documents)}"
        parts += [f"## {escaped(title)} ({escaped(query)} → {escaped(documents)}, {topics} topics)"]
        parts += ["\n".join(_table(results, rows)), *_notes(rows)]
    level = f"p < {table.LEVEL} after Holm's correction, two-sided paired t-test over topics"
    parts += [f"Best values are bold. \\* {level}, against the baseline **{escaped(table.baseline_label(results))}**."]
    if results["notes"]:
        parts += ["## Notes", "\n".join(f"- {escaped(note)}" for note in results["notes"])]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that shows as it is, in a paragraph or in a table cell, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", " ".join(text.split()))


def _table(results: Results, rows: list[Row]) -> list[str]:
    names = [table.metric_name(metric) for metric in results["metrics"]]
    header = ["System", "Composition", *names, "Δ MAP", "p (Holm)", "W/L/T", "seconds", "pairs/s", "Run"]
    lines = [header, [*["---"] * 2, *["---:"] * (len(header) - 3), "---"], *(_cells(results, row, rows) for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _cells(results: Results, row: Row, rows: list[Row]) -> list[str]:
    label = escaped(row["label"]) + (" (baseline)" if row["system"] == results["baseline"] else "")
    values = [_value(row, rows, metric) for metric in results["metrics"]]
    against = [table.MISSING] * 3
    if compared := row["comparison"]:
        counts = f"{compared['wins']}/{compared['losses']}/{compared['ties']}"
        against = [table.signed(compared["difference"]), table.p_value(compared["p_holm"]), counts]
    cost = [table.seconds(row["seconds"]), table.seconds(row["pairs_per_second"])]
    return [label, _code(row["composition"]), *values, *against, *cost, f"[run](./{quote(row['run'])})"]


def _value(row: Row, rows: list[Row], metric: str) -> str:
    text = table.number(row["metrics"][metric])
    bold = f"**{text}**" if text == table.best(rows, metric) else text
    return bold + ("\\*" if metric == "map" and table.significant(row) else "")


def _code(text: str | None) -> str:
    if text is None:
        return table.MISSING
    return f"`{' '.join(text.split()).replace('`', ' ').replace('|', chr(92) + '|')}`"


def _notes(rows: list[Row]) -> list[str]:
    notes = [f"- {escaped(row['label'])}: {escaped(row['note'])}" for row in rows if row["note"]]
    return ["\n".join(notes)] if notes else []
