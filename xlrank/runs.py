"""Runs: what a system returns. Every stage reads and writes them as TREC files, so any stage can be somebody else's."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError
from xlrank.files import write_text

HEADER = "# ir_metadata."
"""Start of a comment line with metadata (https://www.ir-metadata.org), one JSON value a line."""


@dataclass(frozen=True)
class Run:
    """Topic id to its ranking: (document id, score) pairs, best first, equal scores in the order of document ids.

    Attributes:
        name: the system's name, the last column of a TREC file.
        rankings: topic id to its ranking.
        metadata: what produced it, written as comment lines at the head of the file.
    """

    name: str
    rankings: Mapping[str, tuple[tuple[str, float], ...]]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, scores: Mapping[str, Mapping[str, float]], metadata: Mapping[str, Any] | None = None) -> "Run":
        """A run from topic id to document id to score, sorted here."""
        rankings = {topic: tuple(sorted(found.items(), key=lambda item: (-item[1], item[0]))) for topic, found in scores.items()}
        return cls(name, rankings, metadata or {})

    def top(self, depth: int) -> "Run":
        """The first ``depth`` documents of each topic."""
        return Run(self.name, {topic: ranking[:depth] for topic, ranking in self.rankings.items()}, self.metadata)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """All (topic id, document id), in order."""
        for topic, ranking in self.rankings.items():
            for document, _ in ranking:
                yield topic, document

    def scores(self) -> dict[str, dict[str, float]]:
        """Topic id to document id to score."""
        return {topic: dict(ranking) for topic, ranking in self.rankings.items()}

    def write(self, path: str | Path) -> Path:
        """Write a TREC run file (``topic Q0 document rank score name``), whole or not at all; scores keep full precision."""
        lines = [f"{HEADER}{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in self.metadata.items()]
        tag = self.name.replace(" ", "")
        for topic, ranking in self.rankings.items():
            lines += [f"{topic} Q0 {document} {rank} {float(score)!r} {tag}" for rank, (document, score) in enumerate(ranking, 1)]
        write_text(Path(path), "\n".join(lines) + "\n")
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> "Run":
        """Read a TREC run file; ranks are recomputed from the scores.

        Raises:
            XlrankError: unreadable, not six columns, a score that is no finite number, or a document twice in a topic.
        """
        metadata: dict[str, Any] = {}
        scores: dict[str, dict[str, float]] = {}
        name = ""
        for number, line in enumerate(_lines(Path(path)), 1):
            if line.rstrip("\r").startswith(HEADER):
                key, _, value = line.removeprefix(HEADER).partition(": ")
                metadata[key] = _metadata_value(value)
            elif line.strip() and not line.startswith("#"):
                topic, document, score, name = _columns(line, f"{path}, line {number}")
                found = scores.setdefault(topic, {})
                if document in found:
                    raise XlrankError(f"{path}, line {number}: document {document!r} stands twice in topic {topic!r}")
                found[document] = score
        if not scores:
            raise XlrankError(f"{path}: holds no results; expected lines of 'topic Q0 document rank score name'")
        return cls.of(name, scores, metadata)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise XlrankError(f"{path}: not UTF-8 text; expected a TREC run") from None


def _columns(line: str, place: str) -> tuple[str, str, float, str]:
    fields = line.split()
    if len(fields) != 6:
        raise XlrankError(f"{place}: {len(fields)} columns; expected 6: topic Q0 document rank score name")
    try:
        score = float(fields[4])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise XlrankError(f"{place}: the score {fields[4]!r} is not a finite number")
    return fields[0], fields[2], score, fields[5]


def _metadata_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
