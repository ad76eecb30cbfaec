"""Indexes on disk: built by one process at a time, and document ids by internal number."""

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xlrank.files import unwritable

SCANNED = 1 << 24
"""Bytes searched for line ends at a time."""


@contextmanager
def build_lock(index: Path) -> Iterator[int]:
    """Hold the right to build ``index``, waiting for a process that has it; yields the open lock file's number.

    The system lets go of the lock when the last process that has the file open ends, however it ends.

    Raises:
        XlrankError: the folder cannot be written.
    """
    path = index.parent / f".{index.name}.lock"
    number = _lock(path)
    try:
        yield number
    finally:
        path.unlink(missing_ok=True)
        os.close(number)


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(number, fcntl.LOCK_EX)
            # Whoever had it before has removed the file: then this lock is of a file that nobody else will open.
            if path.exists() and os.path.samestat(os.fstat(number), path.stat()):
                return number
            os.close(number)
    except OSError as error:
        raise unwritable(path.parent, error) from None


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
