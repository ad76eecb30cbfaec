"""What an earlier evaluation left in a results folder: its rows of other language pairs stay, and replaced ones are named."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError
from xlrank.experiment.results import FORMAT, Row
from xlrank.files import read_json

Place = tuple[str, str]
"""A pair, as it prints, and the name of a system."""

SETTINGS = ("base", "depth", "fields", "first_stage", "modules", "precision", "stand_in", "reference")
"""Of an experiment: what rows that stay may have been made with another value of."""

FIELDS = {"collection", "language", "documents", "system", "key", "run", "composition", "metrics", "intervals", "per_topic"}
"""Of a row that can stay."""


@dataclass(frozen=True)
class Earlier:
    """The results that a folder held.

    Attributes:
        results: all of them; empty where there were none, or none that can be read.
        lost: a note on a file that cannot be read.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    lost: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Earlier":
        """Read a ``results.json``; one that is damaged or of an older format counts as none, with a note.

        Raises:
            XlrankError: a newer xlrank wrote it.
        """
        if not path.exists():
            return cls()
        try:
            results = read_json(path)
            newer = results.get("format", 1) > FORMAT
            whole = not newer and all(row.keys() >= FIELDS for row in results["rows"]) and bool(_measures(results))
        except (XlrankError, KeyError, TypeError, AttributeError):
            newer = whole = False
        if newer:
            raise XlrankError(
                f"{path}: was written by a newer xlrank ({results.get('xlrank')}); choose another folder, or upgrade"
            )
        lost = f"{path.name}: was damaged or of an older format, so that no earlier rows stay"
        return cls(results) if whole else cls(lost=(lost,))

    @property
    def rows(self) -> dict[Place, Row]:
        """The rows by place."""
        return {_place(row): row for row in self.results.get("rows", [])}

    @property
    def known(self) -> dict[str, Row]:
        """The rows by key: their figures need not be computed again."""
        return {row["key"]: row for row in self.rows.values()}

    def staying(self, results: Mapping[str, Any], evaluated: Iterable[Place]) -> tuple[list[Row], list[str]]:
        """The rows that stay beside new ones, and notes: on these, on what was replaced, and on what is gone.

        Rows stay of pairs that are not evaluated now, and of systems that should have been but were not reached. They must
        have been measured as the new ones are, for one leaderboard shows them all.

        Args:
            results: the new ones, with their rows.
            evaluated: pairs and systems of the experiment.
        """
        new = {_place(row): row["key"] for row in results["rows"]}
        asked = set(evaluated)
        pairs = {pair for pair, _ in asked}
        left = [place for place in self.rows if place not in new]
        stay = [place for place in left if place[0] not in pairs or place in asked]
        notes = [*self.lost, *_named("replaced", [p for p, row in self.rows.items() if p in new and new[p] != row["key"]])]
        notes += _named("removed, the experiment no longer has these systems", [place for place in left if place not in stay])
        if stay and (differing := _differing(_measures(self.results), _measures(results))):
            notes += _named(f"removed, they were measured with other {differing}", stay)
            stay = []
        if stay:
            differing = _differing(_settings(self.results), _settings(results))
            notes += _named(f"stay{differing and f', made with other {differing}'}", stay)
        rows = [dict(self.rows[place]) for place in stay]
        return rows, [*notes, *self._notes_on(rows)]

    def _notes_on(self, rows: list[Row]) -> list[str]:
        """The earlier notes on rows that stay: on their pairs, and on modules of their compositions."""
        pairs = {pair_name(row) for row in rows}
        compositions = [row["composition"] for row in rows if row["composition"]]
        notes = [(note, str(note).partition(": ")[0]) for note in self.results.get("notes", []) if "earlier rows" not in note]
        return [note for note, about in notes if about in pairs or any(about in text for text in compositions)]


def pair_name(row: Mapping[str, Any]) -> str:
    """The pair of a row, as a :class:`~xlrank.experiment.pairs.LanguagePair` prints."""
    return f"{row['collection']} {row['language']}-{row['documents']}"


def _place(row: Mapping[str, Any]) -> Place:
    return pair_name(row), row["system"]


def _measures(results: Mapping[str, Any]) -> dict[str, Any]:
    """What the figures of all rows depend on."""
    treatment, tests = {"topics_without_relevant": "skip", **results["treatment"]}, results["tests"]
    return {"metrics": results["metrics"], **treatment, "seed": tests["seed"], "resamples": tests["resamples"]}


def _settings(results: Mapping[str, Any]) -> dict[str, Any]:
    return {name: results.get("experiment", {}).get(name) for name in SETTINGS}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    return ", ".join(name.replace("_", " ") for name, value in one.items() if other.get(name) != value)


def _named(what: str, places: list[Place]) -> list[str]:
    return [f"{pair}: earlier rows {what}: {', '.join(systems)}" for pair, systems in _by_pair(places).items()]


def _by_pair(places: list[Place]) -> dict[str, list[str]]:
    systems: dict[str, list[str]] = {}
    for pair, system in places:
        systems.setdefault(pair, []).append(system)
    return systems
