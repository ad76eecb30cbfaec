"""The leaderboard as a plain table, to print on a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xlrank.report.board import Board, Entry, Source, board_of
from xlrank.report.figures import MISSING, SHORT_CORRECTIONS, decimal, metric_name, number, p_value, signed
from xlrank.report.model import Results
from xlrank.report.reading import checked


def console_table(results: Mapping[str, Any] | Results) -> list[tuple[str, ...]]:
    """Header and rows of plain text for all languages; ``*`` marks significant differences.

    Args:
        results: what ``results.json`` holds, or :func:`xlrank.report.reading.read_results` of it.

    Raises:
        XlrankError: the results are malformed.
    """
    found = results if isinstance(results, Results) else checked(results)
    board = board_of([Source(Path(), found, found.name or "results")])
    several = len({pair.documents for pair in board.pairs}) > 1
    header = ["language", "system", *map(metric_name, board.metrics), "difference", p_name(board), "seconds"]
    table = [header] + [_cells(board, entry, several) for pair in board.pairs for entry in board.of(pair)]
    if board.several_collections:
        collections = [entry.pair.collection for pair in board.pairs for entry in board.of(pair)]
        table = [[first, *row] for first, row in zip(["collection", *collections], table, strict=True)]
    return [tuple(row) for row in table]


def p_name(board: Board) -> str:
    """What the column of corrected p-values is called: ``p (Holm)``."""
    corrections = {source.results.tests.correction for source in board.sources}
    return f"p ({SHORT_CORRECTIONS[corrections.pop()]})" if len(corrections) == 1 else "p (corrected)"


def _cells(board: Board, entry: Entry, several: bool) -> list[str]:
    row, compared = entry.row, entry.row.comparison
    language = f"{row.language}-{row.documents}" if several else row.language
    values = [number(row.metrics.get(metric)) + "*" * (metric == board.primary and entry.significant) for metric in board.metrics]
    against = (signed(compared.difference), p_value(compared.p_corrected)) if compared else (MISSING, MISSING)
    return [language, " ".join(entry.label.split()), *values, *against, decimal(row.cost.seconds)]
