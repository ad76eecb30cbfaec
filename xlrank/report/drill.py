"""The data of the drill-down: values by topic, documents that a re-ordering moved, word pieces that met, packed for the page.

Every language pair is a packed piece of its own, which the page unpacks when somebody looks into one of its rows.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xlrank.report import figures
from xlrank.report.board import Board, Entry, Pair
from xlrank.report.evidence import Match, Ranks, matches_of, qrels_of, run_bytes, run_ranks, texts_of

TOP, MOST_RELEVANT, MOST_SHOWN = 5, 6, 14
"""Places of a ranking, relevant documents, and documents altogether that are shown of a topic."""

MOST_RUN_BYTES, MOST_BYTES = 200 * 2**20, 4 * 2**20
"""Without a wish, documents are shown if the runs take no more than the first, and what is shown no more than the second."""

MOST_VALUES = 400_000
"""Of more values by topic, only those of the primary metric are kept."""


@dataclass(frozen=True)
class DrillDown:
    """What the page holds beside its tables.

    Attributes:
        pieces: name to packed JSON (zlib, base64).
        metrics: whose values by topic are there.
        documents: whether moved documents are there.
        note: what was left out, for the reader; empty: nothing.
    """

    pieces: Mapping[str, str]
    metrics: Sequence[str]
    documents: bool
    note: str = ""


def drill_down(board: Board, wish: bool | None = None) -> DrillDown:
    """Gather and pack.

    Args:
        board: whose rows are looked into.
        wish: True: all of it, whatever its size; False: nothing; None: as much as a page can carry.

    Raises:
        XlrankError: a run, judgements or texts that are there are malformed.
    """
    if wish is False:
        return DrillDown({}, (), False, "The drill-down was left out on request.")
    values = sum(entry.row.topics for entry in board.entries) * len(board.metrics)
    metrics = board.metrics if wish or values <= MOST_VALUES else board.metrics[:1]
    if wish or sum(map(run_bytes, board.entries)) <= MOST_RUN_BYTES:
        found = DrillDown(_pieces(board, metrics, documents=True, matches=True), metrics, True)
        if wish or _size(found) <= MOST_BYTES:
            return found
        note = "The word pieces that met are left out, for they would make this page too large; xlrank report --drill-down "
        found = DrillDown(_pieces(board, metrics, documents=True), metrics, True, note + "puts them in.")
        if _size(found) <= MOST_BYTES:
            return found
    note = "Documents by topic are left out, for they would make this page too large; xlrank report --drill-down puts them in."
    found = DrillDown(_pieces(board, metrics, documents=False), metrics, False, note)
    if _size(found) <= MOST_BYTES:
        return found
    return DrillDown({}, (), False, "Values by topic are left out, for they would make this page too large.")


def _size(found: DrillDown) -> int:
    return sum(map(len, found.pieces.values()))


def _pieces(board: Board, metrics: Sequence[str], *, documents: bool, matches: bool = False) -> dict[str, str]:
    pieces = {}
    for number, pair in enumerate(board.pairs):
        pieces[f"pair-{number}"] = _packed(_pair(board, pair, metrics, documents, matches))
    return pieces


def _packed(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def _pair(board: Board, pair: Pair, metrics: Sequence[str], documents: bool, matches: bool) -> dict[str, Any]:
    """Topics, values and moves of one pair.

    ``values``: row to metric to millionths by topic, null where there is none. ``moves``: row to topic to a flat list of
    document, rank, rank before (0: not there) and grade (null: not judged). ``lost``: row to topic to the number of relevant
    documents and how many of them the run lacks. ``matches``: row to topic to the query's word pieces and, by document, those
    that came nearest to them and their cosines in thousandths; 0 where nothing is known of a topic.
    """
    entries = board.of(pair)
    topics = sorted({topic for entry in entries for topic in _values(entry, board.primary)}, key=lambda id_: (len(id_), id_))
    found: dict[str, Any] = {"values": {}, "moves": {}, "lost": {}, "matches": {}, "topics": [], "documents": []}
    for entry in entries:
        by_metric = [_values(entry, metric) for metric in metrics]
        found["values"][entry.number] = [
            [figures.micro(values[topic]) if topic in values else None for topic in topics] for values in by_metric
        ]
    texts: dict[str, str] = {}
    for entry in _one_a_source(entries):
        texts = texts_of(entry, "topics", frozenset(topics)) | texts
    found["topics"] = [[topic, texts.get(topic, "")] for topic in topics]
    if documents:
        numbers: dict[str, int] = {}
        _moves(entries, topics, numbers, found)
        for entry in entries if matches else ():
            if met := matches_of(entry):
                found["matches"][entry.number] = [_met(met.get(topic, {}), numbers) for topic in topics]
        texts = {}
        for entry in _one_a_source(entries):
            texts = texts_of(entry, "documents", numbers.keys()) | texts
        found["documents"] = [[document, texts.get(document, "")] for document in numbers]
    return found


def _values(entry: Entry, metric: str) -> Mapping[str, float]:
    return entry.row.per_topic.get(metric, {})


def _one_a_source(entries: Sequence[Entry]) -> list[Entry]:
    return list({id(entry.source): entry for entry in entries}.values())


def _moves(entries: Sequence[Entry], topics: Sequence[str], numbers: dict[str, int], found: dict[str, Any]) -> None:
    """Fill in ``moves`` and ``lost``; ``numbers`` collects documents in the order in which they turn up."""
    judged = {id(entry.source): qrels_of(entry) for entry in _one_a_source(entries)}
    by_number = {entry.number: entry for entry in entries}

    @lru_cache(maxsize=4)  # the rows of a pair have few candidates between them
    def candidates(number: int, path: str) -> Ranks | None:
        return run_ranks(by_number[number], path)

    first: dict[tuple[int, str], int] = {}
    for entry in entries:
        after = run_ranks(entry, entry.row.run)
        if after is None:
            continue
        before: Ranks | None = None
        if entry.row.candidates:
            before = candidates(first.setdefault((id(entry.source), entry.row.candidates), entry.number), entry.row.candidates)
        qrels = judged[id(entry.source)]
        moves, lost = [], []
        for topic in topics:
            grades = qrels.get(topic, {})
            ranks = after.get(topic, {})
            shown = moved(ranks, (before or {}).get(topic), grades)
            moves.append([part for document, *rest in shown for part in (numbers.setdefault(document, len(numbers)), *rest)])
            relevant = [document for document, grade in grades.items() if grade > 0]
            lost.append([len(relevant), sum(document not in ranks for document in relevant)])
        found["moves"][entry.number] = moves
        found["lost"][entry.number] = lost


def _met(by_document: Mapping[str, Sequence[Match]], numbers: Mapping[str, int]) -> list[Any] | int:
    """The matches of a topic: ``[query pieces, [document, its pieces, thousandths], …]``."""
    shown = {document: matches for document, matches in by_document.items() if document in numbers and matches}
    if not shown:
        return 0
    query = [piece for piece, *_ in next(iter(shown.values()))]
    return [query] + [
        [numbers[document], [piece for _, piece, _ in matches], [round(1000 * cosine) for *_, cosine in matches]]
        for document, matches in shown.items()
        if [piece for piece, *_ in matches] == query
    ]


def moved(
    after: Mapping[str, int], before: Mapping[str, int] | None, grades: Mapping[str, int]
) -> list[tuple[str, int, int, int | None]]:
    """The documents of a topic that tell what a re-ordering did.

    These are the top of the new ranking, what was at the top before, and the relevant documents that stand highest.

    Args:
        after: document to rank in the run, in ranking order.
        before: the same of the candidates; None: there are none.
        grades: document to grade.

    Returns:
        Document, rank, rank before (0: not there) and grade (None: not judged), by rank.
    """
    old = before or {}
    top = list(after)[:TOP]
    fallen = [document for document in list(old)[:TOP] if document in after]
    relevant = [document for document in after if grades.get(document, 0) > 0][:MOST_RELEVANT]
    kept = list(dict.fromkeys((*top, *relevant, *fallen)))[:MOST_SHOWN]
    return [
        (document, after[document], old.get(document, 0), grades.get(document))
        for document in sorted(kept, key=after.__getitem__)
    ]
