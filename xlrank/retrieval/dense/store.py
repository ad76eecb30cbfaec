"""Vectors of a collection on disk: made shard by shard, so that an interrupted embedding goes on; whole once they are used.

An index is a folder: ``vectors.npy`` [documents, dimensions] in the documents' order; ``ids.txt``, a line each; ``ids.npy``
[2, documents] with the byte where each id starts and its place in the order of ids, -1 for documents without any text; and
``facts.json``.
"""

import mmap
import shutil
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import read_json, replacing, write_json
from xlrank.progress import Progress
from xlrank.retrieval.dense.encoders import Vectors
from xlrank.retrieval.dense.search import Stored
from xlrank.text import clean

FORMAT = 1
"""Part of every index's key: raise it when the same documents are to be embedded in another way."""

SHARD = 8192
"""Documents that are embedded and stored at a time: what an interruption can cost."""

VECTORS, IDS, PLACES, FACTS = "vectors.npy", "ids.txt", "ids.npy", "facts.json"
Storage = Literal["float32", "float16"]

WITHOUT_TEXT = "-"
"""Embedded in the place of a document without text, which is never found: models need not cope with nothing."""

Embed = Callable[[Sequence[str], Progress | None], Vectors]


@dataclass(frozen=True)
class VectorIndex:
    """An index that was opened.

    Attributes:
        path: its folder.
        facts: ``documents``, ``digest`` (of the documents), ``encoder``, ``storage``, ``dimensions``, ``largest`` (length of the
            longest vector), ``without_text``.
        vectors: [documents, dimensions], memory-mapped.
        places: each document's place in the order of ids; -1: without text, never found.
    """

    path: Path
    facts: Mapping[str, Any]
    vectors: Stored
    places: NDArray[np.int64]
    _starts: NDArray[np.int64]
    _ids: mmap.mmap

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """The ids of some documents by their numbers."""
        starts: list[int] = self._starts[rows].tolist()
        return [self._ids[start : self._ids.find(b"\n", start)].decode() for start in starts]

    def rows(self, ids: Iterable[str]) -> dict[str, int]:
        """The numbers of some documents by their ids; those without text are left out.

        Raises:
            XlrankError: one is not in the index.
        """
        without = np.flatnonzero(self.places < 0)
        order = np.argsort(self.places)[len(without) :]
        found = {}
        for wanted in ids:
            place = bisect_left(order, wanted, key=lambda row: self.ids(np.array([row]))[0])
            if place == len(order) or self.ids(order[place : place + 1])[0] != wanted:
                if wanted in self.ids(without):
                    continue
                raise XlrankError(f"{self.path}: holds no document {wanted!r}; it was made for other documents")
            found[wanted] = int(order[place])
        return found


def build(
    target: Path, documents: Sequence[Document], embed: Embed, facts: Mapping[str, Any], progress: Progress | None = None
) -> None:
    """Embed documents into the folder ``target``; the shards wait in ``target.part`` until it is whole.

    Raises:
        XlrankError: a vector holds what is no number or too large for the storage, or nothing can be written.
    """
    part = target.with_name(f"{target.name}.part{SHARD}")
    dtype = np.dtype(facts["storage"])
    shards = []
    for start in range(0, len(documents), SHARD):
        stop = min(start + SHARD, len(documents))
        shards.append(part / f"{start:012}.npy")
        if not _usable(shards[-1], stop - start, dtype):
            chosen = [documents[i] for i in range(start, stop)]
            vectors = embed([_text(document) for document in chosen], _shifted(progress, start, len(documents)))
            _save(shards[-1], _checked(vectors, [document.id for document in chosen], dtype))
        elif progress:
            progress(stop, len(documents))
    with replacing(target) as temporary:
        temporary.mkdir()
        dimensions, largest = _join(shards, len(documents), dtype, temporary / VECTORS)
        without = _write_ids(documents, temporary)
        more = {"format": FORMAT, "documents": len(documents), "dimensions": dimensions, "largest": largest}
        write_json(temporary / FACTS, {**more, "without_text": without, **facts})
    shutil.rmtree(part, ignore_errors=True)


def open_index(path: Path) -> VectorIndex:
    """Open an index; nothing is read but its facts.

    Raises:
        XlrankError: there is none, or it is damaged.
    """
    if not (path / FACTS).is_file():
        raise XlrankError(f"{path}: holds no dense index; build one with DenseRetriever(...).index(...)")
    facts = read_json(path / FACTS)
    try:
        count, dimensions, largest = facts["documents"], facts["dimensions"], float(facts["largest"])
        vectors = np.load(path / VECTORS, mmap_mode="r", allow_pickle=False)
        numbers = np.load(path / PLACES, mmap_mode="r", allow_pickle=False)
        with (path / IDS).open("rb") as stream:
            ids = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        whole = largest >= 0 and vectors.shape == (count, dimensions) and vectors.dtype == np.dtype(facts["storage"])
        whole = whole and numbers.shape == (2, count) and numbers.dtype == np.int64 and ids[-1:] == b"\n"
        whole = whole and 0 <= int(numbers[0].min()) <= int(numbers[0].max()) < len(ids)
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from None
    if not whole:
        raise _damaged(path, "its files do not belong together")
    return VectorIndex(path, facts, vectors, np.asarray(numbers[1]), numbers[0], ids)


def _damaged(path: Path, reason: str) -> XlrankError:
    return XlrankError(f"{path}: is damaged ({reason.splitlines()[0]}); delete the folder and index the documents again")


def _text(document: Document) -> str:
    return document.full_text if clean(document.full_text) else WITHOUT_TEXT


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    return (lambda done, _: progress(start + done, total)) if progress else None


def _checked(vectors: Vectors, ids: Sequence[str], dtype: np.dtype[Any]) -> Stored:
    with np.errstate(over="ignore"):
        stored: Stored = vectors.astype(dtype)
    bad = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    if len(bad):
        known = np.isfinite(vectors[bad[0]]).all()
        reason = "values too large for float16; store float32" if known else "what is no number; the model cannot be used"
        raise XlrankError(f"dense retrieval: the vector of document {ids[int(bad[0])]!r} holds {reason}")
    return stored


def _save(path: Path, vectors: Stored) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, vectors)


def _usable(path: Path, rows: int, dtype: np.dtype[Any]) -> bool:
    """Whether a shard of an earlier call can be used; what is damaged is made again."""
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    return bool(shard.ndim == 2 and len(shard) == rows and shard.dtype == dtype)


def _join(shards: Sequence[Path], count: int, dtype: np.dtype[Any], target: Path) -> tuple[int, float]:
    """Write all shards into one array; gives its dimensions and the length of its longest vector."""
    largest, dimensions = 0.0, int(np.load(shards[0], mmap_mode="r", allow_pickle=False).shape[1])
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count, dimensions)}
    # Written, not mapped: a disk that is full is an error here, and would be the end of the process there.
    with target.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for path in shards:
            shard = np.load(path, allow_pickle=False)
            largest = max(largest, float(np.linalg.norm(shard.astype(np.float32), axis=1).max()))
            stream.write(np.ascontiguousarray(shard).data)
    return dimensions, largest


def _write_ids(documents: Sequence[Document], folder: Path) -> int:
    """Write the ids and their places; gives the number of documents without text."""
    ids: list[str] = []
    starts, without, size = array("q"), array("q"), 0
    with (folder / IDS).open("wb") as stream:
        for number, document in enumerate(documents):
            ids.append(document.id)
            starts.append(size)
            size += stream.write(f"{document.id}\n".encode())
            if not clean(document.full_text):
                without.append(number)
    places = np.empty(len(ids), np.int64)
    places[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    places[np.array(without, np.int64)] = -1
    with (folder / PLACES).open("wb") as stream:
        np.save(stream, np.stack([np.array(starts, np.int64), places]))
    return len(without)
