"""The leaderboard as Markdown (GitHub's tables): systems by language pairs, then one table a pair."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from xlrank.report import figures
from xlrank.report.board import Board, Entry, Pair
from xlrank.report.figures import MISSING
from xlrank.report.table import p_name


def markdown(board: Board, plots: Sequence[tuple[str, str, str]] = ()) -> str:
    """The whole of ``leaderboard.md``.

    Args:
        board: what to show.
        plots: file name, title and caption of pictures beside it.
    """
    parts = [f"# Leaderboard: {escaped(board.title)}", *_made(board)]
    if len(board.pairs) > 1:
        for group, pairs in board.groups.items():
            parts += [f"## {escaped(group)}: {escaped(figures.metric_name(board.primary))}", _overview(board, pairs)]
    for pair in board.pairs:
        entries = board.of(pair)
        topics = sorted({entry.row.topics for entry in entries})
        counted = f"{topics[0]}–{topics[-1]}" if len(topics) > 1 else f"{topics[0]}"
        title = f"{figures.language_name(pair.query)} → {figures.language_name(pair.documents)}"
        where = f"{pair.collection}, " if board.several_collections else ""
        parts += [f"## {escaped(title)} ({escaped(where)}{escaped(pair.query)} → {escaped(pair.documents)}, {counted} topics)"]
        parts += [_table(board, entries), *_notes(entries)]
    parts += [_legend(board)]
    for name, title, caption in plots:
        parts += [f"![{escaped(title)}]({quote(name)})", escaped(caption)]
    notes = [note for source in board.sources for note in source.results.notes]
    if notes:
        parts += ["## Notes", "\n".join(f"- {escaped(note)}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text that shows as it is, in a paragraph or in a table cell, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~&$!])", r"\\\1", " ".join(text.split()))


def _made(board: Board) -> list[str]:
    lines = []
    for source in board.sources:
        results = source.results
        name = f"{source.name} · " if len(board.sources) > 1 else ""
        lines.append(escaped(f"{name}{figures.date(results.date)} · xlrank {results.xlrank}"))
    return ["  \n".join(lines)]


def _overview(board: Board, pairs: Sequence[Pair]) -> str:
    """Systems in rows by falling average, pairs in columns."""
    averages = {system: board.average(system, pairs) for system in board.ranked(pairs)}
    best = max((figures.milli(value) for value in averages.values() if value is not None), default=None)
    codes = [f"{pair.query}-{pair.documents}".upper() for pair in pairs]
    if len(set(codes)) < len(codes):
        codes = [f"{code} {pair.collection}" for code, pair in zip(codes, pairs, strict=True)]
    lines = [["System", *map(escaped, codes), "AVG"], ["---", *["---:"] * (len(pairs) + 1)]]
    for system, average in averages.items():
        text = figures.number(average)
        bold = f"**{text}**" if average is not None and figures.milli(average) == best else text
        cells = [board.cells.get((system, pair)) for pair in pairs]
        shown = [_value(board, entry, board.primary) if entry else MISSING for entry in cells]
        lines.append([escaped(board.systems[system]), *shown, bold])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _table(board: Board, entries: Sequence[Entry]) -> str:
    names = [escaped(figures.metric_name(metric)) for metric in board.metrics]
    primary = escaped(figures.metric_name(board.primary))
    header = ["System", "Composition", *names, f"Δ {primary}", p_name(board), "effect", "W/L/T"]
    published = any(entry.row.published for entry in entries)
    header += ["published", "Δ published"] if published else []
    header += ["seconds", "pairs/s", "Run"]
    lines = [header, [*["---"] * 2, *["---:"] * (len(header) - 3), "---"]]
    lines += [_cells(board, entry, published) for entry in entries]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(board: Board, entry: Entry, published: bool) -> list[str]:
    row = entry.row
    label = escaped(entry.label) + (" (baseline)" if entry.baseline else "")
    against = [MISSING] * 4
    if compared := row.comparison:
        counts = f"{compared.wins}/{compared.losses}/{compared.ties}"
        tested = figures.p_value(compared.p_corrected).replace("<", "\\<")
        against = [figures.signed(compared.difference), tested, figures.effect(compared.effect), counts]
    paper = []
    if published:
        value = row.published
        paper = [figures.number(value.value) + "\\*" * value.significant if value else MISSING]
        paper += [figures.signed(entry.published_difference)]
    cost = [figures.decimal(row.cost.seconds), figures.decimal(row.cost.pairs_per_second)]
    values = [_value(board, entry, metric) for metric in board.metrics]
    return [label, _code(row.composition), *values, *against, *paper, *cost, f"[run]({link(entry, row.run)})"]


def link(entry: Entry, path: str) -> str:
    """A relative link to a file of the entry's folder: it stays relative whatever the path says, a colon is quoted too."""
    return "./" + entry.source.link + quote(path)


def _value(board: Board, entry: Entry, metric: str) -> str:
    text = figures.number(entry.row.metrics.get(metric))
    bold = f"**{text}**" if board.is_best(entry, metric) else text
    return bold + ("\\*" if metric == board.primary and entry.significant else "")


def _code(text: str | None) -> str:
    if text is None:
        return MISSING
    return f"`{' '.join(text.split()).replace('`', ' ').replace('|', chr(92) + '|')}`"


def _notes(entries: Sequence[Entry]) -> list[str]:
    notes = [f"- {escaped(entry.label)}: {escaped(entry.row.note)}" for entry in entries if entry.row.note]
    return ["\n".join(notes)] if notes else []


def _legend(board: Board) -> str:
    parts = ["Best values are bold."]
    for source in board.sources:
        label = next((entry.label for entry in board.entries if entry.source is source and entry.baseline), None)
        label = label or source.results.tests.baseline
        if label:
            name = f"{source.name}: " if len(board.sources) > 1 else ""
            words = figures.tests_in_words(source.results.tests)
            parts.append(escaped(name) + "\\* " + escaped(words) + f", against the baseline **{escaped(label)}**.")
    if any(entry.row.comparison and entry.row.comparison.effect is not None for entry in board.entries):
        parts.append("Effect: mean difference in standard deviations of the differences.")
    return " ".join(parts)
