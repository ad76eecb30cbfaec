"""Indexes on disk: document ids by internal number."""

import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCANNED = 1 << 24
"""Bytes searched for line ends at a time."""


class DocumentIds:
    """Ids by internal number, in a file with one a line, which stays on disk.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        self._starts = np.concatenate([[0], _line_ends(path) + 1])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def at(self, numbers: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """The ids of documents by their internal numbers."""
        places, buffer = np.asarray(numbers, np.int64), self._bytes
        starts, ends = self._starts[places].tolist(), (self._starts[places + 1] - 1).tolist()
        return [buffer[start:end].decode() for start, end in zip(starts, ends, strict=True)]


def _line_ends(path: Path) -> NDArray[np.int64]:
    found, start = [np.empty(0, np.int64)], 0
    with path.open("rb") as stream:
        while block := stream.read(SCANNED):
            found.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + start)
            start += len(block)
    return np.concatenate(found)
