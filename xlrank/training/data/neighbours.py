"""Which examples ask alike: the nearest queries of each query, by the base's own vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.files import build_once, content_key, replacing
from xlrank.progress import Progress, told
from xlrank.retrieval.dense.encoders import MeanPooledEncoder
from xlrank.training.data.datasets import Listed

NEAREST = 40
"""Queries that count as near. The nearest few alone would repeat the same documents again and again."""

BLOCK = 512
"""Queries that are compared with all others at a time."""

MAX_LENGTH = 64
"""Word pieces of a query."""


def near_examples(examples: Listed, base: Base, folder: Path, progress: Progress | None = None) -> tuple[NDArray[np.int32], Path]:
    """For each example the numbers of those with the nearest queries, and the file that keeps them while training lasts.

    Args:
        examples: whose queries are compared.
        base: that makes the vectors.
        folder: for the file.
        progress: told the queries that are encoded; by default that is shown on standard error.

    Returns:
        Numbers [examples, at most ``NEAREST``], nearest first; the file.
    """
    queries = [example.query for example in examples]
    path = folder / f"near-{content_key(base.fingerprint, NEAREST, MAX_LENGTH, queries)}.npy"

    def build() -> None:
        with told(progress, "embedding queries") as report:
            vectors = MeanPooledEncoder(base, max_length=MAX_LENGTH).encode(queries, "query", report)
        with replacing(path) as temporary:
            np.save(temporary, nearest(vectors), allow_pickle=False)

    build_once(path, path.is_file, build)
    return np.load(path, allow_pickle=False), path


def nearest(vectors: NDArray[np.float32], count: int = NEAREST) -> NDArray[np.int32]:
    """Numbers of the vectors that are nearest to each by inner product, itself left out [vectors, at most ``count``]."""
    count = min(count, len(vectors) - 1)
    if count < 1:
        return np.empty((len(vectors), 0), np.int32)
    return np.concatenate(list(_blocks(vectors, count)))


def _blocks(vectors: NDArray[np.float32], count: int) -> Iterator[NDArray[np.int32]]:
    for start in range(0, len(vectors), BLOCK):
        similarities = vectors[start : start + BLOCK] @ vectors.T
        rows = np.arange(len(similarities))
        similarities[rows, start + rows] = -np.inf
        found = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(similarities, found, 1), axis=1, kind="stable")
        yield np.take_along_axis(found, order, 1).astype(np.int32)


def forget(paths: Sequence[Path]) -> None:
    """Delete the files of a training that is done, and their folder if nothing else lies there."""
    for path in paths:
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
