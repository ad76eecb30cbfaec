"""The words of a collection with the mean of their vectors, read once and kept in the cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.bases.prompts import DOCUMENT_PROMPT
from xlrank.collections.documents import drawn, texts_digest
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, replacing
from xlrank.precision import resolve_precision
from xlrank.progress import Progress
from xlrank.retrieval.translation.contexts import Word, words_in_context
from xlrank.retrieval.translation.names import Spellings

FORMAT = 2
"""Part of every vocabulary's key: raise it when the same documents are to give other vectors."""

NEAREST = 10
"""Words that say how crowded it is around a word."""
BLOCK = 1024

Vectors = NDArray[np.float32]
"""[words, hidden]."""


@dataclass(frozen=True)
class Vocabulary:
    """The words of a collection with their vectors.

    Attributes:
        words: in no particular order.
        vectors: centred, of unit length.
        crowding: mean similarity of each word to its ten nearest words of the same collection.
        centre: what was taken off the vectors [hidden].
    """

    words: list[str]
    vectors: Vectors
    crowding: NDArray[np.float32]
    centre: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))

    @cached_property
    def spellings(self) -> Spellings:
        """The words by their spelling."""
        return Spellings(self.words)

    @cached_property
    def number(self) -> dict[str, int]:
        """The place of each word."""
        return {word: i for i, word in enumerate(self.words)}


def read_vocabulary(
    documents: Sequence[Document], base: Base, sample: int, seed: int, progress: Progress | None = None
) -> Vocabulary:
    """The words of documents, from the cache where they have been read before.

    Args:
        documents: where they stand.
        base: the encoder.
        sample: documents read at most; of more, so many are drawn at random.
        seed: of that draw.
        progress: told how many documents are read.

    Raises:
        XlrankError: there are no documents with words, or the cached file is damaged.
    """
    key = content_key(FORMAT, texts_digest(documents), base.fingerprint, resolve_precision("auto"), sample, seed)
    path = cache_folder() / "indexes" / f"psq-{key}.npz"
    if not path.is_file():
        texts = [DOCUMENT_PROMPT + document.full_text for document in drawn(documents, sample, seed)]
        words, means = _means(words_in_context(base, texts, len(DOCUMENT_PROMPT), progress))
        if not words:
            raise XlrankError("structured queries: the documents hold no words to ask with")
        centre: NDArray[np.float32] = means.mean(axis=0)
        vectors = unit_length(means - centre)
        text = np.frombuffer("\n".join(words).encode(), np.uint8)
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, words=text, vectors=vectors.astype(np.float16), crowding=_crowding(vectors), centre=centre)
    try:
        with np.load(path, allow_pickle=False) as stored:
            words = stored["words"].tobytes().decode().split("\n")
            return Vocabulary(words, stored["vectors"].astype(np.float32), stored["crowding"], stored["centre"])
    except (OSError, ValueError, KeyError) as error:
        raise XlrankError(f"{path}: cannot be read ({error}); delete it, and it is made again") from None


def unit_length(vectors: Vectors) -> Vectors:
    """The vectors at length 1; a zero vector stays as it is."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    return unit


def _means(words: Iterator[Word]) -> tuple[list[str], Vectors]:
    """Each word once, with the mean of its occurrences' unit vectors."""
    sums: dict[str, NDArray[np.float32]] = {}
    counts: dict[str, int] = {}
    for word in words:
        counts[word.form] = counts.get(word.form, 0) + 1
        if word.form in sums:
            sums[word.form] += word.vector
        else:
            sums[word.form] = word.vector.astype(np.float32)
    if not sums:
        return [], np.empty((0, 0), np.float32)
    return list(sums), np.stack([total / counts[form] for form, total in sums.items()])


def _crowding(vectors: Vectors) -> NDArray[np.float32]:
    """Mean similarity of each vector to its nearest others, block by block."""
    near = min(NEAREST + 1, len(vectors))
    found = np.zeros(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK) if near > 1 else ():
        best = -np.partition(-(vectors[start : start + BLOCK] @ vectors.T), near - 1, axis=1)[:, :near]
        found[start : start + BLOCK] = (best.sum(axis=1) - best.max(axis=1)) / (near - 1)
    return found
