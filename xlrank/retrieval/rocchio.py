"""Pseudo-relevance feedback among vectors: each query moves towards the documents that a run ranks highest.

Rocchio's formula (1971) as Li et al. (TOIS 2023, "Vector PRF") use it with bi-encoders. The run may come from any first stage, so
that what one of them finds helps another one find more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xlrank.errors import XlrankError
from xlrank.runs import Run

if TYPE_CHECKING:
    from xlrank.retrieval.dense.encoders import Similarity, Vectors
    from xlrank.retrieval.dense.store import VectorIndex


@dataclass(frozen=True)
class Rocchio:
    """How far queries move.

    The settings were chosen on the collection mini, the same for all languages: one document alone puts more at the top, five
    find more in all.

    Attributes:
        documents: the best of a topic's ranking that count as relevant.
        weight: of their mean vector; the query's own is 1.
    """

    documents: int = 5
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.documents < 1 or not (math.isfinite(self.weight) and self.weight > 0):
            raise XlrankError(f"feedback: documents={self.documents}, weight={self.weight}: expected at least 1, and more than 0")

    def moved(
        self, queries: "Vectors", topics: Sequence[str], run: Run, index: "VectorIndex", similarity: "Similarity" = "cosine"
    ) -> "Vectors":
        """The queries' vectors [queries, dimensions], moved; those of topics that the run lacks stay as they are.

        Documents without text have no vector to move towards.

        Args:
            queries: vectors of the topics.
            topics: their ids, in the same order.
            run: over the indexed documents.
            index: of the documents' vectors.
            similarity: ``cosine`` keeps vectors at length 1.

        Raises:
            XlrankError: the run ranks a document that is not in the index.
        """
        best = [[id_ for id_, _ in run.rankings.get(topic, ())[: self.documents]] for topic in topics]
        rows = index.rows({id_ for ids in best for id_ in ids})
        moved = np.array(queries, np.float32)
        for number, ids in enumerate(best):
            if here := sorted(rows[id_] for id_ in ids if id_ in rows):
                relevant = np.asarray(index.vectors[here], np.float32).mean(axis=0)
                moved[number] = (moved[number] + self.weight * relevant) / (1 + self.weight)
        if similarity == "cosine":
            moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return moved
