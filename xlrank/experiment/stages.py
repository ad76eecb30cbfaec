"""The stages of an experiment as cached runs: a run file is re-used while nothing that it depends on has changed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import xlrank
from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.identity import identity_of
from xlrank.errors import XlrankError
from xlrank.experiment.cost import costs_of, joint_cost, measured, query_latency, summary
from xlrank.experiment.pairs import LanguagePair
from xlrank.files import build_lock, content_key
from xlrank.precision import Precision, resolve_precision
from xlrank.progress import StageProgress
from xlrank.ranking import Journal, Ranker
from xlrank.retrieval.first_stage import CompoundStage, FirstStage
from xlrank.retrieval.fusion import fuse
from xlrank.runs import Run

LONGEST_NAME = 120
"""Bytes of a system's name in a file's name; systems take 255 for the whole, and expressions may be longer."""


@dataclass
class Stages:
    """Computes runs into ``out/runs``, or takes them from there.

    Several processes may work on one folder: each run is made by one of them, the others wait for it.

    Attributes:
        base: the encoder of dense retrieval and of every ranker.
        out: results folder.
        depth: candidates a ranker re-orders for each topic.
        precision: of the rankers.
        progress: told what goes on.
        reference: whether rankers repeat the original code's quirks.
        latency_topics: topics that are ranked one by one to measure milliseconds a query.
        max_length: word pieces that rankers cut their input to; None: what their checkpoints state.
    """

    base: Base
    out: Path
    depth: int
    precision: Precision
    progress: StageProgress
    reference: bool = False
    latency_topics: int = 0
    max_length: int | None = None

    def __post_init__(self) -> None:
        # Compositions that do not change with the query's language are re-used; the others may go, they take memory.
        settings = {"precision": self.precision, "reference": self.reference, "max_length": self.max_length}
        self._ranker = lru_cache(maxsize=4)(lambda composition: Ranker(self.base, composition, **settings))  # type: ignore[arg-type]
        self._search = lru_cache(maxsize=1)(lambda pair: pair.search(self.base, self.progress))
        self._held: dict[Path, Run] = {}

    def retrieved(self, name: str, stage: FirstStage, pair: LanguagePair) -> Run:
        """The run of a first stage; one made of others takes their runs from here too, and costs what they cost as well."""
        search = self._search(pair)

        def make(_key: str) -> Run:
            if not isinstance(stage, CompoundStage):
                return stage.run(search)
            parts = [self.retrieved(str(part), part, pair) for part in stage.parts]
            return _made_of(parts, lambda: stage.combine(parts, search))

        return self._cached(name, pair, [stage.identity(search)], make)

    def reranked(self, name: str, composition: Composition, candidates: Run, pair: LanguagePair, depth: int | None = None) -> Run:
        """The candidates re-ordered by a composed ranker, those of each topic's first ``depth`` (default: the experiment's).

        An interrupted call continues from its journal.
        """
        depth = depth or self.depth
        found = candidates.top(depth)
        documents = pair.collection.documents(pair.document)
        settings = [
            self.base.fingerprint,
            [str(composition), identity_of(composition)],
            pair.ranked_queries,
            documents.digest,
            depth,
            resolve_precision(self.precision),
            candidates.scores(),
            *(["reference"] if self.reference else []),
            *self._lengths(),
        ]

        def make(key: str) -> Run:
            ranker = self._ranker(composition)
            journal = Journal(self._journal_path(key))
            resumed = bool(journal.done)
            with measured() as meter:
                with self.progress(f"{pair} {name}") as told:
                    run = ranker.rerank(
                        candidates,
                        pair.collection,
                        query_language=pair.ranked_language,
                        document_language=pair.document,
                        queries=pair.ranked_queries,
                        depth=depth,
                        journal=journal,
                        progress=told,
                    )
            costs = {
                **costs_of(meter),  # of the ranking alone, without the topics that are ranked once more for their latency
                "pairs": sum(map(len, found.rankings.values())),
                "resumed": resumed,
                "ms_per_query": self._latency(ranker, found, pair, depth),
            }
            more = {"cost": costs, "candidates": str(candidates.metadata.get("key", candidates.name))}
            return Run(run.name, run.rankings, {**run.metadata, **more})

        return self._cached(name, pair, settings, make, depth)

    def fused(self, name: str, runs: Mapping[str, Run], pair: LanguagePair) -> Run:
        """An ensemble by the average of ranks, over the documents that any of the runs has (the paper's ENS)."""
        keys = [run.metadata.get("key") or run.scores() for run in runs.values()]
        members = list(runs.values())
        return self._cached(name, pair, ["ensemble", keys], lambda _key: _made_of(members, lambda: fuse(members, "mean-rank")))

    def ranker(self, composition: Composition) -> Ranker:
        """The ranker of a composition, the one that :meth:`reranked` used if it is still at hand."""
        return self._ranker(composition)

    def run_path(self, name: str, pair: LanguagePair) -> Path:
        """Where a system's run is kept."""
        safe = "".join(character if character.isalnum() or character in "-+.~" else "_" for character in name)
        if len(safe.encode()) > LONGEST_NAME:
            safe = f"{safe.encode()[: LONGEST_NAME - 20].decode(errors='ignore')}~{content_key(name)}"
        return self.out / "runs" / pair.folder / f"{pair.query}-{pair.document}.{safe}.trec"

    def _lengths(self) -> list[Any]:
        """What decides where texts are cut, apart from the modules; nothing where only the base's positions do."""
        if self.max_length is not None:
            return ["max_length", self.max_length]
        return [] if self.base.max_length == self.base.positions else ["stated", self.base.max_length]

    def _latency(self, ranker: Ranker, candidates: Run, pair: LanguagePair, depth: int) -> dict[str, float] | None:
        """Milliseconds to re-order one topic's candidates: warm, one topic at a time."""
        topics = list(candidates.rankings)[: self.latency_topics + 1]
        if not self.latency_topics or len(topics) < 2:
            return None
        again = partial(
            ranker.rerank,
            collection=pair.collection,
            query_language=pair.ranked_language,
            document_language=pair.document,
            queries=pair.ranked_queries,
            depth=depth,
            progress=lambda _done, _total: None,
        )
        found = [query_latency(partial(again, candidates.only([topic]))) for topic in topics]
        return summary(found[1:])  # the first one warms up

    def _journal_path(self, key: str) -> Path:
        return self.out / ".journal" / f"{key}.jsonl"

    def _cached(
        self, name: str, pair: LanguagePair, settings: list[Any], make: Callable[[str], Run], depth: int | None = None
    ) -> Run:
        path = self.run_path(name, pair)
        key = content_key(xlrank.__version__, settings)
        with build_lock(path):
            held = self._held.get(path) or _read(path)
            if held is None or held.metadata.get("key") != key:
                held = self._made(name, pair, key, make, depth or self.depth)
                held.write(path)
                self._journal_path(key).unlink(missing_ok=True)
        self._held[path] = held
        return held

    def _made(self, name: str, pair: LanguagePair, key: str, make: Callable[[str], Run], depth: int) -> Run:
        started = time.time()
        with measured() as meter:
            run = make(key)
        metadata = {
            "key": key,
            "cost": costs_of(meter) | run.metadata.get("cost", {}),
            "platform.software": f"xlrank {xlrank.__version__}",
            "data.test_collection": str(pair),
            "method": name,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "precision": resolve_precision(self.precision),
            "depth": depth,
            "fields": pair.fields,
            "reference": self.reference,
            **({"max_length": self.max_length} if self.max_length else {}),
        }
        return Run(name, run.rankings, {**run.metadata, **metadata})


def _made_of(parts: Sequence[Run], combine: Callable[[], Run]) -> Run:
    """A run made of others: what they cost is part of its cost."""
    with measured() as meter:
        run = combine()
    costs = {str(part.metadata.get("key", number)): part.metadata.get("cost", {}) for number, part in enumerate(parts)}
    return Run(run.name, run.rankings, {**run.metadata, "cost": joint_cost(meter, costs)})


def _read(path: Path) -> Run | None:
    """A run that is there and whole; a damaged one is made anew."""
    if not path.is_file():
        return None
    try:
        return Run.read(path)
    except XlrankError:
        return None
