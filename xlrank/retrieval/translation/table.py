"""Tables of translation probabilities, p(document word | query word), as files that can be read."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xlrank.collections.lines import text_lines
from xlrank.errors import XlrankError
from xlrank.files import write_text

Row = Mapping[str, float]
"""Document word to probability; they add up to 1."""
Table = Mapping[str, Row]
"""Query word to its row."""

EXPECTED = "lines of query word TAB document word TAB probability"


def averaged(rows: Iterable[tuple[str, Row]]) -> dict[str, dict[str, float]]:
    """One row for each query word, the mean over its occurrences, most likely document words first."""
    sums: dict[str, dict[str, float]] = {}
    counts: dict[str, int] = {}
    for word, row in rows:
        total = sums.setdefault(word, {})
        counts[word] = counts.get(word, 0) + 1
        for other, p in row.items():
            total[other] = total.get(other, 0.0) + p
    return {
        word: {other: p / counts[word] for other, p in sorted(total.items(), key=lambda item: (-item[1], item[0]))}
        for word, total in sorted(sums.items())
    }


def write_table(path: Path, table: Table, provenance: Mapping[str, Any]) -> None:
    """Write a table as TSV, with its provenance as comment lines at the head.

    Raises:
        XlrankError: the file cannot be written.
    """
    head = "".join(f"# {name}: {' '.join(str(value).split())}\n" for name, value in provenance.items())
    rows = "".join(f"{word}\t{other}\t{p:.6f}\n" for word, row in table.items() for other, p in row.items())
    write_text(path, "# xlrank: query word TAB document word TAB probability\n" + head + rows)


def read_table(path: Path) -> dict[str, dict[str, float]]:
    """Read a table.

    Raises:
        XlrankError: the file is missing or malformed, or a probability is not between 0 and 1.
    """
    table: dict[str, dict[str, float]] = {}
    for number, line in text_lines(path, EXPECTED):
        if line.startswith("# "):
            continue
        fields = line.split("\t")
        try:
            word, other, p = fields[0], fields[1], float(fields[2])
        except (IndexError, ValueError):
            word, other, p = "", "", -1.0
        if len(fields) != 3 or not word or not other or not 0 <= p <= 1:
            raise XlrankError(f"{path}, line {number}: expected {EXPECTED}, which is from 0 to 1")
        table.setdefault(word, {})[other] = p
    return table
