"""How to make words match in languages without a stemmer: known-item search with every kind of analysis.

A query is a news headline, and the one document to be found is the first sentence of the same article, among 20,000 lines of
other text in that language. Needs ``XLRANK_SHARED`` (NTREX-128 topics and plain text).
"""

import lzma
import os
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.timing import print_table
from xlrank.collections.records import Document
from xlrank.retrieval.bm25s import Bm25s
from xlrank.retrieval.light import has_light_stemmer

LANGUAGES = ("ky", "ug", "sw", "so", "tr")
"""Those to decide for, and Turkish, which has a stemmer to compare with."""
KINDS = ("words", "light", "prefix", "ngrams", "pieces")
DISTRACTORS, DEPTH, SEED = 20_000, 1000, 0


def run() -> None:
    """Measure and print."""
    if "XLRANK_SHARED" not in os.environ:
        print("analysis: skipped, XLRANK_SHARED does not name a folder with data/ntrex-clir and data/text")
        return
    for language in LANGUAGES:
        kinds = [kind for kind in KINDS if kind != "light" or has_light_stemmer(language)]
        ranks = {kind: known_item_ranks(language, kind) for kind in [*kinds, *(["snowball"] if language == "tr" else [])]}
        rows = [[kind, *figures(found), *against(found, ranks["words"])] for kind, found in ranks.items()]
        header = ["", "MRR", "recall@10", "better than words", "worse"]
        print_table(f"Known-item search in {language}: {len(ranks['words'])} queries", header, rows)


def known_item_ranks(language: str, kind: str) -> list[float]:
    """The rank of each topic's own description; infinite where it is not found."""
    data = Path(os.environ["XLRANK_SHARED"]) / "data"
    topics = [line.split("\t") for line in (data / "ntrex-clir" / f"topics.{language}.tsv").read_text("utf-8").splitlines()]
    documents = [Document(topic, description) for topic, _, description in topics]
    documents += [Document(f"x{i}", text) for i, text in enumerate(distractors(data / "text" / f"{language}.tsv.xz"))]
    engine = Bm25s(language, analysis=kind)
    with TemporaryDirectory() as folder:
        found = engine.search(engine.index(documents, Path(folder)), {topic: title for topic, title, _ in topics}, DEPTH)
    ranks = []
    for topic, *_ in topics:
        names = [document for document, _ in found.rankings.get(topic, ())]
        ranks.append(names.index(topic) + 1.0 if topic in names else float("inf"))
    return ranks


def distractors(path: Path) -> Iterator[str]:
    """Lines of a file of ``source <TAB> line``, drawn at random."""
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        lines = [line.rstrip("\n").partition("\t")[2] for line in stream]
    yield from random.Random(SEED).sample(lines, min(DISTRACTORS, len(lines)))


def figures(ranks: list[float]) -> list[str]:
    """Mean reciprocal rank and recall at 10."""
    return [f"{sum(1 / rank for rank in ranks) / len(ranks):.3f}", f"{sum(rank <= 10 for rank in ranks) / len(ranks):.3f}"]


def against(ranks: list[float], others: list[float]) -> list[str]:
    """For how many queries the known item stands higher, and for how many lower."""
    pairs = list(zip(ranks, others, strict=True))
    return [str(sum(one < other for one, other in pairs)), str(sum(one > other for one, other in pairs))]
