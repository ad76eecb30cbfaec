"""Probabilistic structured queries (Darwish and Oard 2003) without a translation model: the encoder is the dictionary.

Each word of a query, in its context, is compared with the words of the document collection, each the mean of its occurrences in
theirs. Multilingual encoders put all languages around a common centre and have words that are near to everything; both are taken
out (centring; local scaling as in CSLS, Conneau et al. 2018). Names also find each other by their spelling, in any script with
letters. What is left becomes p(document word | query word); a parallel corpus, where there is one, adds what it knows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.bases.prompts import QUERY_PROMPT
from xlrank.collections.records import Document, Topic
from xlrank.errors import XlrankError
from xlrank.files import file_record
from xlrank.progress import Progress
from xlrank.retrieval.translation import alignment
from xlrank.retrieval.translation import vocabulary as vocabularies
from xlrank.retrieval.translation.alignment import Alignment
from xlrank.retrieval.translation.contexts import Word, words_in_context
from xlrank.retrieval.translation.table import averaged
from xlrank.retrieval.translation.vocabulary import NEAREST, Vectors, Vocabulary, read_vocabulary, unit_length

FORMAT = 2
"""Raise it when the same topics and vocabulary are to give other queries."""

FEW = 100
"""So many query words say as much about their language as the documents do: of few, centre and crowding would be chance."""
BLOCK = 4096
FULL_LENGTH = 6
"""Letters of a spelling that is worth all its likeness; shorter words are alike by chance."""

Similarities = NDArray[np.float32]
"""Of query words to the vocabulary [query words, words]."""


@dataclass(frozen=True)
class Psq:
    """Weighted words of the documents' language for topics in another.

    The settings were chosen on the collection mini, the same for all languages.

    Attributes:
        neighbours: document words that a query word may become.
        temperature: of the softmax over their similarities.
        mass: probability that is kept; the least likely words go.
        crowded: how much of a document word's crowding counts against it.
        spelling: what the same spelling adds to a similarity; 0: spelling counts for nothing.
        alike: likeness of spellings that begins to count.
        trust: a query word counts by its best probability to this power: what has no clear counterpart counts less.
        parallel: a TSV of texts and their translations, source TAB target, to learn more about words from.
        faith: occurrences of a word in ``parallel`` from which on that says more than the encoder.
        sample: documents at most that the vocabulary is made from, drawn at random.
        seed: of that draw.
    """

    neighbours: int = 10
    temperature: float = 0.03
    mass: float = 0.9
    crowded: float = 0.25
    spelling: float = 0.2
    alike: float = 0.7
    trust: float = 0.5
    parallel: Path | None = None
    faith: float = 5.0
    sample: int = 10_000
    seed: int = 13

    def __post_init__(self) -> None:
        """Check the settings."""
        whole = self.neighbours >= 1 and self.sample >= 1 and self.faith > 0 and self.temperature > 0
        if not (whole and 0 < self.mass <= 1 and 0 <= self.alike < 1 and min(self.crowded, self.spelling, self.trust) >= 0):
            raise XlrankError(
                "structured queries: impossible settings; expected neighbours, sample >= 1, temperature, faith > 0, "
                "mass in (0, 1], alike in [0, 1), and crowded, spelling, trust >= 0"
            )

    @property
    def identity(self) -> Any:  # noqa: ANN401 - JSON values
        """What decides the queries, but for the texts and the encoder."""
        settings = asdict(self) | {"parallel": file_record(self.parallel) if self.parallel else None}
        return ["psq", FORMAT, vocabularies.FORMAT, settings]

    def queries(
        self,
        topics: Sequence[Topic],
        documents: Sequence[Document],
        base: Base,
        fields: str = "title+description",
        progress: Progress | None = None,
    ) -> dict[str, dict[str, float]]:
        """Topic id to document word to weight, for a lexical engine; topics without text are left out.

        Args:
            topics: all that there are in a language, if possible: they show what is particular to it.
            documents: to be searched.
            base: the encoder.
            fields: of the topics.
            progress: told how many documents are read.

        Raises:
            XlrankError: there are no documents with words.
        """
        return {
            topic: _merged([row for _, row in rows], self.trust)
            for topic, rows in self._rows(topics, documents, base, fields, progress)
        }

    def dictionary(
        self,
        topics: Sequence[Topic],
        documents: Sequence[Document],
        base: Base,
        fields: str = "title+description",
        progress: Progress | None = None,
    ) -> dict[str, dict[str, float]]:
        """Query word to document word to probability, the mean over the word's occurrences in all topics.

        :func:`~xlrank.retrieval.translation.table.write_table` makes a file of it.
        """
        return averaged(row for _, rows in self._rows(topics, documents, base, fields, progress) for row in rows)

    def vocabulary(self, documents: Sequence[Document], base: Base, progress: Progress | None = None) -> Vocabulary:
        """The words of the documents, from the cache where they have been read before."""
        return read_vocabulary(documents, base, self.sample, self.seed, progress)

    def table(self, similarities: Iterable[Similarities], vocabulary: Vocabulary) -> list[dict[str, float]]:
        """p(document word | query word) for each query word, from its similarities to the whole vocabulary [words]."""
        found = []
        for row in similarities:
            scaled = row - self.crowded * vocabulary.crowding
            top = np.argpartition(-scaled, min(self.neighbours, len(scaled)) - 1)[: self.neighbours]
            top = top[np.argsort(-scaled[top], kind="stable")]
            weights = np.exp((scaled[top] - scaled[top[0]]) / self.temperature)
            weights /= weights.sum()
            kept = int((np.cumsum(weights) < self.mass - 1e-6).sum()) + 1
            share = weights[:kept] / weights[:kept].sum()
            found.append({vocabulary.words[place]: float(p) for place, p in zip(top[:kept], share, strict=False)})
        return found

    def _rows(
        self, topics: Sequence[Topic], documents: Sequence[Document], base: Base, fields: str, progress: Progress | None
    ) -> Iterator[tuple[str, list[tuple[str, dict[str, float]]]]]:
        """Each topic's words with their rows of the table."""
        texts = {topic.id: topic.query(fields) for topic in topics if topic.query(fields)}
        if not texts:
            return
        known = self.vocabulary(documents, base, progress)
        asked = list(words_in_context(base, [QUERY_PROMPT + text for text in texts.values()], len(QUERY_PROMPT)))
        aligned = alignment.align(alignment.read_parallel(self.parallel)) if self.parallel and asked else None
        for number, found in enumerate(self._similarities(asked, len(texts), known)):
            forms = [word.form for word in asked if word.text == number]
            rows = self.table(found, known)
            if aligned:
                rows = [self._mixed(form, row, aligned, known) for form, row in zip(forms, rows, strict=True)]
            if rows:
                yield list(texts)[number], list(zip(forms, rows, strict=True))

    def _similarities(self, asked: Sequence[Word], texts: int, known: Vocabulary) -> Iterator[Similarities]:
        """Similarities of each text's words to the vocabulary."""
        if not asked:
            return
        vectors = np.stack([word.vector for word in asked])
        share = len(asked) / (len(asked) + FEW)
        vectors = unit_length(vectors - (share * vectors.mean(axis=0) + (1 - share) * known.centre))
        # Of few query words the documents' own crowding has to do for the other half of the scaling.
        scaling = 0.5 * (share * _nearness(vectors, known.vectors) + (1 - share) * known.crowding)
        forms = sorted({word.form for word in asked})
        alike = known.spellings.alike(forms, self.alike) if self.spelling else None
        place = {form: i for i, form in enumerate(forms)}
        for text in range(texts):
            here = [i for i, word in enumerate(asked) if word.text == text]
            found: Similarities = (vectors[here] @ known.vectors.T - scaling).astype(np.float32)
            if alike is not None:
                bonus = self.spelling * (alike.likeness - self.alike) / (1 - self.alike)
                bonus = bonus * np.minimum(1, known.spellings.lengths[alike.document] / FULL_LENGTH)
                for row, i in enumerate(here):
                    begin, end = np.searchsorted(alike.query, [place[asked[i].form], place[asked[i].form] + 1])
                    found[row, alike.document[begin:end]] += bonus[begin:end]
            yield found

    def _mixed(self, form: str, row: dict[str, float], aligned: Alignment, known: Vocabulary) -> dict[str, float]:
        """A row with what the parallel corpus says, the more the more often it has the word."""
        theirs = {word: p for word, p in aligned.table.get(form, {}).items() if word in known.number}
        theirs = dict(list(theirs.items())[: self.neighbours])
        total = sum(theirs.values())
        if not total:
            return row
        share = aligned.counts[form] / (aligned.counts[form] + self.faith)
        mixed = {word: (1 - share) * p for word, p in row.items()}
        for word, p in theirs.items():
            mixed[word] = mixed.get(word, 0.0) + share * p / total
        return mixed


def _nearness(vectors: Vectors, words: Vectors) -> NDArray[np.float32]:
    """Mean similarity of each of ``words`` to the ``vectors`` nearest to it, block by block: how much of a hub it is (CSLS)."""
    near = min(NEAREST, len(vectors))
    found = np.empty(len(words), np.float32)
    for start in range(0, len(words), BLOCK):
        similarities = vectors @ words[start : start + BLOCK].T
        found[start : start + BLOCK] = -np.partition(-similarities, near - 1, axis=0)[:near].mean(axis=0)
    return found


def _merged(rows: Sequence[Mapping[str, float]], trust: float) -> dict[str, float]:
    """One query of the words that a topic's words became."""
    weights: dict[str, float] = {}
    for row in rows:
        sure = max(row.values()) ** trust
        for word, p in row.items():
            weights[word] = weights.get(word, 0.0) + p * sure
    return weights
