"""The topics of CLEF in the three forms in which they came: titles and descriptions, never the narratives."""

import re
from collections.abc import Iterable
from pathlib import Path

from xlrank.collections.clef.sgml import plain
from xlrank.collections.reading import numbered_lines
from xlrank.collections.records import Topic
from xlrank.errors import XlrankError
from xlrank.files import DAMAGE, open_packed
from xlrank.text import clean

LARGEST = 16 * 2**20
"""Bytes of a topics file at most."""

MARK = re.compile(r"<\s*(/?)\s*(?:[A-Za-z]{1,3}-)?(top|num|title|desc|narr)\s*>", re.IGNORECASE)
NUMBER = re.compile(r"[Cc]?0*([0-9]+)")
LABEL = re.compile(r"\s*(query_id|title|description|narrative)\s*:(.*)", re.IGNORECASE)


def read_marked(path: Path, language: str, ids: range) -> list[Topic]:
    """Topics from ``<top> <num> C141 </num> <EN-title> … </EN-title> <EN-desc> … </top>``; end tags may be missing.

    So they were in 2000, when every value stood on the line after its tag. Files are UTF-8 or, but for Russian, ISO-8859-1.

    Args:
        path: the file, packed or not.
        language: of its topics.
        ids: the numbers that a topic of the year has.

    Raises:
        XlrankError: unreadable, in another encoding, a topic without number, without text, or of another year, or a number twice.
    """
    text = _decoded(path, language)
    found: list[tuple[str, dict[str, str]]] = []
    marks = list(MARK.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=False):
        closes, name, value = mark[1], mark[2].lower(), text[mark.end() : end]
        if name == "top":
            if not closes:
                found.append((f"{path}, line {text.count(chr(10), 0, mark.start()) + 1}", {}))
        elif not closes and found:
            found[-1][1].setdefault(name, plain(value))
    topics = (_topic(place, *(fields.get(name, "") for name in ("num", "title", "desc"))) for place, fields in found)
    return _checked(path, topics, ids, "<top> … </top>")


def read_labelled(path: Path, ids: range) -> list[Topic]:
    """Those topics of a year that a file with the topics of all years has: ``query_id:``, ``title:``, ``description:`` lines.

    Args:
        path: the file, UTF-8, packed or not; lines without a label continue the one before them.
        ids: the numbers that a topic of the year has.

    Raises:
        XlrankError: unreadable, a topic without number or text, a number twice, or no topic of the year.
    """
    found: list[tuple[str, dict[str, str]]] = []
    last = ""
    for place, line in numbered_lines(path, "records of query_id:, title: and description: lines"):
        label = LABEL.fullmatch(line)
        if label and label[1].lower() == "query_id":
            found.append((place, {}))
        elif not found:
            raise XlrankError(f"{place}: expected query_id: before anything else, found {line.strip()[:40]!r}")
        last = label[1].lower() if label else last
        fields = found[-1][1]
        fields[last] = f"{fields.get(last, '')} {label[2] if label else line}"
    topics = [_topic(place, *(fields.get(name, "") for name in ("query_id", "title", "description"))) for place, fields in found]
    return of_year(path, topics, ids)


def of_year(path: Path, topics: Iterable[Topic], ids: range) -> list[Topic]:
    """Those topics that are of a year, out of a file of all years; their ids as in the judgements.

    Raises:
        XlrankError: there are none, or an id is no number or stands twice.
    """
    named = [Topic(_number(f"{path}: topic", topic.id), topic.title, topic.description) for topic in topics]
    chosen = [topic for topic in named if int(topic.id) in ids]
    return _checked(path, chosen, ids, f"topics {ids[0]} to {ids[-1]} among others")


def _topic(place: str, number: str, title: str, description: str) -> Topic:
    topic = Topic(_number(place, number), *(" ".join(clean(part).split()) for part in (title, description)))
    if not topic.title:
        raise XlrankError(f"{place}: topic {topic.id} has no title")
    return topic


def _number(place: str, text: str) -> str:
    """A number without the C and the noughts before it."""
    number = NUMBER.fullmatch(text.strip())
    if number is None:
        raise XlrankError(f"{place}: expected a topic's number such as C141, found {text.strip()[:40]!r}")
    return number[1]


def _checked(path: Path, topics: Iterable[Topic], ids: range, expected: str) -> list[Topic]:
    """Topics by id, if they are of the year and every one is there once."""
    found: dict[str, Topic] = {}
    for topic in topics:
        if int(topic.id) not in ids:
            raise XlrankError(
                f"{path}: topic {topic.id} is of another year, expected {ids[0]} to {ids[-1]}; is the file in the right folder?"
            )
        if topic.id in found:
            raise XlrankError(f"{path}: topic {topic.id} stands twice")
        found[topic.id] = topic
    if not found:
        raise XlrankError(f"{path}: holds no topics; expected {expected}")
    return sorted(found.values(), key=lambda topic: int(topic.id))


def _decoded(path: Path, language: str) -> str:
    try:
        with open_packed(path) as stream:
            raw = stream.read(LARGEST + 1)
    except DAMAGE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise XlrankError(f"{path}: cannot be read ({reason}); the file may be cut short or damaged") from None
    if len(raw) > LARGEST:
        raise XlrankError(f"{path}: larger than {LARGEST // 2**20} MiB; expected a file of topics")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Accented letters of ISO-8859-1 never look like UTF-8, so a file that is not UTF-8 is what the year had.
        if language != "ru":
            return raw.decode("iso-8859-1")
        raise XlrankError(f"{path}: byte {error.start} is not UTF-8; convert the file first (iconv -t UTF-8)") from None
