"""The ranker: a base with a composition, which scores, ranks and re-orders documents for queries."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.collections import Collection, Document
from xlrank.composition import Composition, as_composition
from xlrank.composition.resolve import StandInRule, resolver
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.precision import Precision, resolve_precision
from xlrank.ranking.journal import Journal
from xlrank.ranking.pairs import Pair, PairEncoder, batches_by_length
from xlrank.runs import Run

if TYPE_CHECKING:
    from xlrank.ranking.scorers import Scorers

Progress = Callable[[int, int], None]
"""Called with the pairs done and the pairs in all."""

Languages = tuple[str, str]
"""The languages of a query and of a document."""

BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Hit:
    """A ranked document: its score is the relevance logit, not a probability."""

    document: Document
    score: float
    rank: int


class Ranker:
    """``base + composition``: adding another module stacks it on top.

    A composition may leave its languages open with the words ``query`` and ``document``, as in ``split(query,document)+rank``;
    the methods are then told the languages, and one call, one batch even, may mix any number of them.

    Args:
        base: the encoder.
        composition: a composition, a single module, or an expression such as ``split(query,document)+rank``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``int8``; the relevance head is always float32.
        max_length: word pieces a pair is cut to (default: what the base takes).
        modules: folders or ids of modules by the name they stand for, e.g. ``{"ug": "my/ug"}``.
        stand_in: what a language without a module gets, ``nearest`` or ``average`` (:mod:`xlrank.composition.resolve`).
        reference: repeat the original code's quirks (:func:`xlrank.composition.compose.compose`), to repeat its numbers.
    """

    def __init__(
        self,
        base: Base,
        composition: Composition | Module | str,
        *,
        precision: Precision = "auto",
        max_length: int | None = None,
        modules: Mapping[str, str | Path] | None = None,
        stand_in: StandInRule = "nearest",
        reference: bool = False,
    ) -> None:
        self.base, self.modules, self.stand_in, self.reference = base, modules or {}, stand_in, reference
        open_sides = resolver(modules=self.modules, stand_in=stand_in, keep_sides=True)
        self.composition = as_composition(composition).resolve(open_sides)
        self.precision: Precision = precision
        self.max_length = max_length
        self._resolved: dict[Languages, Composition] = {}
        for leaf in self.composition.leaves():
            if leaf.module is not None:
                leaf.module.check_base(base)

    def __add__(self, other: Composition | Module | str) -> "Ranker":
        settings = {name: getattr(self, name) for name in ("precision", "max_length", "modules", "stand_in", "reference")}
        return Ranker(self.base, self.composition + other, **settings)

    def __repr__(self) -> str:
        return f"Ranker({self.base.name!r} + {self.composition})"

    @property
    def is_open(self) -> bool:
        """Whether the composition leaves languages open."""
        return any(leaf.module is None for leaf in self.composition.leaves())

    def composition_for(self, languages: Languages | None = None) -> Composition:
        """The composition with its open languages filled in.

        Args:
            languages: of query and document, as codes or names; not needed where nothing is open.

        Raises:
            XlrankError: languages are needed but not given, or unknown.
        """
        if not self.is_open:
            return self.composition
        if languages is None:
            raise XlrankError(
                f'composition {self.composition}: it leaves languages open; give languages=("ky", "en") or the like'
            )
        if languages not in self._resolved:
            self._resolved[languages] = self.composition.resolve(
                resolver(*languages, modules=self.modules, stand_in=self.stand_in)
            )
        return self._resolved[languages]

    @cached_property
    def _encoder(self) -> PairEncoder:
        return PairEncoder(self.base, self.max_length)

    @cached_property
    def _scorers(self) -> "Scorers":
        from xlrank.ranking.scorers import Scorers

        return Scorers(self.base, resolve_precision(self.precision), self.reference)

    def score(
        self,
        pairs: Iterable[Pair],
        *,
        languages: Languages | Sequence[Languages] | None = None,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Relevance logits [pairs] of (query, document) texts, in the order given.

        Args:
            pairs: texts.
            languages: (query's, document's) of all pairs, or of each; needed where the composition leaves languages open.
            journal: where finished batches are kept, so that an interrupted call can be repeated cheaply.
            progress: told how far the work is.

        Raises:
            XlrankError: a text is empty, languages are missing, or the composition has no ranking module on top.
        """
        pairs = list(pairs)
        scores = np.empty(len(pairs), np.float32)
        if not pairs:
            return scores
        compositions = self._compositions(languages, len(pairs))
        encoded = self._encoder.encode(pairs)
        finished = number = 0
        for rows_of_group, scorer in self._scorers.groups(compositions):
            lengths = [len(encoded[i][0]) + len(encoded[i][1]) for i in rows_of_group]
            for batch in batches_by_length(lengths, BATCH_TOKENS):
                rows = [rows_of_group[i] for i in batch]
                known = journal.done.get(number) if journal else None
                if known is None:
                    known = scorer([encoded[i] for i in rows], [compositions[i] for i in rows], self._encoder).tolist()
                    if journal:
                        journal.add(number, known)
                scores[rows] = known
                number, finished = number + 1, finished + len(rows)
                if progress:
                    progress(finished, len(pairs))
        return scores

    def _compositions(self, languages: Languages | Sequence[Languages] | None, count: int) -> list[Composition]:
        """The composition of each pair."""
        if languages is None or (len(languages) == 2 and all(isinstance(language, str) for language in languages)):
            return [self.composition_for(cast("Languages | None", languages))] * count
        if len(languages) != count:
            raise XlrankError(
                f"ranking: languages of {len(languages)} pairs for {count}; give one pair of languages for each, or one"
            )
        return [self.composition_for((query, document)) for query, document in cast("Sequence[Languages]", languages)]

    def rank(
        self,
        query: str,
        documents: Iterable[Document | str],
        top_k: int | None = None,
        *,
        languages: Languages | Sequence[Languages] | None = None,
    ) -> list[Hit]:
        """Order documents by relevance to a query, best first; equal scores in the order of document ids.

        Args:
            query: the query's text.
            documents: documents, or texts (whose ids become their positions).
            top_k: how many to return (default: all).
            languages: as for :meth:`score`; one pair of languages for each document where they differ.
        """
        records = [Document(str(i), d) if isinstance(d, str) else d for i, d in enumerate(documents)]
        scores = self.score([(query, document.full_text) for document in records], languages=languages)
        order = sorted(range(len(records)), key=lambda i: (-scores[i], records[i].id))[:top_k]
        return [Hit(records[i], float(scores[i]), rank) for rank, i in enumerate(order, 1)]

    def rerank(
        self,
        run: Run,
        collection: Collection,
        *,
        query_language: str | None = None,
        document_language: str | None = None,
        fields: str = "title+description",
        queries: Mapping[str, str] | None = None,
        depth: int = 100,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Re-order the first ``depth`` documents of each topic; the rest of the run follows in its old order.

        Args:
            run: the candidates.
            collection: topics and documents.
            query_language: of the topics.
            document_language: of the documents.
            fields: of the topics that make the query.
            queries: query texts by topic id, instead of the collection's topics.
            depth: candidates of each topic that are re-ordered.
            journal: where finished batches are kept.
            progress: told how far the work is.

        Raises:
            XlrankError: the run names a topic or document that the collection lacks.
        """
        if queries is None:
            queries = {topic.id: topic.query(fields) for topic in collection.topics(query_language)}
        candidates = list(run.top(depth).pairs())
        documents = collection.documents(document_language).fetch(document for _, document in candidates)
        for topic, document in candidates:
            if topic not in queries or document not in documents:
                problem = f"topic {topic!r}" if topic not in queries else f"document {document!r}"
                raise XlrankError(
                    f"run {run.name!r}: {problem} is not in collection {collection.id!r}; was it made for another one?"
                )
        languages = (query_language, document_language) if query_language and document_language else None
        pairs = [(queries[t], documents[d].full_text) for t, d in candidates]
        scores = self.score(pairs, languages=languages, journal=journal, progress=progress)
        return merge(run, candidates, scores, str(self.composition_for(languages)))


def merge(run: Run, candidates: Sequence[tuple[str, str]], scores: NDArray[np.float32], name: str) -> Run:
    """The candidates by their new scores, then the untouched tail of ``run`` with scores that keep it below them."""
    new: dict[str, dict[str, float]] = {topic: {} for topic in run.rankings}
    for (topic, document), score in zip(candidates, scores, strict=True):
        new[topic][document] = float(score)
    for topic, ranking in run.rankings.items():
        floor = min(new[topic].values(), default=0.0)
        tail = [document for document, _ in ranking if document not in new[topic]]
        new[topic] |= {document: floor - place for place, document in enumerate(tail, 1)}
    return Run.of(name, new)
