"""Late interaction: each side is encoded alone, by the composition of its side, and the sides meet in MaxSim."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.collections.documents import Documents
from xlrank.composition import Composition
from xlrank.composition.identity import identity_of
from xlrank.composition.sides import side_of
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key
from xlrank.modules.kinds.head.late import LateSettings
from xlrank.precision import ResolvedPrecision
from xlrank.progress import Progress
from xlrank.ranking.blank import Blank
from xlrank.ranking.interaction import Pair, Scored, Storage
from xlrank.ranking.journal import Journal
from xlrank.ranking.maxsim import late_scores
from xlrank.ranking.store import TokenStore
from xlrank.ranking.vectors import TextVectors, TokenVectors


class LateInteraction:
    """Scores pairs by late interaction; the vectors of a collection's documents are kept in the cache.

    Args:
        base: the encoder.
        precision: of the encoder.
        max_length: word pieces that either side is cut to, where that is less than the ranking module says.
        storage: of documents' token vectors on disk.
    """

    def __init__(
        self,
        base: Base,
        precision: ResolvedPrecision = "fp32",
        *,
        max_length: int | None = None,
        storage: Storage = "float16",
    ) -> None:
        if storage not in get_args(Storage):
            raise XlrankError(f"late interaction: unknown storage {storage!r}; expected {' or '.join(get_args(Storage))}")
        self.base, self.precision, self.storage = base, precision, storage
        self.queries = TextVectors(base, "query", precision, max_length)
        self.documents = TextVectors(base, "document", precision, max_length)
        self._side = lru_cache(maxsize=256)(side_of)
        self._stores: dict[str, TokenStore] = {}

    def score(
        self,
        pairs: Sequence[Pair],
        compositions: Sequence[Composition],
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Scored:
        """See :class:`~xlrank.ranking.interaction.Interaction`."""
        scores = np.empty(len(pairs), np.float32)
        asked = _Distinct([query for query, _ in pairs], [self._side(each, "query") for each in compositions])
        wanted = _Distinct([document for _, document in pairs], [self._side(each, "document") for each in compositions])
        queries = self.queries.all(asked.texts, asked.compositions)
        filled = np.empty(len(wanted.texts), bool)
        finished = 0
        for numbers, found in self.documents.batches(wanted.texts, wanted.compositions):
            filled[numbers] = found.lengths > 0
            for query, places, rows in _by_query(numbers, asked.numbers, wanted.rows):
                settings = self.settings(compositions[rows[0]])
                scores[rows] = late_scores(queries.chosen([query]), found.chosen(places), settings)[0]
                finished += len(rows)
                if progress:
                    progress(finished, len(pairs))
        return Scored(scores, _blanks(queries.lengths[asked.numbers] > 0, filled[wanted.numbers]), [])

    def score_candidates(
        self,
        candidates: Sequence[tuple[str, str]],
        documents: Documents,
        composition: Composition,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Scored:
        """See :class:`~xlrank.ranking.interaction.Interaction`; finished documents are kept in the store."""
        settings, store = self.settings(composition), self.store(documents, composition)
        self.fill(store, [document for _, document in candidates], documents, composition, progress)
        scores, full = np.empty(len(candidates), np.float32), set[str]()
        asked, room = (texts.room(self._side(composition, texts.side)) for texts in (self.queries, self.documents))
        by_query: dict[str, list[int]] = {}
        for number, (query, _) in enumerate(candidates):
            by_query.setdefault(query, []).append(number)
        queries = self.query_vectors(list(by_query), composition)
        with_query, with_document = np.empty((2, len(candidates)), bool)
        for place, rows in enumerate(by_query.values()):
            found = store.read([candidates[row][1] for row in rows])
            scores[rows] = late_scores(queries.chosen([place]), found, settings)[0]
            with_query[rows], with_document[rows] = queries.lengths[place] > 0, found.lengths > 0
            full |= {candidates[row][1] for row, length in zip(rows, found.lengths, strict=True) if length >= room}
        notes = _full_note(int((queries.lengths >= asked).sum()), len(by_query), "queries", asked)
        notes += _full_note(len(full), len({document for _, document in candidates}), "documents", room)
        return Scored(scores, _blanks(with_query, with_document), notes)

    def search(
        self, texts: Sequence[str], documents: Documents, composition: Composition, progress: Progress | None = None
    ) -> tuple[list[str], NDArray[np.float32]]:
        """Exact scores of queries with all documents of a collection.

        Returns:
            Document ids, in the order of the store, and scores [queries, documents].
        """
        settings, store = self.settings(composition), self.store(documents, composition)
        self.fill(store, documents.ids, documents, composition, progress)
        queries = self.query_vectors(texts, composition)
        shards = list(store.shards())
        scores = [late_scores(queries, shard.stored, settings) for shard in shards]
        return [id_ for shard in shards for id_ in shard.ids], np.concatenate(scores, axis=1)

    def query_vectors(self, texts: Sequence[str], composition: Composition) -> TokenVectors:
        """The vectors of queries, in their order."""
        return self.queries.all(texts, [self._side(composition, "query")] * len(texts))

    def settings(self, composition: Composition) -> LateSettings:
        """The settings that decide a composition's scores: those of the query's side, which must go with the document's.

        Raises:
            XlrankError: one side's token vectors are projected to another size than the other's.
        """
        query = self.queries.settings(self._side(composition, "query"))
        document = self.documents.settings(self._side(composition, "document"))
        if query.dim != document.dim:
            raise XlrankError(
                f"composition {composition}: token vectors of the query have {query.dim or 'all'} dimensions, those of documents "
                f"{document.dim or 'all'}; use one ranking module on both sides"
            )
        return query

    def store(self, documents: Documents, composition: Composition) -> TokenStore:
        """The store of a collection's documents under the document side of a composition; opened once."""
        facts = self._facts(documents, composition)
        key = content_key(facts)
        if key not in self._stores:
            self._stores[key] = TokenStore(cache_folder() / "indexes" / f"late-{key}", facts)
        return self._stores[key]

    def fill(
        self,
        store: TokenStore,
        ids: Sequence[str],
        documents: Documents,
        composition: Composition,
        progress: Progress | None = None,
    ) -> None:
        """Put the vectors of these documents into the store, if they are not there."""
        side, distinct = self._side(composition, "document"), len(dict.fromkeys(ids))

        def vectorise(shard: Sequence[str]) -> Iterator[tuple[list[int], TokenVectors]]:
            found = documents.fetch(shard)
            texts, held = [found[id_].full_text for id_ in shard], distinct - len(store.missing(ids))
            told = None if progress is None else lambda done, _: progress(held + done, distinct)
            yield from self.documents.batches(texts, [side] * len(texts), told)

        store.add(ids, vectorise)
        if progress:
            progress(distinct, distinct)

    def _facts(self, documents: Documents, composition: Composition) -> dict[str, Any]:
        side = self._side(composition, "document")
        settings = self.documents.settings(side)
        return {
            "documents": documents.digest,
            "base": self.base.fingerprint,
            "modules": identity_of(side),
            "prompt": settings.document_prompt,
            "max_length": self.documents.length(settings),
            "precision": self.precision,
            "storage": self.storage,
        }


class _Distinct:
    """Texts with their compositions, each once, and which rows have which."""

    def __init__(self, texts: Sequence[str], compositions: Sequence[Composition]) -> None:
        numbers: dict[tuple[str, Composition], int] = {}
        self.numbers = [numbers.setdefault(key, len(numbers)) for key in zip(texts, compositions, strict=True)]
        self.texts, self.compositions = [text for text, _ in numbers], [composition for _, composition in numbers]
        self.rows: list[list[int]] = [[] for _ in numbers]
        for row, number in enumerate(self.numbers):
            self.rows[number].append(row)


def _by_query(
    batch: Sequence[int], queries: Sequence[int], rows_of: Sequence[Sequence[int]]
) -> Iterator[tuple[int, list[int], list[int]]]:
    """The pairs of a batch of documents, query by query: the query, its documents' places in the batch, the pairs' numbers."""
    found: dict[int, tuple[list[int], list[int]]] = {}
    for place, document in enumerate(batch):
        for row in rows_of[document]:
            places, rows = found.setdefault(queries[row], ([], []))
            places.append(place)
            rows.append(row)
    for query, (places, rows) in found.items():
        yield query, places, rows


def _blanks(with_query: NDArray[np.bool_], with_document: NDArray[np.bool_]) -> list[Blank]:
    """The pairs with a text without content, by whether each pair's query and document have some [pairs]."""
    numbers = np.flatnonzero(~(with_query & with_document)).tolist()
    return [Blank(number, "document" if with_query[number] else "query") for number in numbers]


def _full_note(count: int, total: int, what: str, room: int) -> list[str]:
    """What to say of texts that are as long as they may be: whether more followed is not kept with their vectors."""
    if not count:
        return []
    return [f"late interaction: {count:,} of {total:,} {what} fill their {room} word pieces; what follows them is not read"]
