"""BM25 with Lucene, the first stage of the paper: this side prepares the work, a process of its own runs Java."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from xlrank.collections.documents import texts_digest
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import content_key, read_json
from xlrank.languages import LANGUAGES, language_code
from xlrank.progress import Progress, told
from xlrank.retrieval.analysis import analyzer, identity
from xlrank.retrieval.analysis import words as tokenize
from xlrank.retrieval.engine import Query, check_parameters, check_queries, term_weights
from xlrank.retrieval.index_files import DocumentIds
from xlrank.retrieval.lucene_build import IDS, MANIFEST, Settings, build
from xlrank.retrieval.lucene_java import anserini_jar, java_home, run
from xlrank.runs import Run
from xlrank.text import clean

__all__ = ["LuceneBM25", "Rm3", "anserini_jar", "java_home", "tokenize"]

FORMAT = 2
"""Part of every index's key: raise it when the same documents are to be indexed in another way."""


@dataclass(frozen=True)
class Rm3:
    """Query expansion by a relevance model of the first hits (Abdul-Jaleel et al. 2004), with Anserini's default parameters.

    Attributes:
        fb_terms: terms of the model, at least 1.
        fb_docs: hits that it is made from, at least 1.
        original_query_weight: share of the query itself, 0 to 1.
    """

    fb_terms: int = 10
    fb_docs: int = 10
    original_query_weight: float = 0.5

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.fb_terms < 1 or self.fb_docs < 1 or not 0 <= self.original_query_weight <= 1:
            raise XlrankError(f"{self}: impossible parameters; expected fb_terms, fb_docs >= 1, original_query_weight 0 to 1")


@dataclass(frozen=True)
class LuceneBM25:
    """BM25 (Robertson and Zaragoza 2009) as Lucene computes it, with Anserini's default parameters.

    Attributes:
        language: of documents and queries; any code or name that :func:`xlrank.languages.language_code` knows.
        k1: saturation of term frequency, at least 0.
        b: weight of length normalisation, 0 to 1.
        threads: for indexing and for searching; has no influence on the result.
        rm3: expansion of queries. Indexes for it hold each document's terms, and are larger.
        analysis: ``lucene``: Lucene's analyzer of the language; or one of :data:`xlrank.retrieval.analysis.KINDS`;
            ``auto``: ``lucene`` where there is an analyzer, else what suits the language.
    """

    language: str
    k1: float = 0.9
    b: float = 0.4
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)), repr=False, compare=False)
    rm3: Rm3 | None = None
    analysis: str = "auto"

    def __post_init__(self) -> None:
        """Check the parameters and resolve aliases of the language."""
        object.__setattr__(self, "language", language_code(self.language))
        check_parameters(self.k1, self.b, self)
        if self.threads < 1:
            raise XlrankError(f"threads is {self.threads}; expected at least 1")
        known = LANGUAGES[self.language]
        if self.analysis == "auto":
            object.__setattr__(self, "analysis", "lucene" if known.lucene else known.tokens)
        if self.analysis == "lucene" and not known.lucene:
            raise XlrankError(f"analysis 'lucene': there is no analyzer for {self.language!r}; expected {known.tokens!r} or auto")

    @property
    def analyzer(self) -> str:
        """The code of Lucene's analyzer, or ``whitespace`` where terms are made here (:mod:`xlrank.retrieval.analysis`)."""
        return self.language if self.analysis == "lucene" else "whitespace"

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the results."""
        rm3 = asdict(self.rm3) if self.rm3 else None
        return {"engine": "lucene", **self._description(), "k1": self.k1, "b": self.b, "rm3": rm3}

    def index(self, documents: Sequence[Document], folder: Path, progress: Progress | None = None) -> Path:
        """Index the full text of all documents, or find the index that was built from the same ones.

        An interrupted call leaves the parts that are whole in a hidden folder, and the same call goes on from there. Of
        several processes one builds and the others wait.

        Args:
            documents: with ids that are unique and hold no whitespace; read once, one by one. One without text is never found.
            folder: where indexes are kept; the index is its sub folder ``lucene-<key>``, there only when whole.
            progress: told how many documents are done, after each part; by default that is shown on standard error.

        Returns:
            The index, for :meth:`search`.

        Raises:
            XlrankError: bad ids, no documents, Java or pyserini missing, or the disk is full.
        """
        description = {**self._description(), "vectors": self.rm3 is not None}
        index = Path(folder).resolve() / f"lucene-{content_key(description, texts_digest(documents))}"
        if not index.is_dir():
            settings = Settings(self._preparation(), self.analyzer, self.rm3 is not None, self.threads)
            with told(progress, "indexing (Lucene)") as report:
                build(index, documents, settings, description, report)
        return index

    def search(self, index: Path, queries: Mapping[str, Query], depth: int) -> Run:
        """Find the best ``depth`` documents of every query.

        Args:
            index: built by :meth:`index` for the same language, or any Anserini index made with the same analyzer.
            queries: topic id to text or weighted words. A query that finds nothing, or is empty once analysed, has no
                entry in the run.
            depth: documents a topic, at least 1. Among equal scores at the cut, smaller document ids stay.

        Raises:
            XlrankError: no index or a damaged one, one of another language, Java or pyserini missing, or bad weights.
        """
        check_queries(queries, depth)
        index = Path(index).resolve()
        self._check(index)
        with TemporaryDirectory(prefix="xlrank-lucene-") as folder:
            results, ids = Path(folder) / "results.tsv", Path(folder) / IDS
            own_ids = index / IDS
            details = {
                **asdict(self),
                "analyzer": self.analyzer,
                "index": str(index),
                "queries": self._prepared(queries.values()),
                "depth": depth,
                "results": str(results),
                "ids": None if own_ids.is_file() else str(ids),
            }
            run("search", f"{index}: cannot be searched; if it is damaged, delete the folder and index again", details)
            names = DocumentIds(own_ids if own_ids.is_file() else ids)
            found = {topic: hits for topic, hits in zip(queries, _hits(results, names, depth), strict=True) if hits}
        method = {"name": "bm25", "language": self.language, "analysis": self.analysis, "k1": self.k1, "b": self.b}
        method |= {"depth": depth, "software": anserini_jar().name} | ({"rm3": asdict(self.rm3)} if self.rm3 else {})
        return Run.of("bm25", found, {"method": method}).top(depth)

    def _description(self) -> dict[str, Any]:
        terms = self.analysis if self.analysis == "lucene" else identity(self.analysis, self.language)
        return {"format": FORMAT, "language": self.language, "analysis": terms, "software": anserini_jar().name}

    def _preparation(self) -> Callable[[str], str]:
        """What a text goes through here: Lucene's analyzer needs nothing more than that it is clean."""
        if self.analysis == "lucene":
            return clean
        analyze = analyzer(self.analysis, self.language)
        return lambda text: " ".join(analyze(text))

    def _prepared(self, queries: Iterable[Query]) -> list[str | dict[str, float]]:
        prepare = self._preparation()
        # Prepared words hold no white space but what parts terms; Lucene takes its own terms from each.
        split = str.split if self.analyzer == "whitespace" else _alone
        return [prepare(q) if isinstance(q, str) else term_weights(q, lambda word: split(prepare(word))) for q in queries]

    def _check(self, index: Path) -> None:
        if not any(index.glob("segments_*")):
            raise XlrankError(f"{index}: holds no Lucene index; build one with LuceneBM25({self.language!r}).index(...)")
        if not (index / MANIFEST).exists():
            return  # somebody else's index
        built, again = read_json(index / MANIFEST), f"(see its {MANIFEST}); index the documents again"
        if not isinstance(built, dict) or built.get("language") != self.language:
            raise XlrankError(f"{index}: was not built for {self.language!r} {again}")
        for name, value in self._description().items():
            if built.get(name) != value:
                raise XlrankError(f"{index}: was built with another {name}, {built.get(name)!r} instead of {value!r} {again}")
        if self.rm3 and not built.get("vectors"):
            raise XlrankError(f"{index}: does not hold the documents' terms, which rm3 reads; index the documents again with rm3")


def _alone(text: str) -> list[str]:
    return [text]


def _hits(path: Path, ids: DocumentIds, depth: int) -> Iterator[dict[str, float]]:
    """What the worker found for each query: ids and scores of the best ``depth`` and of all that score like the last of them."""
    with path.open(encoding="ascii") as lines:
        for line in lines:
            if not line.strip():
                yield {}
                continue
            hits = np.fromstring(line.replace("],[", ","), np.float64, sep=",").reshape(-1, 3)
            kept = hits[hits[:, 1] >= hits[depth - 1, 1]] if len(hits) > depth else hits
            yield dict(zip(ids.at(kept[:, 0].astype(np.int64)), kept[:, 1].tolist(), strict=True))
