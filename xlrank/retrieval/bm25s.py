"""BM25 without Java: scores are computed when documents are indexed and lie in memory-mapped files (Lù 2024, BM25S).

The index is in the format of the package bm25s, which opens it. It is written here, in two passes over files, because the
package holds the tokens of all documents in memory.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.documents import texts_digest
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import build_once, content_key, read_json, replacing, write_json
from xlrank.languages import language_code
from xlrank.progress import Progress, told
from xlrank.retrieval.analysis import analyzer, identity, without_lucene
from xlrank.retrieval.bm25s_index import write_index
from xlrank.retrieval.engine import Query, check_parameters, check_queries, term_weights
from xlrank.retrieval.index_files import DocumentIds
from xlrank.runs import Run

FORMAT = 1
"""Part of every index's key: raise it when the same documents are to be indexed in another way."""
MANIFEST = "xlrank.json"
IDS = "ids.txt"


@dataclass(frozen=True)
class Bm25s:
    """BM25 (Robertson and Zaragoza 2009) in Lucene's variant, by the package bm25s, with Anserini's default parameters.

    Attributes:
        language: of documents and queries; any code or name that :func:`xlrank.languages.language_code` knows.
        k1: saturation of term frequency, at least 0.
        b: weight of length normalisation, 0 to 1.
        analysis: what becomes of texts, one of :data:`xlrank.retrieval.analysis.KINDS`; ``auto``: what suits the language.
    """

    language: str
    k1: float = 0.9
    b: float = 0.4
    analysis: str = "auto"

    def __post_init__(self) -> None:
        """Check the parameters and resolve aliases of the language."""
        object.__setattr__(self, "language", language_code(self.language))
        check_parameters(self.k1, self.b, self)
        if self.analysis == "auto":
            object.__setattr__(self, "analysis", without_lucene(self.language))

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the results."""
        return {"engine": "bm25s", **self._description()}

    def index(self, documents: Sequence[Document], folder: Path, progress: Progress | None = None) -> Path:
        """Index the full text of all documents, or find the index that was built from the same ones.

        Args:
            documents: with ids that are unique and hold no whitespace; read once, one by one.
            folder: where indexes are kept; the index is its sub folder ``bm25s-<key>``, there only when whole.
            progress: told how many documents are done; by default that is shown on standard error.

        Returns:
            The index, for :meth:`search`; several processes may build and use the same one.

        Raises:
            XlrankError: bad ids, no documents, a package is missing, or the disk is full.
        """
        description = self._description()
        index = Path(folder).resolve() / f"bm25s-{content_key(description, texts_digest(documents))}"

        def make() -> None:
            settings = {"k1": self.k1, "b": self.b, "version": metadata.version("bm25s")}
            with told(progress, "indexing (bm25s)") as report, replacing(index) as temporary:
                temporary.mkdir()
                write_index(temporary, documents, analyzer(self.analysis, self.language), settings, report)
                write_json(temporary / MANIFEST, description)

        build_once(index, index.is_dir, make)
        return index

    def search(self, index: Path, queries: Mapping[str, Query], depth: int) -> Run:
        """Find the best ``depth`` documents of every query.

        Args:
            index: built by :meth:`index` with the same parameters.
            queries: topic id to text or weighted words. A query that finds nothing has no entry in the run.
            depth: documents a topic, at least 1. Among equal scores at the cut, smaller document ids stay.

        Raises:
            XlrankError: no index, a damaged one, or one of another language or parameters; or bad weights.
        """
        check_queries(queries, depth)
        index = Path(index).resolve()
        opened = self._open(index)
        ids, analyze = DocumentIds(index / IDS), analyzer(self.analysis, self.language)
        found: dict[str, dict[str, float]] = {}
        for topic, query in queries.items():
            scores = _scores(opened, term_weights(query, analyze))
            best = _best(scores, depth)
            if len(best):
                found[topic] = dict(zip(ids.at(best), scores[best].tolist(), strict=True))
        method = {"name": "bm25s", "language": self.language, "analysis": self.analysis, "k1": self.k1, "b": self.b}
        software = f"bm25s {metadata.version('bm25s')}"
        return Run.of("bm25s", found, {"method": {**method, "depth": depth, "software": software}}).top(depth)

    def _description(self) -> dict[str, Any]:
        try:
            metadata.version("bm25s")
        except metadata.PackageNotFoundError:
            raise XlrankError("bm25s needs the package bm25s, which is not installed; `pip install xlrank[bm25s]`") from None
        words = identity(self.analysis, self.language)
        return {"format": FORMAT, "language": self.language, "analysis": words, "k1": self.k1, "b": self.b}

    def _open(self, index: Path) -> Any:  # noqa: ANN401 - a bm25s.BM25
        if not (index / MANIFEST).is_file():
            raise XlrankError(f"{index}: holds no index of bm25s; build one with Bm25s({self.language!r}).index(...)")
        built, wanted = read_json(index / MANIFEST), self._description()
        different = [name for name in wanted if not isinstance(built, dict) or built.get(name) != wanted[name]]
        if different:
            raise XlrankError(f"{index}: was built with another {different[0]} (see its {MANIFEST}); index the documents again")
        from bm25s import BM25

        with suppress(OSError, ValueError, KeyError, TypeError, json.JSONDecodeError):
            return BM25.load(index, mmap=True, allow_pickle=False)
        raise XlrankError(f"{index}: is damaged; delete the folder and index again")


def _scores(opened: Any, weights: Mapping[str, float]) -> NDArray[np.float32]:  # noqa: ANN401 - a bm25s.BM25
    """Scores [documents]: what the package's own function gives, which knows no weights of terms."""
    data, indices, indptr = (opened.scores[name] for name in ("data", "indices", "indptr"))
    scores = np.zeros(opened.scores["num_docs"], np.float32)
    for term, weight in weights.items():
        number = opened.vocab_dict.get(term)
        if number is not None:
            place = slice(int(indptr[number]), int(indptr[number + 1]))
            scores[indices[place]] += data[place] if weight == 1 else np.float32(weight) * data[place]
    return scores


def _best(scores: NDArray[np.float32], depth: int) -> NDArray[np.int64]:
    """Numbers of the best documents, and of all others with the last one's score."""
    found = np.flatnonzero(scores > 0)
    if len(found) <= depth:
        return found
    values = scores[found]
    best: NDArray[np.int64] = found[values >= np.partition(values, -depth)[-depth]]
    return best
