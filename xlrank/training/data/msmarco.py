"""MS MARCO passage ranking in its published layout: triples of ids, walked as the paper did, texts looked up as needed.

https://microsoft.github.io/msmarco (collection, queries) and the shuffled triples of sentence-transformers.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from xlrank.collections.lines import text_lines
from xlrank.collections.passages import PassageFile, unpacked
from xlrank.errors import XlrankError
from xlrank.files import file_record
from xlrank.training.data.records import Entry, Example, Reference, Source, checked_text, query_key

ROUND = 5
"""Of so many triples the first gives its positive, the others their negatives: the paper's ratio of 1:4."""

MOST_PAIRS = 20_000_000
"""Pairs that the paper trains on: 625,000 steps of 32."""

HELDOUT_QUERIES, HELDOUT_NEGATIVES = 200, 200
"""Queries of the published held-out triples that are used, and negatives of each (the paper's)."""

Triple = tuple[int, str, str, str]
"""Line, query id, id of a relevant passage, id of another."""

BUNDLE = "collectionandqueries.tar.gz"


class MsMarco(Source):
    """A folder with ``collection.tsv``, ``queries*.tsv`` and ``*qidpidtriples*.tsv``, each packed or not.

    Triples whose name holds ``eval`` are the published held-out ones.

    Args:
        folder: where they are; ``collection.tar.gz``, ``queries.tar.gz`` and ``collectionandqueries.tar.gz`` do as well,
            and are unpacked in the cache once.
        grouped: whether a triple gives a group of two documents, instead of one pair as in the paper.
    """

    streams = True
    shuffled = True

    def __init__(self, folder: Path, *, grouped: bool) -> None:
        self.folder, self.name, self.grouped = folder, str(folder), grouped
        found = sorted([*folder.glob("*qidpidtriples*.tsv"), *folder.glob("*qidpidtriples*.tsv.gz")])
        heldout = [path for path in found if "eval" in path.name]
        triples = [path for path in found if path not in heldout]
        if len(triples) != 1 or len(heldout) > 1:
            what = "training" if len(triples) != 1 else "held-out"
            names = ", ".join(path.name for path in (triples if len(triples) != 1 else heldout)) or "none"
            raise XlrankError(f"{folder}: expected one file *qidpidtriples*.tsv[.gz] of {what} triples; found {names}")
        self.triples, self.heldout = triples[0], heldout[0] if heldout else None
        self._collection = self._first("collection.tsv", "collection.tsv.gz", "collection.tar.gz", BUNDLE)
        self._queries = sorted(folder.glob("queries*.tsv")) or [self._first("queries.tar.gz", BUNDLE)]

    def walk(self, skip: frozenset[str] = frozenset()) -> Iterator[Entry]:
        """Pairs as the paper made them (of five triples the first's positive, the others' negatives), or groups of two."""
        return emitted((triple for triple in read_triples(self.triples) if triple[1] not in skip), grouped=self.grouped)

    def fetch(self, entry: Entry) -> Example:
        """The texts of a reference."""
        assert isinstance(entry, Reference)
        place = f"{self.triples}, line {entry.line}"
        query = self._query(entry.query)
        if query is None:
            raise XlrankError(f"{place}: unknown query {entry.query!r}; it is in none of the queries' files of {self.folder}")
        documents = []
        for id_ in entry.documents:
            passage = self._passages.get(id_)
            if passage is None:
                raise XlrankError(f"{place}: unknown passage {id_!r}; it is not in {self._collection}")
            documents.append(checked_text(passage, f"{place}: passage {id_}"))
        return Example(checked_text(query, f"{place}: query {entry.query}"), tuple(documents), entry.targets)

    def record(self) -> list[dict[str, Any]]:
        """The files' names and identities."""
        files = [self._collection, *self._queries, self.triples, *([self.heldout] if self.heldout else [])]
        return [file_record(path) for path in dict.fromkeys(files)]

    def key(self, entry: Entry) -> str:
        """The query's id."""
        return entry.query

    def keys_of_equal_queries(self, entries: Iterable[Entry]) -> frozenset[str]:
        """The ids of ``entries``' queries and of all queries with the same text."""
        ids = {entry.query for entry in entries}
        texts = {query_key(text) for text in map(self._query, ids) if text is not None}
        return frozenset(ids) | {id_ for file in self._query_files for id_, text in file.items() if query_key(text) in texts}

    def published_heldout(self, most: int | None) -> list[Entry]:
        """Of the held-out triples' first queries each positive and up to 200 negatives, as pairs or as groups of two."""
        if self.heldout is None:
            return []
        most = HELDOUT_QUERIES if most is None else most
        queries: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
        for line, query, positive, negative in read_triples(self.heldout):
            if query in queries or len(queries) < most:
                positives, negatives = queries.setdefault(query, ({}, {}))
                positives.setdefault(positive, line)
                if len(negatives) < HELDOUT_NEGATIVES:
                    negatives.setdefault(negative, line)
        return [entry for query, found in queries.items() for entry in self._heldout_entries(query, *found)]

    @property
    def cap(self) -> int | None:
        """The paper's 20 million pairs; as many triples where they make groups."""
        return MOST_PAIRS

    def _heldout_entries(self, query: str, positives: dict[str, int], negatives: dict[str, int]) -> Iterator[Entry]:
        if self.grouped:
            first = next(iter(positives))
            yield from (Reference(line, query, (first, id_), (1.0, 0.0)) for id_, line in negatives.items())
        else:
            yield from (Reference(line, query, (id_,), (1.0,)) for id_, line in positives.items())
            yield from (Reference(line, query, (id_,), (0.0,)) for id_, line in negatives.items())

    def _query(self, id_: str) -> str | None:
        return next((text for file in self._query_files if (text := file.get(id_)) is not None), None)

    @cached_property
    def _passages(self) -> PassageFile:
        return PassageFile(unpacked(self._collection, "collection*.tsv"))

    @cached_property
    def _query_files(self) -> list[PassageFile]:
        return [PassageFile(unpacked(path, "queries*.tsv")) for path in self._queries]

    def _first(self, *names: str) -> Path:
        found = next((self.folder / name for name in names if (self.folder / name).is_file()), None)
        if found is None:
            raise XlrankError(f"{self.folder}: expected {names[0]} or {', '.join(names[1:])}")
        return found


def read_triples(path: Path) -> Iterator[Triple]:
    """Triples from lines ``query id TAB passage id TAB passage id``.

    Raises:
        XlrankError: the file is missing, empty or damaged, or a line has other columns.
    """
    number = 0
    for number, line in text_lines(path, "lines of query id TAB positive passage id TAB negative passage id"):
        fields = line.split()
        if len(fields) != 3:
            raise XlrankError(f"{path}, line {number}: {len(fields)} columns; expected 3: query, positive and negative id")
        yield number, fields[0], fields[1], fields[2]
    if not number:
        raise XlrankError(f"{path}: holds no triples")


def emitted(triples: Iterable[Triple], *, grouped: bool) -> Iterator[Reference]:
    """Groups of two from triples; or pairs, of every five triples the first's positive and the other four's negatives."""
    for count, (line, query, positive, negative) in enumerate(triples):
        if grouped:
            yield Reference(line, query, (positive, negative), (1.0, 0.0))
        elif count % ROUND == 0:
            yield Reference(line, query, (positive,), (1.0,))
        else:
            yield Reference(line, query, (negative,), (0.0,))
