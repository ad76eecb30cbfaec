"""Dense retrieval with a bi-encoder: prefixes, mean pooling, unit vectors, exact search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.collections import Document
from xlrank.collections.documents import texts_digest
from xlrank.errors import XlrankError
from xlrank.files import content_key, replacing
from xlrank.precision import Precision, resolve_precision, torch_dtype
from xlrank.runs import Run
from xlrank.text import clean

Progress = Callable[[int, int], None]
Embeddings = NDArray[np.float32]
"""Unit vectors, [texts, hidden]."""

QUERY_PREFIX, DOCUMENT_PREFIX = "query: ", "passage: "
"""What the E5 models were trained with (Wang et al. 2024, multilingual E5)."""

BATCH_TOKENS = 4096


@dataclass(frozen=True)
class DenseRetriever:
    """A bi-encoder over the base itself.

    Attributes:
        base: the encoder.
        query_prefix: put before each query.
        document_prefix: put before each document.
        max_length: word pieces a text is cut to.
        precision: ``auto``, ``fp32``, ``bf16``.
    """

    base: Base
    query_prefix: str = QUERY_PREFIX
    document_prefix: str = DOCUMENT_PREFIX
    max_length: int = 256
    precision: Precision = "auto"

    def index(self, documents: Sequence[Document], folder: Path, progress: Progress | None = None) -> Path:
        """Embed the documents into ``folder/dense-KEY.npy`` [documents, hidden]; an existing file is re-used.

        The key covers base, prefix, length, precision and texts.
        """
        settings = [self.base.fingerprint, self.document_prefix, self.max_length, resolve_precision(self.precision)]
        path = folder / f"dense-{content_key(settings, texts_digest(documents))}.npy"
        if not path.is_file():
            vectors = self.embed([self.document_prefix + document.full_text for document in documents], progress)
            with replacing(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, vectors)
        return path

    def search(self, index: Path, documents: Sequence[Document], queries: Mapping[str, str], depth: int) -> Run:
        """The ``depth`` nearest documents of each query by cosine.

        Args:
            index: what :meth:`index` returned for these ``documents``.
            documents: the indexed documents, in the same order.
            queries: topic id to text.
            depth: documents a query.

        Raises:
            XlrankError: the index was made for other documents, or a query is empty.
        """
        vectors = np.load(index, mmap_mode="r", allow_pickle=False)
        if len(vectors) != len(documents):
            raise XlrankError(f"{index}: holds {len(vectors)} documents, expected {len(documents)}; build the index again")
        empty = [topic for topic, query in queries.items() if not query.strip()]
        if empty:
            raise XlrankError(f"dense retrieval: the query of topic {empty[0]!r} is empty")
        asked = self.embed([self.query_prefix + query for query in queries.values()])
        similarity = asked @ vectors.T
        return Run.of("dense", {topic: _best(row, documents, depth) for topic, row in zip(queries, similarity, strict=True)})

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Embeddings:
        """Unit vectors [texts, hidden] in float32; batches are formed by length."""
        encoded: list[list[int]] = self.base.tokenizer(
            [clean(text) for text in texts], truncation=True, max_length=min(self.max_length, self.base.max_length), verbose=False
        )["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))
        vectors = np.empty((len(texts), int(self.base.config.hidden_size)), np.float32)
        start = 0
        while start < len(order):
            rows = order[start : start + max(1, BATCH_TOKENS // len(encoded[order[start]]))]
            vectors[rows] = self._encoder.embed([encoded[i] for i in rows])
            start += len(rows)
            if progress:
                progress(start, len(order))
        return vectors

    @cached_property
    def _encoder(self) -> "_MeanPooled":
        return _MeanPooled(self.base, self.precision)


class _MeanPooled:
    """The base with mean pooling and unit length."""

    def __init__(self, base: Base, precision: Precision) -> None:
        import torch

        dtype = torch_dtype(resolve_precision("auto" if precision == "int8" else precision))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder = base.copy_encoder({}, dtype).eval().to(self.device)
        self.pad = int(base.tokenizer.pad_token_id)

    def embed(self, rows: Sequence[Sequence[int]]) -> Embeddings:
        """Unit vectors of rows of word pieces."""
        import torch

        from xlrank.modules.kinds.head.layers import mean_pooling

        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self.pad] * (width - len(row))] for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.device)
        with torch.inference_mode():
            pooled = mean_pooling(self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state, mask)
            vectors: Embeddings = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return vectors


def _best(similarity: NDArray[np.float32], documents: Sequence[Document], depth: int) -> dict[str, float]:
    depth = min(depth, len(documents))
    top = np.argpartition(-similarity, depth - 1)[:depth]
    return {documents[i].id: float(similarity[i]) for i in top}
