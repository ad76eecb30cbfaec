"""Probabilistic structured queries (Darwish and Oard 2003) without a translation model: the encoder is the dictionary.

Each word of a query, in its context, is compared with the words of the document collection, each the mean of its occurrences in
theirs. Multilingual encoders put all languages around a common centre and have words that are near to everything; both are taken
out (centring; local scaling as in CSLS, Conneau et al. 2018). What is left becomes p(document word | query word).
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.collections.documents import texts_digest
from xlrank.collections.records import Document, Topic
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, replacing
from xlrank.retrieval.dense.encoders import DOCUMENT_PREFIX, QUERY_PREFIX
from xlrank.retrieval.translation.contexts import Word, words_in_context

FORMAT = 1
"""Part of every vocabulary's key: raise it when the same documents are to give other vectors."""

Vectors = NDArray[np.float32]
"""[words, hidden]."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Vocabulary:
    """The words of a collection with their vectors.

    Attributes:
        words: in no particular order.
        vectors: centred, of unit length.
        crowding: mean similarity of each word to its ten nearest words of the same collection.
    """

    words: list[str]
    vectors: Vectors
    crowding: NDArray[np.float32]


@dataclass(frozen=True)
class Psq:
    """Weighted words of the documents' language for topics in another.

    Attributes:
        neighbours: document words that a query word may become.
        temperature: of the softmax over their similarities.
        mass: probability that is kept; the least likely words go.
        crowded: how much of a document word's crowding counts against it.
        trust: a query word counts by its best probability to this power: what has no clear counterpart counts less.
        sample: documents at most that the vocabulary is made from, drawn at random.
        seed: of that draw.
    """

    neighbours: int = 10
    temperature: float = 0.03
    mass: float = 0.9
    crowded: float = 0.25
    trust: float = 0.5
    sample: int = 10_000
    seed: int = 13

    @property
    def identity(self) -> Any:  # noqa: ANN401 - JSON values
        """What decides the queries, but for the texts and the encoder."""
        return ["psq", FORMAT, asdict(self)]

    def queries(
        self,
        topics: Sequence[Topic],
        documents: Sequence[Document],
        base: Base,
        fields: str = "title+description",
        progress: Progress | None = None,
    ) -> dict[str, dict[str, float]]:
        """Topic id to document word to weight, for a lexical engine; topics without text are left out.

        Raises:
            XlrankError: there are no documents with words.
        """
        texts = {topic.id: topic.query(fields) for topic in topics if topic.query(fields)}
        if not texts:
            return {}
        vocabulary = self.vocabulary(documents, base, progress)
        asked = list(words_in_context(base, [QUERY_PREFIX + text for text in texts.values()], len(QUERY_PREFIX)))
        rows = [self.table(found, vocabulary) for found in _by_text(asked, len(texts), vocabulary)]
        return {topic: _merged(row, self.trust) for topic, row in zip(texts, rows, strict=True) if row}

    def table(self, similarities: Sequence[NDArray[np.float32]], vocabulary: Vocabulary) -> list[dict[str, float]]:
        """p(document word | query word) for each query word, from its similarities to the whole vocabulary."""
        found = []
        for row in similarities:
            scaled = row - self.crowded * vocabulary.crowding
            top = np.argpartition(-scaled, min(self.neighbours, len(scaled)) - 1)[: self.neighbours]
            top = top[np.argsort(-scaled[top], kind="stable")]
            weights = np.exp((scaled[top] - scaled[top[0]]) / self.temperature)
            weights /= weights.sum()
            kept = int((np.cumsum(weights) < self.mass).sum()) + 1
            share = weights[:kept] / weights[:kept].sum()
            found.append({vocabulary.words[place]: float(p) for place, p in zip(top[:kept], share, strict=True)})
        return found

    def vocabulary(self, documents: Sequence[Document], base: Base, progress: Progress | None = None) -> Vocabulary:
        """The words of the documents, from the cache where they have been read before."""
        key = content_key(FORMAT, texts_digest(documents), base.fingerprint, self.sample, self.seed)
        path = cache_folder() / "indexes" / f"psq-{key}.npz"
        if not path.is_file():
            chosen = self._chosen(documents)
            words, vectors = _means(words_in_context(base, chosen, len(DOCUMENT_PREFIX), progress))
            if not words:
                raise XlrankError("structured queries: the documents hold no words to ask with")
            with replacing(path) as temporary, temporary.open("wb") as stream:
                np.savez(stream, words=np.array(words), vectors=vectors, crowding=_crowding(vectors))
        with np.load(path, allow_pickle=False) as stored:
            return Vocabulary(stored["words"].tolist(), stored["vectors"].astype(np.float32), stored["crowding"])

    def _chosen(self, documents: Sequence[Document]) -> list[str]:
        count = len(documents)
        numbers = sorted(random.Random(self.seed).sample(range(count), self.sample)) if count > self.sample else range(count)
        return [DOCUMENT_PREFIX + documents[number].full_text for number in numbers]


def _by_text(asked: Sequence[Word], texts: int, vocabulary: Vocabulary) -> Iterator[list[NDArray[np.float32]]]:
    """Similarities of each text's words to the vocabulary, scaled by how near a document word is to all of them (CSLS)."""
    if not asked:
        yield from ([] for _ in range(texts))
        return
    vectors = np.stack([word.vector for word in asked])
    vectors = _unit(vectors - vectors.mean(axis=0))
    similarities = vectors @ vocabulary.vectors.T
    near = min(10, len(asked))
    similarities -= 0.5 * -np.partition(-similarities, near - 1, axis=0)[:near].mean(axis=0)
    for text in range(texts):
        yield [similarities[place] for place, word in enumerate(asked) if word.text == text]


def _merged(rows: Sequence[Mapping[str, float]], trust: float) -> dict[str, float]:
    """One query of the words that a topic's words became."""
    weights: dict[str, float] = {}
    for row in rows:
        sure = max(row.values()) ** trust
        for word, p in row.items():
            weights[word] = weights.get(word, 0.0) + p * sure
    return weights


def _means(words: Iterator[Word]) -> tuple[list[str], NDArray[np.float16]]:
    """Each word once, with the centred, unit-length mean of its occurrences' unit vectors."""
    sums: dict[str, NDArray[np.float32]] = {}
    for word in words:
        if word.form in sums:
            sums[word.form] += word.vector
        else:
            sums[word.form] = word.vector.copy()
    if not sums:
        return [], np.empty((0, 0), np.float16)
    means = _unit(np.stack(list(sums.values())))
    return list(sums), _unit(means - means.mean(axis=0)).astype(np.float16)


def _crowding(vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """Mean similarity of each vector to its ten nearest others, block by block."""
    wide = vectors.astype(np.float32)
    near = min(11, len(wide))
    found = np.empty(len(wide), np.float32)
    for start in range(0, len(wide), 2000):
        best = -np.partition(-(wide[start : start + 2000] @ wide.T), near - 1, axis=1)[:, :near]
        found[start : start + 2000] = (best.sum(axis=1) - best.max(axis=1)) / max(1, near - 1)
    return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    return unit
