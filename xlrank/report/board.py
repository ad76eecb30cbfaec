"""The leaderboard as data: the rows of one or several results folders, by system and language pair."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xlrank.errors import XlrankError
from xlrank.report.figures import milli
from xlrank.report.model import Results, Row


@dataclass(frozen=True)
class Source:
    """A results folder.

    Attributes:
        folder: where it is.
        results: what it holds.
        name: of the experiment, else of the folder; no two sources of a board share one.
        link: path from the report to the folder, with ``/`` between the parts and at the end; empty: the same folder.
    """

    folder: Path
    results: Results
    name: str
    link: str = ""


@dataclass(frozen=True, order=True)
class Pair:
    """Topics in a language and documents in another, of a collection."""

    collection: str
    query: str
    documents: str

    @property
    def group(self) -> str:
        """Collections of one kind share a table: ``hc4`` for ``hc4/fa/test`` and ``hc4/zh/test``."""
        return self.collection.partition("/")[0] if not self.collection.startswith("folder:") else self.collection


@dataclass(frozen=True)
class Entry:
    """A row and where it belongs.

    Attributes:
        number: place among all rows of the board.
        source: the folder it is from.
        system: key of the system on this board: its name, or name and source where several sources have it.
        label: of that system.
        pair: the row's.
        row: as it was read.
    """

    number: int
    source: Source
    system: str
    label: str
    pair: Pair
    row: Row

    @property
    def value(self) -> float:
        """The primary metric."""
        return self.row.metrics[self.source.results.primary]

    @property
    def baseline(self) -> bool:
        """Whether the others of its folder are compared with it."""
        return self.row.system == self.source.results.tests.baseline

    @property
    def significant(self) -> bool:
        """Whether it differs from the baseline, either way, after correction."""
        p = self.row.comparison.p_corrected if self.row.comparison else None
        return p is not None and p < self.source.results.tests.alpha

    @property
    def published_difference(self) -> float | None:
        """Ours minus the published value; None where there is none, or its metric was not computed."""
        published = self.row.published
        if published is None or published.metric not in self.row.metrics:
            return None
        return self.row.metrics[published.metric] - published.value


@dataclass(frozen=True)
class Board:
    """All that the writers show.

    Attributes:
        sources: the folders.
        entries: their rows, in order.
        title: one line.
    """

    sources: tuple[Source, ...]
    entries: tuple[Entry, ...]
    title: str

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Of all sources, the primary one first."""
        return tuple(dict.fromkeys(metric for source in self.sources for metric in source.results.metrics))

    @property
    def primary(self) -> str:
        """The metric that is tested, sorted by and plotted."""
        return self.metrics[0]

    @cached_property
    def systems(self) -> dict[str, str]:
        """Key to label, in order of appearance."""
        return {entry.system: entry.label for entry in self.entries}

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """In order of appearance, collections together."""
        pairs = dict.fromkeys(entry.pair for entry in self.entries)
        order = {group: place for place, group in enumerate(dict.fromkeys(pair.group for pair in pairs))}
        collections = {name: place for place, name in enumerate(dict.fromkeys(pair.collection for pair in pairs))}
        return tuple(sorted(pairs, key=lambda pair: (order[pair.group], collections[pair.collection])))

    @cached_property
    def groups(self) -> dict[str, tuple[Pair, ...]]:
        """Name of a kind of collections (or of the one collection of that kind) to its pairs."""
        found: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            found.setdefault(pair.group, []).append(pair)
        names = {group: {pair.collection for pair in pairs} for group, pairs in found.items()}
        return {next(iter(names[group])) if len(names[group]) == 1 else group: tuple(pairs) for group, pairs in found.items()}

    @cached_property
    def cells(self) -> dict[tuple[str, Pair], Entry]:
        """System and pair to row; a system need not be there on every pair."""
        return {(entry.system, entry.pair): entry for entry in self.entries}

    @cached_property
    def _by_pair(self) -> dict[Pair, list[Entry]]:
        found: dict[Pair, list[Entry]] = {pair: [] for pair in self.pairs}
        for entry in self.entries:
            found[entry.pair].append(entry)
        return {pair: sorted(entries, key=lambda entry: (-entry.value, entry.system)) for pair, entries in found.items()}

    def of(self, pair: Pair) -> list[Entry]:
        """The rows of a pair by falling primary metric; ties by system."""
        return self._by_pair[pair]

    @cached_property
    def _best(self) -> dict[tuple[Pair, str], int]:
        best: dict[tuple[Pair, str], int] = {}
        for entry in self.entries:
            for metric, value in entry.row.metrics.items():
                place = (entry.pair, metric)
                best[place] = max(best.get(place, milli(value)), milli(value))
        return best

    def is_best(self, entry: Entry, metric: str) -> bool:
        """Whether no row of its pair prints a higher value: rows that show the same three decimals share the honour."""
        value = entry.row.metrics.get(metric)
        return value is not None and not metric.startswith("judged") and milli(value) == self._best[entry.pair, metric]

    def average(self, system: str, pairs: Iterable[Pair], metric: str | None = None) -> float | None:
        """Mean over pairs; None unless the system has a value on each of them, for it would compare what is not alike."""
        metric = metric or self.primary
        values = [self.cells[system, pair].row.metrics.get(metric) if (system, pair) in self.cells else None for pair in pairs]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    def ranked(self, pairs: Sequence[Pair]) -> list[str]:
        """Systems that have any of the pairs, by falling average; those without an average follow in order of appearance."""
        found = [system for system in self.systems if any((system, pair) in self.cells for pair in pairs)]
        averages = {system: self.average(system, pairs) for system in found}
        return sorted(found, key=lambda system: -(averages[system] or 0.0) if averages[system] is not None else 1.0)

    def baseline_of(self, entry: Entry) -> Entry | None:
        """The row that an entry is compared with."""
        name = entry.row.comparison.baseline if entry.row.comparison else None
        name = name or entry.source.results.tests.baseline
        others = (other for other in self.of(entry.pair) if other.source is entry.source and other.row.system == name)
        return next((other for other in others if other is not entry), None)

    def baseline_labels(self) -> list[str]:
        """Labels of the systems that others are compared with; none where nothing was compared."""
        found = []
        for source in self.sources:
            name = source.results.tests.baseline
            labels = [entry.label for entry in self.entries if entry.source is source and entry.row.system == name]
            found += labels[:1] or ([name] if name else [])
        return list(dict.fromkeys(found))

    @property
    def several_collections(self) -> bool:
        """Whether a pair of languages alone does not say what it is of."""
        return len({pair.collection for pair in self.pairs}) > 1


def board_of(sources: Sequence[Source]) -> Board:
    """Merge sources.

    A system that several folders evaluate on the same pair, or show under different labels, becomes one system a folder;
    otherwise a system of several folders (on different pairs) is one.

    Raises:
        XlrankError: the folders test different metrics.
    """
    first = sources[0].results
    for source in sources:
        if source.results.primary != first.primary:
            raise XlrankError(
                f"{source.folder}: its primary metric is {source.results.primary!r}, that of {sources[0].folder} is "
                f"{first.primary!r}; only results that test the same metric can be merged"
            )
    apart = _apart(sources)
    labels: dict[str, str] = {}
    entries: list[Entry] = []
    for source in sources:
        for row in source.results.rows:
            split = row.system in apart
            key = f"{row.system} ({source.name})" if split else row.system
            label = labels.setdefault(key, f"{row.shown} ({source.name})" if split else row.shown)
            entries.append(Entry(len(entries), source, key, label, Pair(row.collection, row.language, row.documents), row))
    titles = dict.fromkeys(source.results.title.strip() or source.name for source in sources)
    return Board(tuple(sources), tuple(entries), " + ".join(titles))


def _apart(sources: Sequence[Source]) -> set[str]:
    """Names of systems that are not one system in all sources."""
    seen: dict[tuple[str, Pair], int] = {}
    labels: dict[str, dict[int, str]] = {}
    apart = set()
    for number, source in enumerate(sources):
        for row in source.results.rows:
            pair = Pair(row.collection, row.language, row.documents)
            if seen.setdefault((row.system, pair), number) != number:
                apart.add(row.system)
            labels.setdefault(row.system, {}).setdefault(number, row.shown)
    return apart | {system for system, found in labels.items() if len(set(found.values())) > 1}
