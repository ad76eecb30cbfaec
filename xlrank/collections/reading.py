"""Reading the three files of a collection, with the file and line of whatever is wrong."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from xlrank.collections.documents import check_id
from xlrank.collections.lines import text_lines
from xlrank.collections.records import Document, Topic
from xlrank.errors import XlrankError
from xlrank.text import clean

ID_NAMES, TEXT_NAMES = ("doc_id", "_id", "id", "docid"), ("text", "contents")
"""What an id and a text are called: here, in BEIR, and by pyserini."""

Qrels = dict[str, dict[str, int]]
"""Topic id to document id to grade."""


def numbered_lines(path: Path, expected: str) -> Iterator[tuple[str, str]]:
    """The non-empty lines of a UTF-8 file (``.gz`` and ``.xz`` too), each with its place (``path, line n``).

    Raises:
        XlrankError: missing, unreadable or not UTF-8; ``expected`` says what should have been there.
    """
    for number, line in text_lines(path, expected):
        yield f"{path}, line {number}", line


def read_documents(path: Path) -> Iterator[Document]:
    """Documents from JSON lines ``{"doc_id", "text"}`` with an optional ``title``; text, title or both may be empty.

    The lines of BEIR (``_id``) and pyserini (``id``, ``contents``) are read as well.

    Raises:
        XlrankError: a line is no such object, an id is repeated or holds white space, or no document has a text or title.
    """
    seen, filled = set[str](), False
    for place, line in numbered_lines(path, 'one JSON object a line with "doc_id" and "text"'):
        document = _document(line, place)
        check_id(document.id, seen, f"{place}: doc_id")
        filled = filled or bool(document.text or document.title)
        yield document
    if not seen:
        raise XlrankError(f"{path}: holds no documents")
    if not filled:
        raise XlrankError(f"{path}: none of its {len(seen)} documents has a text or a title")


def read_topics(path: Path) -> list[Topic]:
    """Topics from lines ``topic_id TAB title TAB description`` (description optional).

    Raises:
        XlrankError: a line has other columns, an id is repeated or holds white space, or a topic is empty.
    """
    topics: dict[str, Topic] = {}
    seen: set[str] = set()
    for place, line in numbered_lines(path, "lines of topic_id TAB title TAB description"):
        fields = line.split("\t")
        if len(fields) not in (2, 3):
            raise XlrankError(f"{place}: {len(fields)} columns; expected topic_id TAB title TAB description")
        topic = Topic(fields[0].strip(), *(clean(field) for field in fields[1:]))
        check_id(topic.id, seen, f"{place}: topic_id")
        if not topic.query():
            raise XlrankError(f"{place}: topic {topic.id!r} is empty; give it a title or remove it")
        topics[topic.id] = topic
    if not topics:
        raise XlrankError(f"{path}: holds no topics")
    return list(topics.values())


def read_qrels(path: Path) -> Qrels:
    """Judgements from TREC lines ``topic 0 document grade``.

    Raises:
        XlrankError: a line has other columns, a grade is no whole number, or a document is judged twice for a topic.
    """
    qrels: Qrels = {}
    for place, line in numbered_lines(path, "TREC lines of topic 0 document grade"):
        fields = line.split()
        if len(fields) != 4:
            raise XlrankError(f"{place}: {len(fields)} columns; expected 4: topic 0 document grade")
        topic, _, document, grade = fields
        if not re.fullmatch(r"-?[0-9]+", grade):
            raise XlrankError(f"{place}: the grade {grade!r} is not a whole number")
        judged = qrels.setdefault(topic, {})
        if document in judged:
            raise XlrankError(f"{place}: document {document!r} is judged twice for topic {topic!r}")
        judged[document] = int(grade)
    if not qrels:
        raise XlrankError(f"{path}: holds no judgements")
    return qrels


def _document(line: str, place: str) -> Document:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise XlrankError(f"{place}: not JSON ({error.msg})") from None
    if isinstance(fields, dict):
        id_, text = (next((fields[name] for name in names if name in fields), None) for names in (ID_NAMES, TEXT_NAMES))
        if isinstance(id_, str | int) and isinstance(text, str):
            return Document(str(id_), clean(text), clean(str(fields.get("title") or "")))
    raise XlrankError(f'{place}: expected an object with "doc_id" and "text" (or "_id" or "id", and "contents")')
