"""What turns texts into vectors: the protocol of bi-encoders, and the base itself as one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base, LastStates, UnknownPieces
from xlrank.bases.prompts import DOCUMENT_PROMPT, QUERY_PROMPT, SIDES, Side
from xlrank.errors import XlrankError
from xlrank.precision import Precision, ResolvedPrecision, resolve_precision
from xlrank.progress import Progress
from xlrank.text import clean

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
Vectors = NDArray[np.float32]
"""One vector a text, [texts, dimensions]; of unit length where the similarity is the cosine."""

BATCH_TOKENS = {"cpu": 4096, "cuda": 65536}
"""Word pieces computed at a time, padding included."""

SHORTEST = 4
"""Word pieces that texts may be cut to at least: two special ones, and some of the text."""


class BiEncoder(Protocol):
    """A model that turns a query or a document into a vector of its own."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def similarity(self) -> Similarity:
        """How near two of its vectors are; distances count as negative similarities."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON values that change whenever the vector of any document would."""

    def prefix(self, side: Side) -> str:
        """What is put before every text of this side."""

    def encode(self, texts: Sequence[str], side: Side | None = None, progress: Progress | None = None) -> Vectors:
        """Vectors [texts, dimensions], with the prefix of ``side``; None: the texts as they are."""


@dataclass(frozen=True)
class MeanPooledEncoder:
    """The base itself as a bi-encoder: the mean of its last hidden states, at unit length.

    Attributes:
        base: the encoder.
        query_prefix: put before each query.
        document_prefix: put before each document.
        max_length: word pieces a text is cut to, special ones and the prefix included; no more than the base can take.
        precision: ``auto``, ``fp32``, ``bf16``.
    """

    base: Base
    query_prefix: str = QUERY_PROMPT
    document_prefix: str = DOCUMENT_PROMPT
    max_length: int = 256
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Check the settings, so that they do not fail after an hour of embedding."""
        check_length(self.max_length)
        resolved(self.precision)

    @property
    def name(self) -> str:
        """The base's."""
        return self.base.name

    @property
    def similarity(self) -> Similarity:
        """Of unit vectors."""
        return "cosine"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Base, prefix, length, precision."""
        return {
            "kind": "mean-pooled base",
            "fingerprint": self.base.fingerprint,
            "document_prefix": self.document_prefix,
            "max_length": self._length,
            "precision": resolved(self.precision),
        }

    def prefix(self, side: Side) -> str:
        """What is put before every text of this side."""
        return self.query_prefix if side == "query" else self.document_prefix

    def encode(self, texts: Sequence[str], side: Side | None = None, progress: Progress | None = None) -> Vectors:
        """Unit vectors [texts, hidden] in float32; batches are formed by length.

        Raises:
            XlrankError: the prefix alone takes all of the length, so that nothing would be left of any text.
        """
        vectors = np.empty((len(texts), int(self.base.config.hidden_size)), np.float32)
        if not texts:
            return vectors
        prefix = self.prefix(side) if side else ""
        taken = len(self.base.tokenizer(clean(prefix))["input_ids"])
        if taken >= self._length:
            raise XlrankError(
                f"dense retrieval: {self._length} word pieces leave no room beside the prefix {prefix!r}; expected a max_length "
                f"of at least {taken + 1}"
            )
        encoded: list[list[int]] = self.base.tokenizer(
            [clean(prefix + text) for text in texts], truncation=True, max_length=self._length, verbose=False
        )["input_ids"]
        self._unknown["query" if side == "query" else "document"].look(dict(zip(texts, encoded, strict=True)), taken)
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))
        start = 0
        while start < len(order):
            rows = order[start : start + max(1, self._pooled.batch_tokens // len(encoded[order[start]]))]
            vectors[rows] = self._pooled([encoded[i] for i in rows])
            start += len(rows)
            if progress:
                progress(start, len(order))
        return vectors

    @cached_property
    def _unknown(self) -> dict[Side, UnknownPieces]:
        return {side: UnknownPieces.of_side(self.base, side) for side in SIDES}

    @property
    def _length(self) -> int:
        return min(self.max_length, self.base.max_length)

    @cached_property
    def _pooled(self) -> "_MeanPooled":
        return _MeanPooled(self.base, resolved(self.precision))


class _MeanPooled:
    """The base with mean pooling and unit length."""

    def __init__(self, base: Base, precision: ResolvedPrecision) -> None:
        self.states = LastStates(base, precision)
        self.batch_tokens = BATCH_TOKENS[self.states.device.type]

    def __call__(self, rows: Sequence[Sequence[int]]) -> Vectors:
        """Unit vectors of rows of word pieces."""
        import torch

        from xlrank.modules.kinds.head.layers import mean_pooling

        with torch.inference_mode():
            pooled = mean_pooling(*self.states(rows))
            vectors: Vectors = torch.nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy()
        return vectors


def check_length(max_length: int) -> None:
    """Refuse a length that leaves nothing of a text."""
    if max_length < SHORTEST:
        raise XlrankError(f"dense retrieval: max_length is {max_length}; expected {SHORTEST} word pieces or more")


def resolved(precision: Precision) -> ResolvedPrecision:
    """The number format of an encoder, which is no ranker: 8 bits are too coarse for single vectors."""
    if precision == "int8":
        raise XlrankError("dense retrieval: vectors are not computed in int8; expected the precision auto, fp32 or bf16")
    return resolve_precision(precision)
