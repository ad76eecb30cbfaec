"""What lies beside ``results.json``: runs, judgements, first words of texts, word pieces that met. All of it may be absent."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from xlrank.collections.lines import text_lines
from xlrank.collections.reading import Qrels, read_qrels
from xlrank.errors import XlrankError
from xlrank.report.board import Entry
from xlrank.runs import Run
from xlrank.text import clean, shortened

Ranks = Mapping[str, Mapping[str, int]]
"""Topic id to document id to rank, from 1, in ranking order."""

Match = tuple[str, str, float]
"""A query's word piece, the document's that came nearest to it, and their cosine."""

SNIPPET = 160
"""Characters of a text that are shown."""


def run_ranks(entry: Entry, path: str | None) -> Ranks | None:
    """The rankings of a run file of the entry's folder; None where there is no such file, or no run.

    Raises:
        XlrankError: the file is no TREC run.
    """
    place = _file(entry, path)
    if place is None:
        return None
    rankings = Run.read(place).rankings
    return {topic: {document: rank for rank, (document, _) in enumerate(found, 1)} for topic, found in rankings.items()}


def run_bytes(entry: Entry) -> int:
    """Size of the run files that a drill-down into an entry reads."""
    places = (_file(entry, path) for path in (entry.row.run, entry.row.candidates))
    return sum(place.stat().st_size for place in places if place is not None)


def qrels_of(entry: Entry) -> Qrels:
    """The judgements that were copied beside the results; empty where they were not.

    Raises:
        XlrankError: the file is malformed.
    """
    for name in _names(entry):
        place = entry.source.folder / "qrels" / f"{name}.{entry.pair.documents}.txt"
        if place.is_file():
            return read_qrels(place)
    return {}


def texts_of(entry: Entry, kind: str, wanted: Collection[str] | None = None) -> dict[str, str]:
    """First words of topics or documents, by id.

    Args:
        entry: of the collection and languages.
        kind: ``topics`` or ``documents``.
        wanted: ids; None: all.

    Raises:
        XlrankError: the file is malformed.
    """
    language = entry.pair.query if kind == "topics" else entry.pair.documents
    for name in _names(entry):
        for file in (f"{name}.{kind}.{language}.jsonl", f"{name}.{language}.jsonl"):
            place = entry.source.folder / "texts" / file
            if place.is_file():
                return _read_texts(place, wanted)
    return {}


def matches_of(entry: Entry) -> dict[str, dict[str, list[Match]]]:
    """Which word pieces met, by topic and document; of the best documents of late rankers only.

    Raises:
        XlrankError: the file is malformed.
    """
    run = PurePosixPath(entry.row.run)
    if not entry.row.composition or run.parts[:1] != ("runs",):
        return {}
    place = _file(entry, str(PurePosixPath("matches", *run.parts[1:]).with_suffix(".jsonl")))
    return _read_matches(place) if place is not None else {}


def _read_matches(path: Path) -> dict[str, dict[str, list[Match]]]:
    expected = '"topic", "document" and "matches" as JSON, a line each'
    found: dict[str, dict[str, list[Match]]] = {}
    for number, line in text_lines(path, expected):
        try:
            value = json.loads(line)
            if number == 1 and "key" in value:
                continue
            pieces = [(str(query), str(document), float(cosine)) for query, document, cosine in value["matches"]]
            if not all(math.isfinite(cosine) for *_, cosine in pieces):
                raise ValueError
            found.setdefault(str(value["topic"]), {})[str(value["document"])] = pieces
        except (KeyError, TypeError, ValueError):
            raise XlrankError(f"{path}, line {number}: expected an object with {expected}; run `xlrank eval` again") from None
    return found


def _read_texts(path: Path, wanted: Collection[str] | None) -> dict[str, str]:
    expected = '"id" and "text" as JSON, a line each'
    found = {}
    for number, line in text_lines(path, expected):
        try:
            value = json.loads(line)
            id_, text = value["id"], value["text"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise XlrankError(f"{path}, line {number}: expected an object with {expected}; run `xlrank eval` again") from None
        if isinstance(id_, str) and isinstance(text, str) and (wanted is None or id_ in wanted):
            found[id_] = shortened(clean(text), SNIPPET)
    return found


def _file(entry: Entry, path: str | None) -> Path | None:
    """A file inside the entry's folder; links do not lead out of it."""
    if path is None:
        return None
    folder = entry.source.folder.resolve()
    place = (folder / path).resolve()
    return place if place.is_file() and place.is_relative_to(folder) else None


def _names(entry: Entry) -> list[str]:
    """What files of the entry's collection may be called: like its folder of runs, or its id with ``-`` for ``/``."""
    parent = PurePosixPath(entry.row.run).parent.name
    names = [parent if parent != "runs" else "", entry.pair.collection.replace("/", "-")]
    return [name for name in names if name and name not in (".", "..")]
