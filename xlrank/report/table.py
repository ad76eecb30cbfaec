"""The leaderboard as a plain table, to print on a terminal."""

from collections import Counter
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
    board = _board(results)
    several = len({pair.documents for pair in board.pairs}) > 1
    header = ["language", "system", *map(metric_name, board.metrics), "difference", p_name(board), "seconds"]
    table = [header] + [_cells(board, entry, several) for pair in board.pairs for entry in board.of(pair)]
    if board.several_collections:
        collections = [entry.pair.collection for pair in board.pairs for entry in board.of(pair)]
        table = [[first, *row] for first, row in zip(["collection", *collections], table, strict=True)]
    return [tuple(row) for row in table]


def verdict(results: Mapping[str, Any] | Results) -> str:
    """One sentence on which system won, and by how much over the one that the others are compared with.

    Args:
        results: as for :func:`console_table`.

    Raises:
        XlrankError: the results are malformed.
    """
    board = _board(results)
    winners = [board.of(pair)[0] for pair in board.pairs]
    often = Counter(entry.row.system for entry in winners).most_common(1)[0][0]
    won = [entry for entry in winners if entry.row.system == often]
    first, metric = won[0], metric_name(board.primary)
    label = " ".join(first.label.split())
    pairs = f"{len(won)} of {len(winners)} language pairs" if len(winners) > 1 else f"{first.row.language}-{first.row.documents}"
    values = [value for entry in won if (value := entry.row.metrics.get(board.primary)) is not None]
    reached = f"{'mean ' if len(won) > 1 else ''}{metric} {number(sum(values) / len(values) if values else None)}"
    compared = [entry.row.comparison for entry in won if entry.row.comparison]
    if not compared:
        return f"Best in {pairs}: {label}, {reached}."
    labels = {entry.row.system: " ".join(entry.label.split()) for entry in board.entries}
    other = compared[0].baseline or "the baseline"
    baseline = labels.get(other, other)
    gain = signed(sum(each.difference for each in compared) / len(compared))
    if len(won) == 1:
        test = f"{p_name(board)} {p_value(compared[0].p_corrected)}"
    else:
        test = f"significant in {sum(entry.significant for entry in won)} of them"
    return f"Best in {pairs}: {label}, {reached}, {gain} against {baseline} ({test})."


def _board(results: Mapping[str, Any] | Results) -> Board:
    found = results if isinstance(results, Results) else checked(results)
    return board_of([Source(Path(), found, found.name or "results")])


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
