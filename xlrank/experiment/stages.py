"""The stages of an evaluation as cached runs: a run file is re-used while nothing that it depends on has changed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import xlrank
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.composition import Composition
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key
from xlrank.precision import Precision, resolve_precision
from xlrank.ranking import Journal, Progress, Ranker
from xlrank.retrieval.dense import DenseRetriever
from xlrank.retrieval.lucene import LuceneBM25
from xlrank.runs import Run

RETRIEVED = 1000
"""Documents that a first stage returns for a topic."""

StageProgress = Callable[[str], Progress]
"""Called with a stage's description; gives the function to report its progress to."""


@dataclass
class Stages:
    """Computes the runs of one collection and document language into ``out/runs``, or takes them from there.

    Attributes:
        collection: topics, documents, judgements.
        document_language: of the documents searched.
        base: the encoder of dense retrieval and of every ranker.
        out: results folder.
        fields: query fields.
        depth: candidates a ranker re-orders for each topic.
        precision: of the rankers.
        progress: told what goes on.
        reference: whether rankers repeat the original code's quirks.
    """

    collection: Collection
    document_language: str
    base: Base
    out: Path
    fields: str
    depth: int
    precision: Precision
    progress: StageProgress
    reference: bool = False

    def __post_init__(self) -> None:
        # Compositions that do not change with the query's language are re-used; the others may go, they take memory.
        settings = {"precision": self.precision, "reference": self.reference}
        self._ranker = lru_cache(maxsize=4)(lambda composition: Ranker(self.base, composition, **settings))  # type: ignore[arg-type]

    @cached_property
    def _texts(self) -> str:
        return self.collection.documents(self.document_language).digest

    def first_stage(self, name: str, language: str) -> Run:
        """The run of ``bm25`` or ``dense`` for one query language."""
        translated = name == "bm25"
        topics = (
            self.collection.search_topics(language, self.document_language) if translated else self.collection.topics(language)
        )
        queries = {topic.id: topic.query(self.fields) for topic in topics}
        settings: list[Any] = [name, self._texts, queries, RETRIEVED]
        if name == "dense":
            settings.append([self.base.fingerprint, resolve_precision("auto")])
        make = self._dense if name == "dense" else self._bm25
        return self._cached(name, language, settings, lambda _key: make(queries))

    def reranked(self, name: str, language: str, composition: Composition, candidates: Run) -> Run:
        """The candidates re-ordered by a composed ranker; an interrupted call continues from its journal."""
        digests = [(str(composition), leaf.loaded().digest) for leaf in composition.leaves()]
        queries = {topic.id: topic.query(self.fields) for topic in self.collection.topics(language)}
        settings = [
            self.base.fingerprint,
            digests,
            queries,
            self._texts,
            self.depth,
            resolve_precision(self.precision),
            candidates.scores(),
            *(["reference"] if self.reference else []),
        ]

        def make(key: str) -> Run:
            ranker = self._ranker(composition)
            journal = Journal(self._journal_path(key))
            resumed = bool(journal.done)
            run = ranker.rerank(
                candidates,
                self.collection,
                query_language=language,
                document_language=self.document_language,
                fields=self.fields,
                depth=self.depth,
                journal=journal,
                progress=self.progress(f"{language}-{self.document_language} {name}"),
            )
            return Run(run.name, run.rankings, {"resumed": resumed})

        return self._cached(name, language, settings, make)

    def run_path(self, name: str, language: str) -> Path:
        """Where a system's run is kept."""
        safe = "".join(character if character.isalnum() or character in "-+.~" else "_" for character in name)
        return self.out / "runs" / f"{language}-{self.document_language}.{safe}.trec"

    def _journal_path(self, key: str) -> Path:
        return self.out / ".journal" / f"{key}.jsonl"

    def _dense(self, queries: Mapping[str, str]) -> Run:
        documents = self.collection.documents(self.document_language)
        retriever = DenseRetriever(self.base)
        index = retriever.index(
            documents, cache_folder() / "indexes", self.progress(f"{self.document_language} embedding documents")
        )
        return retriever.search(index, documents, queries, RETRIEVED)

    def _bm25(self, queries: Mapping[str, str]) -> Run:
        done = self.progress(f"{self.document_language} BM25 (Lucene)")
        lucene = LuceneBM25(self.document_language)
        index = lucene.index(self.collection.documents(self.document_language), cache_folder() / "indexes")
        run = lucene.search(index, queries, RETRIEVED)
        done(len(queries), len(queries))
        return run

    def _cached(self, name: str, language: str, settings: list[Any], make: Callable[[str], Run]) -> Run:
        path = self.run_path(name, language)
        key = content_key(xlrank.__version__, settings)
        if path.is_file():
            try:
                old = Run.read(path)
            except XlrankError:
                old = None  # a damaged file is made anew
            if old is not None and old.metadata.get("key") == key:
                return old
        started = time.monotonic()
        run = make(key)
        metadata = {
            "key": key,
            "seconds": round(time.monotonic() - started, 2),
            "platform.software": f"xlrank {xlrank.__version__}",
            "data.test_collection": f"{self.collection.id} {language}-{self.document_language}",
            "method": name,
            "precision": resolve_precision(self.precision),
            "depth": self.depth,
            "fields": self.fields,
            "reference": self.reference,
        }
        run = Run(name, run.rankings, {**run.metadata, **metadata})
        run.write(path)
        self._journal_path(key).unlink(missing_ok=True)
        return run
