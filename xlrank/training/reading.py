"""Lines of text files, in bounded memory and with the place of whatever is wrong."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError
from xlrank.files import DAMAGE, open_packed
from xlrank.text import clean

MAX_LINE = 20_000
"""Characters of a line that are kept together; a longer one becomes several, cut at white space where there is some."""

CHUNK = 1 << 16
"""Bytes read at once, whatever the length of the line."""

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONTROLS = bytes([*range(9), *range(14, 32), 127])
BINARY_SHARE = 0.03
"""Share of control bytes above which a file is no text: compressed data has a tenth, UTF-16 a half or nearly."""


@dataclass
class Reading:
    """What was met while reading.

    Attributes:
        lines: pieces of text that were given out: lines, or parts of very long ones.
        dropped: lines with NUL characters, which are no text.
        cut: lines that were too long and became several.
    """

    lines: int = 0
    dropped: int = 0
    cut: int = 0


def read_lines(path: Path, facts: Reading | None = None) -> Iterator[str]:
    """The cleaned lines of a UTF-8 text file, ``.xz`` or ``.gz`` included; of a ``.tsv`` the last column.

    Args:
        path: the file.
        facts: counts what is met.

    Raises:
        XlrankError: the file is missing, empty, binary, cut off or not UTF-8 (with the line's number).
    """
    facts = Reading() if facts is None else facts
    number, before = 1, facts.lines
    splitter = _Splitter(facts, tabular=".tsv" in path.suffixes)
    try:
        with open_packed(path) as stream:
            for text, ends in _pieces(stream, path):
                yield from splitter.feed(text, ends=ends)
                number += ends
    except UnicodeDecodeError:
        raise XlrankError(f"{path}: line {number} is not UTF-8 text; convert the file first, e.g. with iconv") from None
    except DAMAGE as error:
        where = f" after line {number - 1}; is the file cut off?" if number > 1 else ""
        raise XlrankError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}){where}") from None
    if facts.lines == before:
        raise XlrankError(f"{path}: holds no text; give a file with a sentence or paragraph a line")


def _pieces(stream: Any, path: Path) -> Iterator[tuple[str, bool]]:  # noqa: ANN401 - whatever the openers give
    """Lines, in pieces where they are long, each with whether the line ends with it."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    _require_text(stream.peek(CHUNK)[:CHUNK], path)
    raw = stream.readline(CHUNK).removeprefix(codecs.BOM_UTF8)
    while raw:
        ends = raw.endswith(b"\n")
        yield decoder.decode(raw, final=ends), ends
        raw = stream.readline(CHUNK)
    yield decoder.decode(b"", final=True), True


class _Splitter:
    """The texts of lines that arrive in pieces: usually one a line, more of a very long one, none of one without text."""

    def __init__(self, facts: Reading, *, tabular: bool) -> None:
        self.facts, self.tabular = facts, tabular
        self.held, self.given, self.spoilt = "", 0, False

    def feed(self, piece: str, *, ends: bool) -> Iterator[str]:
        """What can be given out now that ``piece`` has arrived."""
        self.held += piece
        self.spoilt = self.spoilt or "\0" in piece
        if self.tabular:
            self.held = self.held.rpartition("\t")[2]
        if self.spoilt:
            self.held = ""
        while len(self.held) > MAX_LINE + 1:  # + 1: the end of the line
            text, self.held = _cut(self.held)
            yield from self._give(text)
        if ends:
            self.facts.cut += self.given > 0
            self.facts.dropped += self.spoilt
            yield from self._give(self.held)
            self.held, self.given, self.spoilt = "", 0, False

    def _give(self, text: str) -> Iterator[str]:
        text = clean(text)
        if text:
            self.given += 1
            self.facts.lines += 1
            yield text


def _cut(text: str) -> tuple[str, str]:
    space = text.rfind(" ", MAX_LINE // 2, MAX_LINE)
    place = MAX_LINE if space < 0 else space
    return text[:place], text[place:]


def _require_text(start: bytes, path: Path) -> None:
    """Refuse what is no text by the look of its first bytes, before they are taken for a line in some encoding."""
    if start.startswith(UTF16):
        raise XlrankError(f"{path}: line 1 is not UTF-8 text but UTF-16; convert the file first, e.g. with iconv")
    controls = len(start) - len(start.translate(None, CONTROLS))
    if controls > 4 + BINARY_SHARE * len(start):
        raise XlrankError(f"{path}: is a binary file, not text; give UTF-8 text, plain or as .gz or .xz")
