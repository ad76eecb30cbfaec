"""The leaderboard as flat records, CSV and JSON: one for each system, language pair and metric."""

import csv
import io
import json
from typing import Any

from xlrank.report.board import Board, Entry

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of text that spreadsheets would compute."""

COLUMNS = (
    "experiment", "date", "xlrank", "collection", "language", "documents", "system", "label", "composition", "metric",
    "value", "low", "high", "topics", "baseline", "difference", "difference_low", "difference_high", "p_value", "p_corrected",
    "significant", "effect", "wins", "losses", "ties", "reference_p_value", "reference_star", "published",
    "published_difference", "published_significant", "published_source", "seconds", "pairs", "pairs_per_second",
    "ms_per_query_median", "ms_per_query_p95", "peak_memory_mb", "module_bytes", "training_minutes", "series", "x", "run",
    "key",
)  # fmt: skip
"""In order; what has no value is null, in CSV empty."""

Record = dict[str, Any]


def records(board: Board) -> list[Record]:
    """One record a system, pair and metric; tests are of the primary metric, published values of their own."""
    return [
        _record(board, entry, metric)
        for pair in board.pairs
        for entry in board.of(pair)
        for metric in board.metrics
        if metric in entry.row.metrics
    ]


def flat_json(board: Board) -> str:
    """The whole of ``leaderboard.json``: ``columns``, and ``records`` as objects, a line each."""
    lines = ",\n".join(json.dumps(record, ensure_ascii=False, allow_nan=False) for record in records(board))
    return f'{{"columns": {json.dumps(COLUMNS)},\n"records": [\n{lines}\n]}}\n'


def flat_csv(board: Board) -> str:
    """The whole of ``leaderboard.csv``.

    Text that a spreadsheet would take for a formula is preceded by an apostrophe (labels like ``+RA +LA``, too); the JSON
    has it as it is.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in record.items()} for record in records(board))
    return stream.getvalue()


def _safe(value: Any) -> Any:  # noqa: ANN401 - a cell
    if isinstance(value, bool):
        return int(value)
    return "'" + value if isinstance(value, str) and value.startswith(FORMULA) else value


def _record(board: Board, entry: Entry, metric: str) -> Record:
    row, results = entry.row, entry.source.results
    low, high = row.intervals.get(metric, (None, None))
    record: Record = dict.fromkeys(COLUMNS)
    record |= {"experiment": entry.source.name, "date": results.date, "xlrank": results.xlrank, "collection": row.collection}
    same = ("language", "documents", "system", "composition", "topics", "x", "run", "key")
    record |= {name: getattr(row, name) for name in same}
    record |= {"label": entry.label, "metric": metric, "value": row.metrics[metric], "low": low, "high": high}
    record["series"] = row.series or None
    cost = row.cost.model_dump()
    latency = cost.pop("ms_per_query") or {}
    record |= cost | {f"ms_per_query_{name}": latency.get(name) for name in ("median", "p95")}
    if metric == board.primary:
        record |= _tested(entry)
    if row.published and row.published.metric == metric:
        published = row.published
        record |= {"published": published.value, "published_difference": entry.published_difference}
        record |= {"published_significant": published.significant, "published_source": published.source}
    return record


def _tested(entry: Entry) -> Record:
    found: Record = {}
    if compared := entry.row.comparison:
        low, high = compared.interval or (None, None)
        names = ("baseline", "difference", "p_value", "p_corrected", "effect", "wins", "losses", "ties")
        found = {name: getattr(compared, name) for name in names}
        found |= {"difference_low": low, "difference_high": high, "significant": entry.significant}
    if original := entry.row.reference_comparison:
        found |= {"reference_p_value": original.p_value, "reference_star": original.star}
    return found
