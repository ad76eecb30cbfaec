"""Exact search among vectors: block by block within little memory, the same result however the blocks are cut."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.errors import XlrankError
from xlrank.retrieval.dense.encoders import Similarity, Vectors

QUERIES, DOCUMENTS = 512, 16_384
"""Of a block: its similarities take 32 MB."""

EXACT_DISTANCES = "donot_use_mm_for_euclid_dist"
"""By matrix products a small distance between long vectors would be mostly rounding."""

Places = NDArray[np.int64]
"""For each vector its place among equally similar ones; -1: it is never found."""

Stored = NDArray[np.float32] | NDArray[np.float16]

Blockwise = Callable[[Vectors], NDArray[np.float32]]
"""Similarities [queries, documents] of a block of documents."""


def nearest(
    queries: Vectors,
    vectors: Stored,
    depth: int,
    *,
    places: Places | None = None,
    similarity: Similarity = "cosine",
    largest: float | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """The nearest vectors of each query, best first, with their similarities.

    Candidates are found with float32 arithmetic, generously by its largest possible error. The similarities that decide, and
    are returned, are computed in float64 from the two vectors alone, so that equal vectors are exactly equally similar, wherever
    they stand.

    Args:
        queries: [queries, dimensions].
        vectors: [documents, dimensions], also memory-mapped.
        depth: how many to find for a query.
        places: order of equally similar vectors, also where the list is cut (default: as they stand); -1 leaves one out.
        similarity: ``cosine`` (of unit vectors) and ``dot`` are inner products, distances count as negative.
        largest: length of the longest vector, where it is known.

    Yields:
        For each query: numbers of the vectors found, and their similarities.

    Raises:
        XlrankError: a similarity is no finite number.
    """
    places = np.arange(len(vectors)) if places is None else places
    if largest is None:
        largest = max((float(np.linalg.norm(block, axis=1).max()) for _, block in _blocks(vectors, places)), default=0.0)
    for start in range(0, len(queries), QUERIES):
        group = np.ascontiguousarray(queries[start : start + QUERIES], np.float32)
        exact = _Exact(group, vectors, similarity)
        slack = 2 * _largest_error(group, largest, similarity)
        found = [_Candidates(depth, float(slack[i])) for i in range(len(group))]
        compute = _blockwise(group, similarity)
        for rows, block in _blocks(vectors, places):
            _add(found, rows, compute(block))
            for i, candidates in enumerate(found):
                if len(candidates.rows) > 4 * depth:  # many that differ by less than float32 can tell
                    candidates.keep(exact.best(i, candidates.rows, depth, places)[0])
        for i, candidates in enumerate(found):
            candidates.cut()
            yield exact.best(i, candidates.rows, depth, places)


@dataclass
class _Candidates:
    """Vectors that may be among the best of one query, with float32 similarities.

    Attributes:
        depth: how many are wanted.
        slack: below the similarity of the last one wanted there may be better ones by this much.
        floor: what is less similar cannot be among the best.
    """

    depth: int
    slack: float
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    similarities: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    floor: float = -np.inf

    def add(self, rows: NDArray[np.int64], similarities: NDArray[np.float32]) -> None:
        self.rows = np.concatenate([self.rows, rows])
        self.similarities = np.concatenate([self.similarities, similarities])
        if len(self.rows) > 2 * self.depth:
            self.cut()

    def cut(self) -> None:
        """Forget what cannot be among the best."""
        if len(self.rows) > self.depth:
            last = len(self.rows) - self.depth
            self.floor = float(np.partition(self.similarities, last)[last]) - self.slack
            possible = self.similarities >= self.floor
            self.rows, self.similarities = self.rows[possible], self.similarities[possible]

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Forget all but these."""
        kept = np.isin(self.rows, rows, assume_unique=True)
        self.rows, self.similarities = self.rows[kept], self.similarities[kept]


@dataclass(frozen=True)
class _Exact:
    """Similarities in float64: element by element and summed in one order, a function of the two vectors and of nothing else."""

    queries: Vectors
    vectors: Stored
    similarity: Similarity

    def best(
        self, query: int, rows: NDArray[np.int64], depth: int, places: Places
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The best ``depth`` of the vectors ``rows`` for one query, in order, with their similarities."""
        asked = self.queries[query].astype(np.float64)
        parts = [self._similarities(rows[start : start + DOCUMENTS], asked) for start in range(0, len(rows), DOCUMENTS)]
        similarities = np.concatenate(parts) if parts else np.empty(0)
        order = np.lexsort((places[rows], -similarities))[:depth]
        return rows[order], similarities[order]

    def _similarities(self, rows: NDArray[np.int64], asked: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.asarray(self.vectors[rows], np.float64)
        if self.similarity in ("cosine", "dot"):
            return np.asarray((found * asked).sum(axis=1))
        apart = np.abs(found - asked)
        return np.asarray(0.0 - (np.sqrt((apart * apart).sum(axis=1)) if self.similarity == "euclidean" else apart.sum(axis=1)))


def _blocks(vectors: Stored, places: Places) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
    """Numbers and float32 copies of the vectors that can be found, some at a time."""
    for start in range(0, len(vectors), DOCUMENTS):
        wanted = np.flatnonzero(places[start : start + DOCUMENTS] >= 0)
        if len(wanted):
            block = vectors[start : start + DOCUMENTS]
            yield wanted + start, np.asarray(block if len(wanted) == len(block) else block[wanted], np.float32)


def _add(found: list[_Candidates], rows: NDArray[np.int64], similarities: NDArray[np.float32]) -> None:
    """Put those of a block's similarities [queries, documents] that are large enough to their query's candidates."""
    if not np.isfinite(similarities.sum(dtype=np.float64)):
        raise XlrankError("a similarity is no finite number; the vectors of the documents or of a query are damaged")
    floors = np.array([candidates.floor for candidates in found], np.float64)
    depth = found[0].depth
    if len(rows) > depth and np.isneginf(floors).all():  # the first block: bring each query down to about ``depth`` at once
        last = len(rows) - depth
        floors = np.partition(similarities, last, axis=1)[:, last] - np.array([candidates.slack for candidates in found])
    places = np.flatnonzero(similarities >= floors.astype(np.float32)[:, None])
    borders = np.searchsorted(places, np.arange(len(found) + 1) * len(rows))
    for i, candidates in enumerate(found):
        if borders[i] < borders[i + 1]:
            columns = places[borders[i] : borders[i + 1]] - i * len(rows)
            candidates.add(rows[columns], similarities[i, columns])


def _largest_error(queries: Vectors, largest: float, similarity: Similarity) -> NDArray[np.float64]:
    """By how much a float32 similarity of each query can be wrong (Higham 2002, section 3.1), with room to spare."""
    dimensions = queries.shape[1]
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    if similarity in ("cosine", "dot"):
        bound = lengths * largest
    else:
        bound = np.sqrt(dimensions) * (lengths + largest)
    return np.asarray((dimensions + 2) * float(np.finfo(np.float32).eps) * bound)


def _blockwise(queries: Vectors, similarity: Similarity) -> Blockwise:
    """Computes a block's similarities to these queries, on the GPU if there is one."""
    if similarity in ("cosine", "dot") and not _gpu():
        return lambda block: np.asarray(queries @ block.T)
    import torch

    device = "cuda" if _gpu() else "cpu"
    asked = torch.from_numpy(queries).to(device)

    def compute(block: Vectors) -> NDArray[np.float32]:
        found: Any = torch.from_numpy(np.require(block, requirements=["C", "W"])).to(device)
        if similarity in ("cosine", "dot"):
            result = asked @ found.T
        else:
            result = -torch.cdist(asked, found, p=1 if similarity == "manhattan" else 2, compute_mode=EXACT_DISTANCES)
        return np.asarray(result.cpu().numpy())

    return compute


def _gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
