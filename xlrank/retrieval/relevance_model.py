"""Words from the documents that another first stage ranks highest: a relevance model (Lavrenko and Croft 2001) across languages.

The run may come from a multilingual bi-encoder, so that a topic in one language and documents in another meet in it (Lavrenko,
Choquette and Croft 2002); mixed with the query's own words as in RM3 (Abdul-Jaleel et al. 2004).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xlrank.collections.documents import drawn, fetched
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.retrieval.analysis import words
from xlrank.retrieval.engine import Query
from xlrank.runs import Run

COMMON = 0.1
"""Share of the documents above which a word says nothing."""
SAMPLE, SEED = 10_000, 13
"""Documents, drawn at random, that show which words are common."""


@dataclass(frozen=True)
class RelevanceModel:
    """How a relevance model is made and mixed in.

    Attributes:
        documents: of each topic that it is made from, the best of a run; those further down count less.
        words: of the model that are kept.
        weight: of the model against the query's own words, 0 to 1.
    """

    documents: int = 10
    words: int = 50
    weight: float = 0.5

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.documents < 1 or self.words < 1 or not 0 < self.weight <= 1:
            raise XlrankError(
                f"feedback: documents={self.documents}, words={self.words}, weight={self.weight}: expected at least one document "
                "and word, and a weight above 0 and at most 1"
            )

    def expanded(self, queries: Mapping[str, Query], run: Run, documents: Sequence[Document]) -> dict[str, Query]:
        """The queries with the words of the run's best documents; both parts add up to 1 before they are mixed.

        Args:
            queries: topic id to text, or to words with weights.
            run: a topic that it lacks is left as it is.
            documents: that it ranks.

        Raises:
            XlrankError: the run ranks a document that is not among them.
        """
        best = {topic: [id_ for id_, _ in run.rankings.get(topic, ())[: self.documents]] for topic in queries}
        found = fetched(documents, {id_ for ids in best.values() for id_ in ids})
        counts = {id_: Counter(words(document.full_text)) for id_, document in found.items()}
        common = _common(documents)
        result: dict[str, Query] = {}
        for topic, query in queries.items():
            model = self._model([counts[id_] for id_ in best[topic]], common)
            own = Counter(words(query)) if isinstance(query, str) else query
            result[topic] = _mixed(own, model, self.weight) if model else query
        return result

    def _model(self, counts: Sequence[Counter[str]], common: frozenset[str]) -> dict[str, float]:
        """p(word | relevance): documents weigh by their rank, words by their share of a document."""
        model: dict[str, float] = {}
        for rank, found in enumerate(counts, 1):
            length = found.total() or 1
            for word, count in found.items():
                if word not in common:
                    model[word] = model.get(word, 0.0) + count / length / math.log2(rank + 1)
        return dict(sorted(model.items(), key=lambda item: (-item[1], item[0]))[: self.words])


def _common(documents: Sequence[Document]) -> frozenset[str]:
    """Words that too many documents hold."""
    sample = drawn(documents, SAMPLE, SEED)
    frequency = Counter(word for document in sample for word in set(words(document.full_text)))
    return frozenset(word for word, count in frequency.items() if count > max(1, COMMON * len(sample)))


def _mixed(query: Mapping[str, float], model: Mapping[str, float], weight: float) -> dict[str, float]:
    mixed: dict[str, float] = {}
    for part, share in ((query, 1 - weight), (model, weight)):
        total = sum(part.values())
        for word, value in part.items() if total and share else ():
            mixed[word] = mixed.get(word, 0.0) + share * value / total
    return mixed
