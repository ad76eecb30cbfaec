"""Scores of late interaction from vectors: MaxSim over content tokens, and the cosine of pooled vectors beside it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrank.modules.kinds.head.late import LateSettings
from xlrank.ranking.vectors import TokenVectors

CHUNK = 2048
"""Document tokens that are compared at once: their float32 vectors stay in the processor's cache."""


def late_scores(queries: TokenVectors, documents: TokenVectors, settings: LateSettings) -> NDArray[np.float32]:
    """Scores [queries, documents] of every query with every document.

    A text without content gets :attr:`~xlrank.modules.kinds.head.late.LateSettings.lowest`, so that it ranks last.

    Args:
        queries: float32.
        documents: float32, or as stored.
        settings: of the ranking module.
    """
    scores = np.full((len(queries), len(documents)), settings.lowest, np.float32)
    asked, found = np.flatnonzero(queries.lengths), np.flatnonzero(documents.lengths)
    if not len(asked) or not len(found):
        return scores
    best = _best(queries.vectors, documents, documents.starts[found])
    # Texts without content have no tokens, so the starts of the others delimit all tokens.
    similarities = np.add.reduceat(best, queries.starts[asked], axis=0) / queries.lengths[asked, None]
    if settings.pooled:
        pooled = queries.pooled[asked].float() @ documents.pooled[found].float().T
        similarities = similarities + settings.pooled * pooled.numpy()
    scores[np.ix_(asked, found)] = similarities
    return scores


@torch.inference_mode()
def _best(queries: Tensor, documents: TokenVectors, starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """The highest cosine [query tokens, documents] of each query token with any token of each document with content."""
    ends = np.append(starts[1:], len(documents.vectors))
    best = np.empty((len(queries), len(starts)), np.float32)
    first = 0
    while first < len(starts):
        # Whole documents, as many as fit into a chunk.
        stop = max(first + 1, int(np.searchsorted(ends, starts[first] + CHUNK, "right")))
        rows = slice(int(starts[first]), int(ends[stop - 1]))
        similarities = queries @ documents.vectors[rows].float().T
        if documents.scales is not None:
            similarities *= documents.scales[rows]
        best[:, first:stop] = np.maximum.reduceat(similarities.numpy(), starts[first:stop] - starts[first], axis=1)
        first = stop
    return best
