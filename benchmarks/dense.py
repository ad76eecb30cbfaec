"""Dense retrieval: documents embedded a second, and queries searched a second among 100,000 vectors, beside named peers.

``python -m benchmarks.dense WAY FOLDER`` searches once in a process of its own, so that its peak memory is its own: prints MB.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.phase import forget_peak, megabytes
from benchmarks.timing import print_table, take_turns
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.precision import resolve_precision
from xlrank.retrieval.dense import DenseRetriever, SentenceEncoder, nearest

VECTORS, DIMENSIONS, QUERIES, DEPTH = 100_000, 384, 128, 1000
TEXTS, LENGTH = 64, 256


def run() -> None:
    """Measure and print."""
    title = f"Embedding {TEXTS} documents of mini, xlrank/e5-small in {resolve_precision('auto')}, {LENGTH} word pieces (in turn)"
    print_table(title, ["", "documents/s", "time to ours"], _embedding())
    title = f"The nearest {DEPTH:,} of {VECTORS:,} x {DIMENSIONS}, {QUERIES} queries (in turn; memory in fresh processes)"
    print_table(title, ["", "queries/s", "time to ours", "peak MB"], _search())


def _embedding() -> list[list[str]]:
    base = Base()
    texts = [document.full_text for document in Collection("mini/ky-en").documents()[:TEXTS]]
    ours = DenseRetriever(base, max_length=LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        theirs = _sentence_transformer(base, folder)
    ways: dict[str, Callable[[], object]] = {
        "xlrank": lambda: ours.embed(texts, side="document"),
        "sentence-transformers, its own batches": lambda: theirs.encode(texts, prompt="passage: "),
    }
    times = take_turns(ways, rounds=5)
    return [[way, f"{len(texts) / taken.best:.1f}", f"{taken.ratio(times['xlrank']):.2f}"] for way, taken in times.items()]


def _sentence_transformer(base: Base, folder: str) -> Any:  # noqa: ANN401 - a SentenceTransformer
    """The embedded encoder as a model of that library."""
    base.encoder.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return SentenceEncoder(folder, max_length=LENGTH)._model


def _search() -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        vectors = np.random.default_rng(0).standard_normal((VECTORS, DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.save(Path(folder, "float32.npy"), vectors)
        np.save(Path(folder, "float16.npy"), vectors.astype(np.float16))
        times = take_turns({way: search(Path(folder)) for way, search in WAYS.items()}, rounds=5)
        peaks = {way: _peak(way, folder) for way in WAYS}
    first = next(iter(times.values()))
    rows = [[way, f"{QUERIES / taken.best:.0f}", f"{taken.ratio(first):.2f}", peaks[way]] for way, taken in times.items()]
    return [*rows, ["the float32 vectors' own bytes", "", "", f"{vectors.nbytes / 1e6:.0f}"]]


def _peak(way: str, folder: str) -> str:
    command = [sys.executable, "-m", "benchmarks.dense", way, folder]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


def _queries() -> np.ndarray:
    queries = np.random.default_rng(1).standard_normal((QUERIES, DIMENSIONS), np.float32)
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def _ours(folder: Path, storage: str) -> Callable[[], object]:
    queries, vectors = _queries(), np.load(folder / f"{storage}.npy", mmap_mode="r")
    return lambda: list(nearest(queries, vectors, DEPTH, largest=1.0))


def _full_sort(folder: Path) -> Callable[[], object]:
    queries, vectors = _queries(), np.load(folder / "float32.npy")
    return lambda: np.argsort(-(queries @ vectors.T), axis=1)[:, :DEPTH]


def _semantic_search(folder: Path) -> Callable[[], object]:
    from sentence_transformers import util

    queries, vectors = torch.from_numpy(_queries()), torch.from_numpy(np.load(folder / "float32.npy"))
    return lambda: util.semantic_search(queries, vectors, top_k=DEPTH, score_function=util.dot_score)


WAYS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "xlrank, float32 mapped": lambda folder: _ours(folder, "float32"),
    "xlrank, float16 mapped": lambda folder: _ours(folder, "float16"),
    "numpy, all similarities sorted": _full_sort,
    "sentence_transformers.util.semantic_search": _semantic_search,
}


if __name__ == "__main__":
    torch.set_num_threads(2)
    import sentence_transformers  # noqa: F401 - for all ways, so that memory before the search is alike

    forget_peak()
    at_rest = megabytes("VmRSS")
    WAYS[sys.argv[1]](Path(sys.argv[2]))()
    print(f"{megabytes('VmHWM') - at_rest:.0f}")
