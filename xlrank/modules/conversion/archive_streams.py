"""Streams that hand out foreign bytes in small pieces only, so that no declared size can ask for memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

CHUNK = 1 << 14
"""Bytes read at once. No header of a tar member may be longer either: tarfile reads each at one go, and searches it slowly."""
MAX_DIRECTORY = 8 << 20
"""Bytes of a zip file's directory, which zipfile reads at one go."""
XZ_MEMORY = 160 << 20
"""Bytes that decompressing xz may take (``xz -9`` needs 65 MB)."""


class CarefulFile(io.BufferedReader):
    """A file that refuses to read much at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))

    def read(self, size: int | None = -1, /) -> bytes:
        """At most ``size`` bytes.

        Raises:
            ValueError: that is more than anything sound asks for.
        """
        wanted = MAX_DIRECTORY + 1 if size is None or size < 0 else size
        content = super().read(wanted) if wanted <= MAX_DIRECTORY + 1 else b""
        if wanted > MAX_DIRECTORY + 1 or len(content) > MAX_DIRECTORY:
            raise ValueError(f"its directory has more than {MAX_DIRECTORY:,} bytes")
        return content


class ForwardStream:
    """A decompressed stream as tarfile reads it, forward only.

    Args:
        stream: gives as many bytes as asked for unless it ends.
        count: is told of all bytes that go by, also those that are skipped.

    Attributes:
        last: what the last read gave.
    """

    def __init__(self, stream: io.BufferedIOBase, count: Callable[[int], None]) -> None:
        self._stream, self._count = stream, count
        self._position = 0
        self.last = b""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes.

        Raises:
            ValueError: more than :data:`CHUNK` at once.
        """
        if not 0 <= size <= CHUNK:
            raise ValueError(f"a member's header has {size:,} bytes, expected at most {CHUNK:,}")
        self.last = self._stream.read(size)
        self._position += len(self.last)
        self._count(len(self.last))
        return self.last

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip to a position; stops where the stream ends.

        Raises:
            ValueError: it lies behind.
        """
        if position < self._position:
            raise ValueError("its members overlap")
        while self._position < position and self.read(min(CHUNK, position - self._position)):
            pass

    def drain(self) -> None:
        """Read to the end, where compressed files keep their checksums."""
        while self.read(CHUNK):
            pass


def decompressed(file: io.BufferedReader) -> io.BufferedIOBase:
    """What a file holds, by its first bytes: gzip, bzip2 or xz decompressed, anything else as it is."""
    start = file.peek(6)[:6]
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return io.BufferedReader(_Xz(file), CHUNK) if start == b"\xfd7zXZ\x00" else file


class _Xz(io.RawIOBase):
    """One xz stream in bounded memory, which :class:`lzma.LZMAFile` cannot be told: a file asks for up to 4 GB."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the beginning of a buffer; 0 at the end.

        Raises:
            EOFError: the file is cut off.
        """
        view = memoryview(buffer).cast("B")
        while not self._decoder.eof:
            fresh = self._file.read(CHUNK) if self._decoder.needs_input else b""
            if self._decoder.needs_input and not fresh:
                raise EOFError("its compressed data is cut off")
            block = self._decoder.decompress(fresh, len(view))
            if block:
                view[: len(block)] = block
                return len(block)
        return 0
