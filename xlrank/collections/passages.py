"""Passages by id from files far larger than memory: an index on disk of where each line starts, built once."""

import hashlib
import mmap
import shutil
import tarfile
from array import array
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.lines import byte_lines
from xlrank.errors import XlrankError
from xlrank.files import DAMAGE, cache_folder, content_key, file_record, open_packed, replacing

FORMAT = 1
"""Part of every index's name: raise it when the same file is to be indexed in another way."""


class PassageFile:
    """The lines ``id TAB text`` of a file, each found by its id without reading the others.

    The index is one array [2, lines]: the sorted 64-bit hashes of the ids, and the byte where each line starts (16 bytes a
    line, memory-mapped). It lies where ``index`` says, else in the cache under a name made of the file's identity, and is
    written whole or not at all.
    """

    def __init__(self, path: Path, index: Path | None = None) -> None:
        self.path = path
        self.index_path = index or _cache(path, "index", ".npy")
        self.index: NDArray[np.uint64] = self._load()

    def __len__(self) -> int:
        return int(self.index.shape[1])

    def get(self, id: str) -> str | None:
        """The text of an id; None where the file has no such line."""
        wanted, key = np.uint64(_hash(id.encode())), id.encode()
        place = int(np.searchsorted(self.index[0], wanted))
        while place < len(self) and self.index[0, place] == wanted:
            found, _, text = self._line(int(self.index[1, place])).partition(b"\t")
            if found == key:
                return text.decode("utf-8", "replace")
            place += 1
        return None

    def items(self) -> Iterator[tuple[str, str]]:
        """All ids with their texts, in the file's order."""
        for number in range(len(self)):
            yield self.item(number)

    def item(self, number: int) -> tuple[str, str]:
        """Id and text of one line, counted from 0 in the file's order."""
        id_, _, text = self._line(int(self._starts[number])).decode("utf-8", "replace").partition("\t")
        return id_, text

    @cached_property
    def _starts(self) -> NDArray[np.uint64]:
        return np.sort(self.index[1])

    @cached_property
    def _bytes(self) -> mmap.mmap:
        # A map has no position of its own, so that the worker processes of a data loader can share it.
        with self.path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def _line(self, start: int) -> bytes:
        end = self._bytes.find(b"\n", start)
        return self._bytes[start : end if end >= 0 else None].rstrip(b"\r")

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "index": self.index_path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _load(self) -> NDArray[np.uint64]:
        for _ in range(2):
            try:
                index: NDArray[np.uint64] = np.load(self.index_path, mmap_mode="r", allow_pickle=False)
                if index.dtype == np.uint64 and index.ndim == 2 and len(index) == 2:
                    return index
            except (OSError, ValueError, EOFError):
                pass  # not there yet, or damaged
            index = self._built()
            with replacing(self.index_path) as temporary, temporary.open("wb") as stream:
                np.save(stream, index)
            self._check_duplicates(index)
        return index

    def _built(self) -> NDArray[np.uint64]:
        hashes, starts = array("Q"), array("Q")
        start = number = 0
        try:
            with self.path.open("rb") as stream:
                for number, raw in byte_lines(stream, self.path):
                    if raw.strip():
                        id_, tab, _ = raw.decode("utf-8").partition("\t")
                        if not tab:
                            raise XlrankError(f"{self.path}, line {number}: no TAB; expected lines of id TAB text")
                        hashes.append(_hash(id_.encode()))
                        starts.append(start)
                    start += len(raw)
        except UnicodeDecodeError:
            raise XlrankError(f"{self.path}, line {number}: not UTF-8 text; convert the file first") from None
        except OSError as error:
            raise XlrankError(f"{self.path}: cannot be read ({error.strerror})") from None
        if not starts:
            raise XlrankError(f"{self.path}: is empty; expected lines of id TAB text")
        index = np.array([hashes, starts], np.uint64)
        return np.ascontiguousarray(index[:, np.argsort(index[0], kind="stable")])

    def _check_duplicates(self, index: NDArray[np.uint64]) -> None:
        for place in np.flatnonzero(index[0, 1:] == index[0, :-1]):
            first, second = (self._line(int(start)).partition(b"\t")[0] for start in index[1, place : place + 2])
            if first == second:
                self.index_path.unlink(missing_ok=True)
                raise XlrankError(f"{self.path}: the id {first.decode()!r} stands in the file twice; ids must be unique")


def unpacked(path: Path, members: str) -> Path:
    """A tab-separated file as it is; a packed one (``.tsv.gz``, ``.tar.gz``) as a file in the cache, unpacked there once.

    Args:
        path: the file.
        members: pattern of the names of an archive's files that are wanted; several are written one after the other.

    Raises:
        XlrankError: the file is missing or damaged, or the archive holds no such file.
    """
    if path.suffix == ".tsv":
        return path
    target = _cache(path, members, ".tsv")
    if not target.is_file():
        with replacing(target) as temporary:
            try:
                found = _unpack(path, members, temporary)
            except (*DAMAGE, tarfile.TarError) as error:
                raise XlrankError(f"{path}: cannot be unpacked ({error}); the file may be cut short or damaged") from None
            if not found:
                raise XlrankError(f"{path}: holds no file {members}")
    return target


def _unpack(path: Path, members: str, target: Path) -> int:
    """Write what is wanted to ``target``, and say how many files that was."""
    found = 0
    with target.open("wb") as output:
        if ".tar" not in path.suffixes:
            with open_packed(path) as stream:
                shutil.copyfileobj(stream, output)
            return 1
        # Read front to back, and only ever written to ``target``: an archive's names never become paths.
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                source = archive.extractfile(member) if fnmatch(Path(member.name).name, members) and member.isfile() else None
                if source is not None:
                    shutil.copyfileobj(source, output)
                    found += 1
                    if output.tell() and not _ends_with_newline(target, output):
                        output.write(b"\n")
    return found


def _ends_with_newline(path: Path, output: Any) -> bool:  # noqa: ANN401 - a binary stream
    output.flush()
    with path.open("rb") as written:
        written.seek(-1, 2)
        return written.read(1) == b"\n"


def _hash(id: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(id, digest_size=8).digest(), "little")


def _cache(path: Path, what: str, suffix: str) -> Path:
    key = content_key("passages", FORMAT, file_record(path), what)
    return cache_folder() / "passages" / f"{path.name.partition('.')[0]}-{key}{suffix}"
