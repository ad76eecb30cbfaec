"""Lines of large text files, packed or not, with the file and line of whatever is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from xlrank.errors import XlrankError
from xlrank.files import DAMAGE, open_packed

LONGEST_LINE = 16 * 2**20
"""Bytes of a line at most: without a bound, a file that is not text at all would be read into memory whole."""


def byte_lines(stream: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a stream with their numbers, from 1; line ends included.

    Raises:
        XlrankError: a line is longer than ``LONGEST_LINE``.
    """
    for number, raw in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), 1):
        if len(raw) > LONGEST_LINE:
            raise XlrankError(f"{path}, line {number}: longer than {LONGEST_LINE // 2**20} MiB; expected text in lines")
        yield number, raw


def text_lines(path: Path, expected: str) -> Iterator[tuple[int, str]]:
    """The non-empty lines of a UTF-8 file (``.gz`` and ``.xz`` too) with their numbers, from 1.

    Raises:
        XlrankError: missing, damaged, cut short or not UTF-8; ``expected`` says what should have been there.
    """
    number = 0
    try:
        with open_packed(path) as stream:
            for number, raw in byte_lines(stream, path):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise XlrankError(f"{path}: no such file; expected {expected}") from None
    except UnicodeDecodeError:
        raise XlrankError(f"{path}, line {number + (number == 0)}: not UTF-8 text; convert the file first") from None
    except DAMAGE as error:
        where = f"{path}, after line {number}" if number else str(path)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise XlrankError(f"{where}: cannot be read ({reason}); the file may be cut short or damaged") from None
