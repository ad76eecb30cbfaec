"""Translations that somebody made elsewhere: a file ``topic_id TAB title TAB description``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlrank.collections.documents import check_id
from xlrank.collections.lines import text_lines
from xlrank.collections.records import Topic
from xlrank.errors import XlrankError
from xlrank.files import file_record
from xlrank.progress import Progress
from xlrank.text import clean

EXPECTED = "lines of topic_id TAB title TAB description"
NAMED = 3
"""Ids that a message names, of however many are wrong."""


@dataclass(frozen=True)
class FileTranslator:
    """Topics from a file, which must hold exactly the topics asked for.

    Attributes:
        path: UTF-8, packed or not (``.gz``, ``.xz``). Lines before the first topic that start with ``# `` say where the
            translations come from, and are skipped. ``{query}`` and ``{document}`` in it stand for the languages.
    """

    path: Path

    @property
    def identity(self) -> Any:  # noqa: ANN401
        """Name and hash; of a path that holds ``{query}`` or ``{document}``, of every file that it may mean."""
        pattern = self.path.name.replace("{query}", "*").replace("{document}", "*")
        paths = sorted(self.path.parent.glob(pattern)) if pattern != self.path.name else [self.path]
        return {"kind": "file", "files": [file_record(path) for path in paths]}

    def translate(self, topics: Sequence[Topic], source: str, target: str, progress: Progress | None = None) -> list[Topic]:
        """The topics as the file has them, in the order of ``topics``.

        Raises:
            XlrankError: the file is missing or malformed, lacks a topic, or holds one that was not asked for.
        """
        path = Path(str(self.path).replace("{query}", source).replace("{document}", target))
        found = _read(path)
        wanted = [topic.id for topic in topics]
        if missing := [id_ for id_ in wanted if id_ not in found]:
            raise XlrankError(f"{path}: lacks {_named(missing)} of the {len(wanted)} {source} topics; add their translations")
        if unknown := sorted(set(found) - set(wanted)):
            raise XlrankError(f"{path}: {_named(unknown)} is not among the {source} topics; is it the file of these topics?")
        if progress:
            progress(len(wanted), len(wanted))
        return [found[id_] for id_ in wanted]


def _read(path: Path) -> dict[str, Topic]:
    topics: dict[str, Topic] = {}
    seen: set[str] = set()
    for number, line in text_lines(path, EXPECTED):
        if not seen and line.startswith("# "):
            continue
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            raise XlrankError(f"{path}, line {number}: {len(fields)} columns; expected topic_id TAB title TAB description")
        topic = Topic(fields[0].strip(), *(clean(field) for field in fields[1:]))
        check_id(topic.id, seen, f"{path}, line {number}: topic_id")
        topics[topic.id] = topic
    if not topics:
        raise XlrankError(f"{path}: holds no translations; expected {EXPECTED}")
    return topics


def _named(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(id_) for id_ in ids[:NAMED])
    return f"topic {shown}" if len(ids) == 1 else f"{len(ids)} topics ({shown}{', …' if len(ids) > NAMED else ''})"
