"""What the lexical engines have in common: documents are indexed once, then asked with texts or with weighted words."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.progress import Progress
from xlrank.runs import Run

Query = str | Mapping[str, float]
"""A text; or words of the documents' language with weights, as in probabilistic structured queries (Darwish and Oard 2003).

The engine analyses each word; its terms get the word's weight, and the weights of equal terms add up.
"""


class LexicalEngine(Protocol):
    """BM25 over the documents of one language."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the results, as JSON values: parameters, analysis, and the software where it matters."""

    def index(self, documents: Sequence[Document], folder: Path, progress: Progress | None = None) -> Path:
        """Index all documents into a sub folder of ``folder``, or find the index that was built from the same ones."""

    def search(self, index: Path, queries: Mapping[str, Query], depth: int) -> Run:
        """Find the best ``depth`` documents of every query (topic id to query); of equal scores, smaller ids are better.

        A query that finds nothing, or is empty once analysed, has no entry in the run.
        """


def lexical_engine(name: str, language: str, **parameters: object) -> LexicalEngine:
    """The engine called ``bm25`` (Lucene) or ``bm25s`` (without Java).

    Args:
        name: of the engine.
        language: of the documents.
        parameters: attributes of :class:`~xlrank.retrieval.lucene.LuceneBM25` or :class:`~xlrank.retrieval.bm25s.Bm25s`.

    Raises:
        XlrankError: no engine has that name, or a parameter is impossible.
    """
    from xlrank.retrieval.bm25s import Bm25s
    from xlrank.retrieval.lucene import LuceneBM25

    engines: dict[str, Callable[..., LexicalEngine]] = {"bm25": LuceneBM25, "bm25s": Bm25s}
    if name not in engines:
        raise XlrankError(f"engine {name!r}: unknown; expected one of {', '.join(engines)}")
    return engines[name](language, **parameters)


def check_parameters(k1: float, b: float, what: object) -> None:
    """Refuse impossible parameters of BM25.

    Raises:
        XlrankError: ``k1`` is negative or not finite, or ``b`` is not within 0 to 1.
    """
    if not (0 <= k1 < math.inf and 0 <= b <= 1):
        raise XlrankError(f"{what}: impossible parameters; expected k1 >= 0 and 0 <= b <= 1")


def check_queries(queries: Mapping[str, Query], depth: int) -> None:
    """Refuse what no engine can search.

    Raises:
        XlrankError: ``depth`` is below 1, or a weight is negative or not finite.
    """
    if depth < 1:
        raise XlrankError(f"depth is {depth}; expected the number of documents wanted for a topic, at least 1")
    for topic, query in queries.items():
        for word, weight in () if isinstance(query, str) else query.items():
            if not 0 <= weight < math.inf:
                raise XlrankError(f"topic {topic!r}: the weight of {word!r} is {weight}; expected a finite number, at least 0")


def term_weights(query: Query, analyze: Callable[[str], list[str]]) -> dict[str, float]:
    """Terms and weights of a query: a text's terms weigh as often as they stand there; terms that weigh nothing are left out."""
    weights: dict[str, float] = {}
    for word, weight in ({query: 1.0} if isinstance(query, str) else query).items():
        for term in analyze(word):
            weights[term] = weights.get(term, 0.0) + weight
    return {term: weight for term, weight in weights.items() if weight > 0}
