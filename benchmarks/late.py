"""Late interaction: re-ordering beside the cross-encoder, MaxSim beside its matrix product, making and storing document vectors.

``python -m benchmarks.late [RANKING [NARROW …]]``: modules for late interaction, by default the shipped one; NARROW are others
with a projection (``dim``), compared in what they store and lose, by default RANKING itself with its token vectors projected to
the principal directions of those of German documents.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch.nn.functional import normalize

from benchmarks.modules import make, sizes
from benchmarks.timing import Times, print_table, take_turns
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.composition import Composition, as_composition, late
from xlrank.evaluation.metrics import evaluate, mean
from xlrank.modules import Module
from xlrank.modules.kinds.head.late import PROJECTION, LateSettings, principal_directions
from xlrank.modules.module import LATE
from xlrank.precision import resolve_precision
from xlrank.ranking.interaction import Storage
from xlrank.ranking.late import LateInteraction
from xlrank.ranking.maxsim import late_scores
from xlrank.ranking.ranker import Ranker
from xlrank.ranking.store import TokenStore
from xlrank.ranking.vectors import TextVectors, TokenVectors, starts_of
from xlrank.retrieval.dense.encoders import MeanPooledEncoder
from xlrank.runs import Run

CROSS = "split(mlm/ky,mlm/en)+cross"
TOPICS, DEPTH, CROSS_DEPTH = 8, 100, 2
TEXTS, ROUNDS = 16, 5
QUERY_TOKENS, DOCUMENT_TOKENS, MANY = 40, 120, 200
LANGUAGES = ("ky", "ug", "tr", "sw", "so")
NARROW = (128, 64)


def run(names: Sequence[str] = ()) -> None:
    """Measure and print; document vectors are made in a cache of their own."""
    base, precision = Base(), resolve_precision("auto")
    rank, *narrow = [Module.load(name) for name in names or ["ranking/en"]]
    kept = os.environ.get("XLRANK_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XLRANK_CACHE"] = folder
        try:
            title = f"Re-ordering documents of mini (ky-en) in {precision}, document vectors stored (in turn)"
            print_table(title, ["", "pairs/s", f"ms a query of {DEPTH}", "to the cross-encoder"], reordering(base, rank))
            title = f"{QUERY_TOKENS} query tokens, {DEPTH} documents of about {DOCUMENT_TOKENS} (in turn)"
            print_table(title, ["", "ms", "time to the product"], products(Path(folder), sizes(base)[0]))
            title = f"Vectors of {TEXTS} documents of mini in {precision} (in turn)"
            print_table(title, ["", "documents/s", "tokens/s", "time to the plain encoder"], encoding(base, rank))
            title = f"Search in all {len(Collection('mini').documents('en'))} English documents of mini: MAP"
            header = ["", "bytes a document", *LANGUAGES]
            print_table(title, header, list(storing(base, [rank, *(narrow or [projected(base, rank, dim) for dim in NARROW])])))
        finally:
            os.environ.pop("XLRANK_CACHE")
            os.environ |= {} if kept is None else {"XLRANK_CACHE": kept}


def projected(base: Base, rank: Module, dim: int) -> Module:
    """A ranking module with a projection found without training, from documents in another language than those searched."""
    texts = [document.full_text for document in Collection("mini").documents("de")]
    vectors = TextVectors(base, "document", resolve_precision("auto")).all(texts, [as_composition(rank)] * len(texts)).vectors
    tensors = dict(rank.tensors) | {PROJECTION: principal_directions(vectors.T.double() @ vectors.double(), dim).float()}
    config = dict(rank.config) | {LATE: {**LateSettings.of(rank).as_dict(), "dim": dim}}
    return make(base, tensors, rank.kind, f"{rank.name}, {dim} dimensions", role="ranking", language="en", config=config)


def reordering(base: Base, rank: Module) -> list[list[str]]:
    """Late interaction on the first hundred documents of some topics and of one, the cross-encoder on the first few."""
    collection = Collection("mini/ky-en")
    ids, topics = collection.documents().ids, [topic.id for topic in collection.topics()[:TOPICS]]
    several = Run.of("any", {topic: {ids[i + j]: -float(j) for j in range(DEPTH)} for i, topic in enumerate(topics)})
    one = Run.of("one", {topics[0]: dict(several.rankings[topics[0]])})
    cases = {
        CROSS: (CROSS, several, CROSS_DEPTH),
        "late()": (late(), several, DEPTH),
        "late ranking module": (rank, several, DEPTH),
        "  one topic at a time": (rank, one, DEPTH),
    }
    ways = {}
    for name, (composition, candidates, depth) in cases.items():
        ranker = Ranker(base, as_composition(composition))
        ways[name] = lambda r=ranker, c=candidates, d=depth: r.rerank(c, collection, depth=d)
    times = take_turns(ways, ROUNDS)
    pairs = {name: len(candidates.rankings) * depth for name, (_, candidates, depth) in cases.items()}
    rows = []
    for name, taken in times.items():
        rate, faster = pairs[name] / taken.best, pairs[name] / pairs[CROSS] / taken.ratio(times[CROSS])
        rows.append([name, f"{rate:,.1f}", f"{1000 * DEPTH / rate:,.1f}", f"{faster:.1f}"])
    return rows


def products(folder: Path, hidden: int) -> list[list[str]]:
    """MaxSim from both kinds of stores, with and without reading them, and the product of the same vectors in float32."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(DOCUMENT_TOKENS // 2, DOCUMENT_TOKENS * 3 // 2, (MANY,), generator=draw).tolist()
    documents, query = _random_texts(lengths, hidden, draw), _random_texts([QUERY_TOKENS], hidden, draw)
    ids = [str(i) for i in range(MANY)]
    asked, settings = [ids[i] for i in torch.randperm(MANY, generator=draw)[:DEPTH].tolist()], LateSettings()
    exact, turned = documents.chosen([int(id_) for id_ in asked]).vectors, query.vectors.T.contiguous()
    ways: dict[str, Callable[[], object]] = {"matrix product, float32": lambda: exact @ turned}
    for storage in get_args(Storage):
        store = TokenStore(folder / storage, {"storage": storage})
        store.add(ids, lambda _: iter([(list(range(MANY)), documents)]))
        found = store.read(asked)
        ways[f"MaxSim, {storage}"] = lambda found=found: late_scores(query, found, settings)
        ways[f"  read as well, {storage}"] = lambda store=store: late_scores(query, store.read(asked), settings)
    times = take_turns(ways, 15, 3)
    return [[name, f"{1000 * taken.best:.2f}", _ratio(taken, times)] for name, taken in times.items()]


def encoding(base: Base, rank: Module) -> list[list[str]]:
    """The base's own pooled vectors, and token vectors without and with a ranking module."""
    texts = [document.full_text for document in Collection("mini").documents("en")[:TEXTS]]
    plain = MeanPooledEncoder(base)
    ways: dict[str, Callable[[], object]] = {"plain encoder": lambda: plain.encode(texts, "document")}
    for name, composition in {"late()": late(), "late ranking module": as_composition(rank)}.items():
        maker = TextVectors(base, "document", resolve_precision("auto"))
        ways[name] = lambda m=maker, c=composition: list(m.batches(texts, [c] * len(texts)))
        tokens = sum(len(text.ids) for text in maker.encode(texts, composition))
    times = take_turns(ways, ROUNDS)
    rates = {name: (TEXTS / taken.best, tokens / taken.best) for name, taken in times.items()}
    return [[name, *(f"{rate:,.1f}" for rate in rates[name]), _ratio(taken, times)] for name, taken in times.items()]


def storing(base: Base, compositions: Sequence[Composition | Module]) -> Iterator[list[str]]:
    """What documents take on disk, and what is lost: each composition, each way to store."""
    collection = Collection("mini")
    for composition in map(as_composition, compositions):
        for storage in get_args(Storage):
            engine = LateInteraction(base, resolve_precision("auto"), storage=storage)
            cells, documents = [], collection.documents("en")
            for language in LANGUAGES:
                queries = {topic.id: topic.query() for topic in collection.topics(language)}
                ids, scores = engine.search(list(queries.values()), documents, composition)
                found = {topic: dict(zip(ids, row.tolist(), strict=True)) for topic, row in zip(queries, scores, strict=True)}
                cells.append(f"{mean(evaluate(Run.of('late', found), collection.qrels('en'), ['map'])['map']):.4f}")
            store = engine.store(documents, composition)
            yield [f"{composition}, {storage}", f"{store.bytes / len(store):,.0f}", *cells]


def _random_texts(lengths: Sequence[int], hidden: int, draw: torch.Generator) -> TokenVectors:
    vectors, pooled = (normalize(torch.randn(n, hidden, generator=draw), dim=-1) for n in (sum(lengths), len(lengths)))
    return TokenVectors(vectors, starts_of(np.array(lengths)), pooled)


def _ratio(taken: Times, times: Mapping[str, Times]) -> str:
    """To the first."""
    return f"{taken.ratio(next(iter(times.values()))):.2f}"


if __name__ == "__main__":
    run(sys.argv[1:])
