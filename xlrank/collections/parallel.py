"""Parallel text: a file of sentences and their translations, for whoever learns from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xlrank.collections.lines import text_lines
from xlrank.errors import XlrankError
from xlrank.text import clean

EXPECTED = "text TAB translation, or source TAB text TAB translation, in every line"


class SentencePair(NamedTuple):
    """One line of a parallel file.

    Attributes:
        line: its number, from 1.
        source: the name in the first of three columns; of a file with two, the file's own without its endings.
        text: in the one language.
        translation: in the other.
    """

    line: int
    source: str
    text: str
    translation: str


def read_pairs(path: Path) -> Iterator[SentencePair]:
    """The pairs of a TSV (``.gz`` and ``.xz`` too), cleaned; either side may be empty. A first line ``# …`` is a comment.

    Raises:
        XlrankError: the file is missing or damaged, or a line has neither two columns nor three, or not as many as the first.
    """
    own, columns, first = path.name.partition(".")[0], 0, 0
    for number, line in text_lines(path, EXPECTED):
        if number == 1 and line.startswith("# "):
            continue
        fields = [clean(field) for field in line.split("\t")]
        if len(fields) not in (2, 3):
            raise XlrankError(f"{path}, line {number}: {len(fields)} columns; expected {EXPECTED}")
        if columns not in (0, len(fields)):
            raise XlrankError(f"{path}, line {number}: {len(fields)} columns, but {columns} in line {first}; expected {EXPECTED}")
        if not columns:
            columns, first = len(fields), number
        yield SentencePair(number, fields[0] if columns == 3 else own, *fields[-2:])
