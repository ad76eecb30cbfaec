"""Writing an index in the format of the package bm25s, within little memory.

One pass over the documents counts terms and puts the counts into a file; when document frequencies and lengths are known, a
second pass over that file puts each count's score where its term's scores lie.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.records import Document
from xlrank.progress import Progress

CHUNK = 1 << 20
"""Terms counted at once."""
EVERY = 1000
"""Documents between two reports of progress."""

Counts = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Terms, documents and frequencies, a value a pair of term and document; sorted by term, then document."""


@dataclass
class _Tokens:
    """What the first pass finds."""

    vocabulary: dict[str, int] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def write_index(
    folder: Path,
    documents: Sequence[Document],
    analyze: Callable[[str], list[str]],
    settings: Mapping[str, Any],
    progress: Progress | None = None,
) -> None:
    """Write the index of all documents into the empty ``folder``, and their ids into its ``ids.txt``.

    Args:
        folder: where it goes.
        documents: read once, one by one.
        analyze: from a text to its terms.
        settings: ``k1`` and ``b``, and ``version`` of the package.
        progress: told how many documents are read.
    """
    counts = folder / "counts.bin"
    with counts.open("wb") as stream:
        tokens = _count(folder, stream, documents, analyze, progress)
    _score(folder, counts, tokens, settings["k1"], settings["b"])
    counts.unlink()
    (folder / "vocab.index.json").write_text(json.dumps({**tokens.vocabulary, "": len(tokens.vocabulary)}), encoding="utf-8")
    method = {"method": "lucene", "idf_method": "lucene", "delta": 0.5, "dtype": "float32", "int_dtype": "int32"}
    parameters = {**settings, **method, "num_docs": len(tokens.lengths), "backend": "numpy"}
    (folder / "params.index.json").write_text(json.dumps(parameters), encoding="utf-8")


def _count(
    folder: Path,
    stream: IO[bytes],
    documents: Sequence[Document],
    analyze: Callable[[str], list[str]],
    progress: Progress | None,
) -> _Tokens:
    tokens = _Tokens()
    vocabulary, pending, first = tokens.vocabulary, list[int](), 0

    def write() -> None:
        nonlocal first
        lengths = tokens.lengths[first:]
        owners = np.repeat(np.arange(first, first + len(lengths), dtype=np.int64), lengths)
        # One number for a pair of term and document, so that equal pairs are found by sorting.
        pairs, frequencies = np.unique(np.asarray(pending, np.int64) << 32 | owners, return_counts=True)
        for array in (pairs >> 32, pairs & 0xFFFFFFFF, frequencies):
            array.astype(np.int32).tofile(stream)
        tokens.sizes.append(len(pairs))
        first = len(tokens.lengths)
        pending.clear()

    with (folder / "ids.txt").open("w", encoding="utf-8", newline="\n") as ids:
        for number, document in enumerate(documents, 1):
            ids.write(document.id + "\n")
            terms = analyze(document.full_text)
            pending += [vocabulary.setdefault(term, len(vocabulary)) for term in terms]
            tokens.lengths.append(len(terms))
            if len(pending) >= CHUNK:
                write()
            if progress and (number % EVERY == 0 or number == len(documents)):
                progress(number, len(documents))
    write()
    return tokens


def _score(folder: Path, counts: Path, tokens: _Tokens, k1: float, b: float) -> None:
    """Lucene's variant (Kamphuis et al. 2020) with exact lengths, rounded where the package rounds."""
    lengths = np.asarray(tokens.lengths, np.float64)
    average = max(float(lengths.mean()), 1e-9)
    frequencies = np.zeros(len(tokens.vocabulary) + 1, np.int64)  # one more: the empty term that the package appends
    for terms, _, _ in _chunks(counts, tokens.sizes):
        frequencies[: len(tokens.vocabulary)] += np.bincount(terms, minlength=len(tokens.vocabulary))
    idf = np.log1p((len(lengths) - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(frequencies)])
    data, indices = (_mapped(folder / f"{name}.csc.index.npy", kind, int(indptr[-1])) for name, kind in _ARRAYS.items())
    place = indptr[:-1].copy()
    for terms, owners, counted in _chunks(counts, tokens.sizes):
        saturated = counted / (k1 * ((1 - b) + b * lengths[owners] / average) + counted)
        starts = np.flatnonzero(np.diff(terms, prepend=-1))
        here = place[terms] + np.arange(len(terms)) - np.repeat(starts, np.diff(starts, append=len(terms)))
        data[here], indices[here] = idf[terms] * saturated, owners
        np.add.at(place, terms[starts], np.diff(starts, append=len(terms)))
    for array in (data, indices):
        if isinstance(array, np.memmap):
            array.flush()
    np.save(folder / "indptr.csc.index.npy", indptr[:-1], allow_pickle=False)


_ARRAYS: Mapping[str, type[np.generic]] = {"data": np.float32, "indices": np.int32}


def _mapped(path: Path, kind: type[np.generic], size: int) -> NDArray[Any]:
    if size:
        return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=(size,))
    empty = np.empty(0, kind)  # which cannot be mapped
    np.save(path, empty, allow_pickle=False)
    return empty


def _chunks(path: Path, sizes: Sequence[int]) -> Iterator[Counts]:
    with path.open("rb") as stream:
        for size in sizes:
            yield tuple(np.fromfile(stream, np.int32, size) for _ in range(3))  # type: ignore[misc]
