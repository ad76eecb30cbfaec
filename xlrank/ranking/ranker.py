"""The ranker: a base with a composition, which scores, ranks and re-orders documents for queries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.collections import Collection, Document
from xlrank.composition import Composition, as_composition
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.precision import Precision, resolve_precision
from xlrank.ranking.journal import Journal
from xlrank.ranking.pairs import Pair, PairEncoder, batches_by_length
from xlrank.runs import Run

if TYPE_CHECKING:
    from xlrank.ranking.scorer import Scorer

Progress = Callable[[int, int], None]
"""Called with the pairs done and the pairs in all."""

BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Hit:
    """A ranked document: its score is the relevance logit, not a probability."""

    document: Document
    score: float
    rank: int


class Ranker:
    """``base + composition``: adding another module stacks it on top.

    Args:
        base: the encoder.
        composition: a composition or a single module.
        precision: ``auto``, ``fp32``, ``bf16`` or ``int8``; the relevance head is always float32.
        max_length: word pieces a pair is cut to (default: what the base takes).
    """

    def __init__(
        self, base: Base, composition: Composition | Module, *, precision: Precision = "auto", max_length: int | None = None
    ) -> None:
        self.base = base
        self.composition = as_composition(composition)
        self.precision: Precision = precision
        self.max_length = max_length
        for leaf in self.composition.leaves():
            leaf.loaded().check_base(base)

    def __add__(self, other: Composition | Module) -> "Ranker":
        return Ranker(self.base, self.composition + other, precision=self.precision, max_length=self.max_length)

    def __repr__(self) -> str:
        return f"Ranker({self.base.name!r} + {self.composition})"

    @cached_property
    def _encoder(self) -> PairEncoder:
        return PairEncoder(self.base, self.max_length)

    @cached_property
    def _scorer(self) -> "Scorer":
        from xlrank.ranking.scorer import Scorer

        return Scorer(self.base, self.composition, resolve_precision(self.precision))

    def score(
        self, pairs: Iterable[Pair], *, journal: Journal | None = None, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Relevance logits [pairs] of (query, document) texts, in the order given.

        Args:
            pairs: texts.
            journal: where finished batches are kept, so that an interrupted call can be repeated cheaply.
            progress: told how far the work is.

        Raises:
            XlrankError: a text is empty, or the composition has no ranking module on top.
        """
        pairs = list(pairs)
        scores = np.empty(len(pairs), np.float32)
        if not pairs:
            return scores
        encoded = self._encoder.encode(pairs)
        finished = 0
        for number, rows in enumerate(batches_by_length([len(left) + len(right) for left, right in encoded], BATCH_TOKENS)):
            known = journal.done.get(number) if journal else None
            if known is None:
                known = self._scorer(self._encoder.batch([encoded[i] for i in rows])).tolist()
                if journal:
                    journal.add(number, known)
            scores[rows] = known
            finished += len(rows)
            if progress:
                progress(finished, len(pairs))
        return scores

    def rank(self, query: str, documents: Iterable[Document | str], top_k: int | None = None) -> list[Hit]:
        """Order documents by relevance to a query, best first; equal scores in the order of document ids.

        Args:
            query: the query's text.
            documents: documents, or texts (whose ids become their positions).
            top_k: how many to return (default: all).
        """
        records = [Document(str(i), d) if isinstance(d, str) else d for i, d in enumerate(documents)]
        scores = self.score([(query, document.full_text) for document in records])
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
        depth: int = 100,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Re-order the first ``depth`` documents of each topic; the rest of the run follows in its old order.

        Raises:
            XlrankError: the run names a topic or document that the collection lacks.
        """
        queries = {topic.id: topic.query(fields) for topic in collection.topics(query_language)}
        documents = {document.id: document.full_text for document in collection.documents(document_language)}
        candidates = list(run.top(depth).pairs())
        for topic, document in candidates:
            if topic not in queries or document not in documents:
                problem = f"topic {topic!r}" if topic not in queries else f"document {document!r}"
                raise XlrankError(
                    f"run {run.name!r}: {problem} is not in collection {collection.id!r}; was it made for another one?"
                )
        scores = self.score([(queries[t], documents[d]) for t, d in candidates], journal=journal, progress=progress)
        return merge(run, candidates, scores, str(self.composition))


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
