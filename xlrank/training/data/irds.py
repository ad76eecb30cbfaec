"""Training data of ir_datasets (https://ir-datasets.com): its pairs of documents, or its judgements with chosen negatives."""

import os
import random
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from xlrank.collections.irds_loading import PREFIX as PREFIX
from xlrank.collections.irds_loading import load_dataset, told, told_items
from xlrank.errors import XlrankError
from xlrank.files import file_record
from xlrank.runs import Run, sample
from xlrank.text import clean
from xlrank.training.data.msmarco import emitted
from xlrank.training.data.records import Entry, Example, Reference, Source, checked_text, query_key

ATTEMPTS = 100
"""Draws of a random document before giving up: all others are relevant, or empty."""


class IrDataset(Source):
    """A dataset of ir_datasets with queries and documents, and pairs of documents or judgements.

    Pairs of documents are streamed, as the triples of MS MARCO are. Judgements make one group for each relevant document:
    its negatives are documents judged not relevant and those of ``run`` not judged relevant, filled up with random ones.

    Args:
        id: as ir_datasets names it.
        grouped: whether a pair of documents makes a group of two, instead of one labelled pair as in the paper.
        negatives: negatives of a group made from judgements.
        run: TREC run that hard negatives are drawn from.
        seed: of all choices.

    Raises:
        XlrankError: ir_datasets is not installed or does not know the id, or the dataset lacks what is needed.
    """

    def __init__(self, id: str, *, grouped: bool, negatives: int, run: Path | None, seed: int) -> None:
        self.id, self.name, self.grouped, self.negatives, self.seed = id, PREFIX + id, grouped, negatives, seed
        self.dataset = load_dataset(id)
        if negatives < 1:
            raise XlrankError(f"{self.name}: {negatives} negatives a group; expected at least 1")
        if not (self.dataset.has_docs() and self.dataset.has_queries()):
            raise XlrankError(f"{self.name}: has no documents or no queries; choose a dataset with both")
        self.streams = self.shuffled = bool(self.dataset.has_docpairs())
        if not self.streams and not self.dataset.has_qrels():
            raise XlrankError(f"{self.name}: has neither pairs of documents nor judgements to learn from")
        self.run_path, self.run = run, Run.read(run).scores() if run else {}
        self._record: list[dict[str, Any]] = [{"name": self.name}, *([file_record(run)] if run else [])]
        self._stores: dict[int, Any] = {}

    def walk(self, skip: frozenset[str] = frozenset()) -> Iterator[Entry]:
        """See :class:`~xlrank.training.data.records.Source`."""
        entries = self._pairs(skip) if self.streams else self._groups(skip)
        first = next(entries, None)
        if first is None and not skip:
            raise XlrankError(f"{self.name}: holds nothing to learn from")
        if first is not None:
            yield first
        yield from entries

    def fetch(self, entry: Entry) -> Example:
        """The texts of a reference; its missing negatives are drawn at random."""
        assert isinstance(entry, Reference)
        documents = [checked_text(self._document(id_), f"{self.name}: document {id_}") for id_ in entry.documents]
        documents += self._random_documents(entry, len(entry.targets) - len(documents))
        query = self._queries.get(entry.query)
        if query is None:
            raise XlrankError(f"{self.name}: unknown query {entry.query!r}")
        return Example(checked_text(query, f"{self.name}: query {entry.query}"), tuple(documents), entry.targets)

    def record(self) -> list[dict[str, Any]]:
        """The dataset's id, and the run's file."""
        return self._record

    def key(self, entry: Entry) -> str:
        """The query's id."""
        return entry.query

    def keys_of_equal_queries(self, entries: Iterable[Entry]) -> frozenset[str]:
        """The ids of ``entries``' queries and of all queries with the same text."""
        ids = {entry.query for entry in entries}
        texts = {query_key(self._queries[id_]) for id_ in ids if id_ in self._queries}
        return frozenset(ids) | {id_ for id_, text in self._queries.items() if query_key(text) in texts}

    def _pairs(self, skip: frozenset[str]) -> Iterator[Reference]:
        found = enumerate(told_items(self.id, "pairs of documents", self.dataset.docpairs_iter), 1)
        triples = ((i, p.query_id, p.doc_id_a, p.doc_id_b) for i, p in found if p.query_id not in skip)
        return emitted(triples, grouped=self.grouped)

    def _groups(self, skip: frozenset[str]) -> Iterator[Reference]:
        if self.run and not self.run.keys() & self._judged.keys():
            raise XlrankError(
                f"{self.run_path}: has no results for any query that {self.name} judges; its topics are {sample(self.run)}; "
                "name a run on the same dataset"
            )
        numbers = count(1)
        for query, judged in self._judged.items():
            if query in skip or query not in self._queries:  # some collections judge topics of other splits
                continue
            relevant = [document for document, grade in judged.items() if grade > 0]
            others = [document for document, grade in judged.items() if grade <= 0]
            others += [document for document in self.run.get(query, {}) if document not in judged]
            for document in relevant:
                rng = random.Random(f"{self.seed} {query} {document}")
                chosen = rng.sample(others, min(self.negatives, len(others)))
                yield Reference(next(numbers), query, (document, *chosen), (1.0, *[0.0] * self.negatives))

    @cached_property
    def _judged(self) -> dict[str, dict[str, int]]:
        judged: dict[str, dict[str, int]] = {}
        if self.dataset.has_qrels():
            for row in told_items(self.id, "judgements", self.dataset.qrels_iter):
                judged.setdefault(row.query_id, {})[row.doc_id] = int(row.relevance)
        return judged

    @cached_property
    def _queries(self) -> dict[str, str]:
        queries = told_items(self.id, "queries", self.dataset.queries_iter)
        return {query.query_id: clean(query.default_text()) for query in queries}

    @property
    def _store(self) -> Any:  # noqa: ANN401 - ir_datasets' own
        # One for each process: the stores read open files, whose positions forked workers would share.
        if os.getpid() not in self._stores:
            self._stores = {os.getpid(): self.dataset.docs_store()}
        return self._stores[os.getpid()]

    def _document(self, id_: str) -> str:
        with told(self.id, "documents"):
            try:
                return str(self._store.get(id_).default_text())
            except KeyError:
                raise XlrankError(f"{self.name}: unknown document {id_!r}") from None

    def _random_documents(self, entry: Reference, wanted: int) -> list[str]:
        if not wanted:
            return []
        rng = random.Random(f"{self.seed} {entry.query} {entry.documents}")
        relevant = {document for document, grade in self._judged.get(entry.query, {}).items() if grade > 0}
        texts: dict[str, str] = {id_: "" for id_ in (*relevant, *entry.documents)}
        known, draw = len(texts), self._drawing()
        for _ in range(ATTEMPTS + wanted):
            document = draw(rng)
            if text := clean(document.default_text()):
                texts.setdefault(document.doc_id, text)
            if len(texts) == known + wanted:
                return list(texts.values())[known:]
        raise XlrankError(f"{self.name}: too few documents to draw {wanted} random negatives of query {entry.query!r} from")

    def _drawing(self) -> Callable[[random.Random], Any]:
        """A function that draws a document; ir_datasets finds documents by position where it has their count."""
        total = self.dataset.docs_count()
        if not total:
            raise XlrankError(f"{self.name}: random documents cannot be drawn from it; name a run to draw negatives from")

        def draw(rng: random.Random) -> Any:  # noqa: ANN401 - ir_datasets' own
            place = rng.randrange(total)
            with told(self.id, "documents"):
                return next(iter(self.dataset.docs_iter()[place : place + 1]))

        return draw
