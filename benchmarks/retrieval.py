"""The lexical engines, Lucene beside bm25s: speed and memory on 100,000 documents, and how far apart their rankings are.

With ``XLRANK_SHARED``: documents are lines of real text joined to 300 words, queries are NTREX-128 headlines with first
sentences. Without: invented words, as frequent as Zipf's law has them, and no comparison of rankings.
"""

import json
import lzma
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.timing import print_table
from xlrank.runs import Run

DOCUMENTS, WORDS, QUERIES = 100_000, 300, 984
SPEED_LANGUAGES, COMPARED = ("en", "tr"), ("en", "de", "it", "fi", "ru", "fa", "zh")
VOCABULARY, DEPTH, PERSISTENCE = 200_000, 1000, 0.9


def run() -> None:
    """Measure and print."""
    with TemporaryDirectory() as folder:
        for language in SPEED_LANGUAGES:
            write_data(Path(folder), language)
            found = {name: measured(name, language, folder) for name in ("bm25", "bm25s")}
            header = ["", "docs/s", "per CPU s", "queries/s", "per CPU s", "index MB", "MB indexing", "MB searching"]
            rows = [[name, *_row(facts)] for name, facts in found.items()]
            ratios = [found["bm25"][kind][i] / found["bm25s"][kind][i] for kind in ("documents", "queries") for i in range(2)]
            rows.append(["bm25 to bm25s", *(f"{ratio:.2f}" for ratio in ratios), "", "", ""])
            title = f"BM25 on {DOCUMENTS:,} documents of {WORDS} words ({language}), {QUERIES} queries at depth {DEPTH}"
            print_table(f"{title}; memory: Python + Java", header, rows)
    if "XLRANK_SHARED" in os.environ:
        header = ["", "MAP Lucene", "MAP bm25s", "same of first 10", "RBO", "analysis"]
        print_table("Rankings of both engines, NTREX-128, queries in the documents' language", header, list(differences()))


def write_data(folder: Path, language: str) -> None:
    """Write documents and queries for :mod:`benchmarks.lexical`."""
    with (folder / f"documents.{language}.tsv").open("w", encoding="utf-8") as stream:
        stream.writelines(text + "\n" for text in islice(texts(language), DOCUMENTS))
    asked = queries(language)
    lines = [asked[i % len(asked)] + "\n" for i in range(QUERIES)]
    (folder / f"queries.{language}.tsv").write_text("".join(lines), encoding="utf-8")


def texts(language: str) -> Iterator[str]:
    """Documents without end: all lines in order, then again shuffled, joined until there are enough words."""
    draw = random.Random(0)
    if "XLRANK_SHARED" in os.environ:
        with lzma.open(_data() / "text" / f"{language}.tsv.xz", "rt", encoding="utf-8") as stream:
            lines = [line.rstrip("\n").partition("\t")[2] for line in stream]
    else:
        lines = [_invented(draw, 20) for _ in range(DOCUMENTS)]
    words: list[str] = []
    while True:
        for line in lines:
            words += line.split()
            if len(words) >= WORDS:
                yield " ".join(words)
                words = []
        draw.shuffle(lines)


def queries(language: str) -> list[str]:
    """Headlines with first sentences, about 30 words."""
    if "XLRANK_SHARED" not in os.environ:
        draw = random.Random(1)
        return [_invented(draw, 30) for _ in range(QUERIES)]
    lines = (_data() / "ntrex-clir" / f"topics.{language}.tsv").read_text("utf-8").splitlines()
    return [" ".join(line.split("\t")[1:]) for line in lines]


def measured(name: str, language: str, folder: str) -> dict[str, Any]:
    """What :mod:`benchmarks.lexical` measures."""
    environment = {**os.environ, "XLRANK_CACHE": folder}
    command = [sys.executable, "-m", "benchmarks.lexical", name, language, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def differences() -> Iterator[list[str]]:
    """For each language: both engines' MAP, the share of the first ten that they have in common, and rank-biased overlap."""
    from xlrank.collections import Collection
    from xlrank.evaluation import evaluate
    from xlrank.evaluation.metrics import mean
    from xlrank.retrieval.bm25s import Bm25s
    from xlrank.retrieval.lucene import LuceneBM25

    collection = Collection(f"folder:{_data() / 'ntrex-clir'}")
    for language in COMPARED:
        runs, asked = [], {topic.id: topic.query() for topic in collection.topics(language)}
        engines = (LuceneBM25(language), Bm25s(language))
        with TemporaryDirectory() as folder:
            for engine in engines:
                runs.append(engine.search(engine.index(collection.documents(language), Path(folder)), asked, DEPTH))
        maps = [f"{mean(evaluate(found, collection.qrels(language))['map']):.3f}" for found in runs]
        yield [language, *maps, f"{overlap(*runs):.3f}", f"{rank_biased_overlap(*runs):.3f}", engines[1].analysis]


def overlap(one: Run, other: Run, depth: int = 10) -> float:
    """Mean share of the first documents that both runs have."""
    shares = []
    for topic, ranking in one.rankings.items():
        first, second = ({name for name, _ in r[:depth]} for r in (ranking, other.rankings.get(topic, ())))
        shares.append(len(first & second) / max(len(first), 1))
    return sum(shares) / len(shares)


def rank_biased_overlap(one: Run, other: Run, persistence: float = PERSISTENCE, depth: int = 100) -> float:
    """Mean RBO of two runs (Webber et al. 2010), extrapolated from the first ``depth`` documents."""
    values = []
    for topic, ranking in one.rankings.items():
        names = [[name for name, _ in r[:depth]] for r in (ranking, other.rankings.get(topic, ()))]
        agreements = [len({*names[0][:i]} & {*names[1][:i]}) / i for i in range(1, min(map(len, names)) + 1)]
        weighted = sum((1 - persistence) * persistence**i * agreement for i, agreement in enumerate(agreements))
        values.append(weighted + (agreements[-1] * persistence ** len(agreements) if agreements else 0.0))
    return sum(values) / len(values)


def _invented(draw: random.Random, words: int) -> str:
    return " ".join(f"w{int(VOCABULARY ** draw.random())}" for _ in range(words))


def _data() -> Path:
    return Path(os.environ["XLRANK_SHARED"]) / "data"


def _row(facts: dict[str, Any]) -> list[str]:
    speeds = [f"{value:,.0f}" for kind in ("documents", "queries") for value in facts[kind]]
    memory = [" + ".join(f"{value:.0f}" for value in facts[kind]) for kind in ("indexing MB", "peak MB")]
    return [*speeds, f"{facts['index MB']:.0f}", *memory]
