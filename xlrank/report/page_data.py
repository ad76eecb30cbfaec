"""The rows of a board as one compact JSON text for the page; its script turns them back into objects."""

import json
from collections.abc import Hashable
from typing import Any
from urllib.parse import quote

from xlrank.report import figures
from xlrank.report.board import Board, Entry, Source
from xlrank.report.drill import DrillDown
from xlrank.report.model import Cost
from xlrank.report.table import p_name

MEGABYTE = 1e6


class Pool:
    """Values that many rows share, each kept once and named by its place."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[Hashable, int] = {}

    def place(self, value: Any) -> int:  # noqa: ANN401 - any JSON value
        """The place of a value, which is added if it is new."""
        key = json.dumps(value) if isinstance(value, list) else value
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]


def page_data(board: Board, drill: DrillDown) -> str:
    """JSON that may stand inside a ``script`` element, whatever texts it holds.

    Numbers of metrics and p-values are millionths (:func:`xlrank.report.figures.micro`), so that the page rounds as all
    other writers do. A row is a list; ``page/data.js`` names its places.
    """
    texts, modules = Pool(), Pool()
    languages = dict.fromkeys(code for pair in board.pairs for code in (pair.query, pair.documents))
    places = {pair: place for place, pair in enumerate(board.pairs)}
    systems = list(board.systems)
    keys = {key: place for place, key in enumerate(systems)}
    entries = [(entry, places[entry.pair], keys[entry.system]) for entry in board.entries]
    data = {
        "metrics": [[metric, figures.metric_name(metric)] for metric in board.metrics],
        "p": p_name(board),
        "languages": {code: [figures.language_name(code), figures.direction(code)] for code in languages},
        "pairs": [[pair.collection, pair.query, pair.documents] for pair in board.pairs],
        "groups": [[name, [places[pair] for pair in pairs]] for name, pairs in board.groups.items()],
        "systems": [[key, board.systems[key]] for key in systems],
        "sources": [_source(board, source) for source in board.sources],
        "rows": [_row(board, entry, pair, system, texts, modules) for entry, pair, system in entries],
        "texts": texts.values,
        "modules": modules.values,
        "drill": {"metrics": list(drill.metrics), "documents": drill.documents, "note": drill.note},
    }
    return safe(json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def safe(text: str) -> str:
    """JSON that holds nothing an HTML parser would act on."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _source(board: Board, source: Source) -> dict[str, Any]:
    results = source.results
    label = next((entry.label for entry in board.entries if entry.source is source and entry.baseline), results.tests.baseline)
    treatment = results.treatment
    return {
        "name": source.name,
        "title": results.title,
        "date": figures.date(results.date),
        "xlrank": results.xlrank,
        "command": results.command,
        "environment": [[str(name), str(value)] for name, value in results.environment.items()],
        "tests": figures.tests_in_words(results.tests) if label else "",
        "alpha": results.tests.alpha,
        "baseline": label or "",
        "treatment": [treatment.topics_without_results, treatment.ties],
        "link": "./" + source.link,
    }


def _row(board: Board, entry: Entry, pair: int, system: int, texts: Pool, modules: Pool) -> list[Any]:
    row = entry.row
    values = [figures.micro(row.metrics[metric]) if metric in row.metrics else None for metric in board.metrics]
    intervals = [_ends(row.intervals.get(metric)) for metric in board.metrics]
    baseline = board.baseline_of(entry)
    used = [modules.place([name, facts.digest, facts.bytes, facts.minutes]) for name, facts in row.modules.items()]
    marks = entry.significant + 2 * entry.baseline
    return [
        board.sources.index(entry.source),
        system,
        pair,
        values,
        intervals if any(intervals) else 0,
        _comparison(entry) or 0,
        _published(board, entry) or 0,
        _cost(row.cost),
        marks,
        baseline.number if baseline else -1,
        -1 if row.composition is None else texts.place(row.composition),
        used,
        quote(row.run),
        quote(row.candidates) if row.candidates else 0,
        row.key,
        texts.place(row.note),
        row.topics,
    ]


def _ends(interval: tuple[float, float] | None) -> list[int] | int:
    return [figures.milli(end) for end in interval] if interval else 0


def _comparison(entry: Entry) -> list[Any] | None:
    """Difference, p, corrected p, effect (hundredths), interval, wins, losses, ties, topics, the original's p and star."""
    compared, original = entry.row.comparison, entry.row.reference_comparison
    if compared is None:
        return None
    p_values = [None if p is None else figures.micro(p) for p in (compared.p_value, compared.p_corrected)]
    effect = None if compared.effect is None else round(compared.effect, 2) + 0.0
    counts = [compared.wins, compared.losses, compared.ties, compared.topics]
    reference = [None if original.p_value is None else figures.micro(original.p_value), int(original.star)] if original else []
    return [figures.micro(compared.difference), *p_values, effect, _ends(compared.interval), *counts, *reference]


def _published(board: Board, entry: Entry) -> list[Any] | None:
    published, difference = entry.row.published, entry.published_difference
    if published is None:
        return None
    metric = board.metrics.index(published.metric) if published.metric in board.metrics else published.metric
    ours = None if difference is None else figures.micro(difference)
    return [figures.micro(published.value), ours, metric, int(published.significant), published.source]


def _cost(cost: Cost) -> list[float | int | None]:
    """Pairs a second, milliseconds (median, 95th percentile), MiB, MB of modules, minutes of training, seconds."""
    latency = cost.ms_per_query
    megabytes = None if cost.module_bytes is None else cost.module_bytes / MEGABYTE
    times = (latency.median, latency.p95) if latency else (None, None)
    found = [cost.pairs_per_second, *times, cost.peak_memory_mb]
    return [None if value is None else round(value, 1) for value in (*found, megabytes, cost.training_minutes, cost.seconds)]
