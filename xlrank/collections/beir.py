"""A folder in BEIR's layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/SPLIT.tsv``; packed files too."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from xlrank.collections.documents import check_id
from xlrank.collections.folder import FolderSource
from xlrank.collections.reading import Qrels, numbered_lines
from xlrank.collections.records import Topic
from xlrank.errors import XlrankError
from xlrank.languages import language_code
from xlrank.text import clean

CORPUS, QUERIES = "corpus.jsonl", "queries.jsonl"
ENDINGS = ("", ".gz", ".xz")
OPTIONS = ("queries", "documents", "split")
USUAL_SPLIT = "test"
HEADER = ("query-id", "corpus-id", "score")


class BeirSource(FolderSource):
    """One language of queries and one of documents, which the id has to say: no file does.

    Topics are the queries that the split's judgements name. Documents may also be as pyserini writes them, with ``id`` and
    ``contents``.

    Args:
        id: of the collection, options included.
        folder: where the files are.
        options: ``queries`` and ``documents`` (languages), and ``split`` (default: ``test``, or the only one).

    Raises:
        XlrankError: a language is not said or unknown, or there is no such split.
    """

    def __init__(self, id: str, folder: Path, options: dict[str, str]) -> None:
        for name in OPTIONS[:2]:
            if name not in options:
                raise XlrankError(
                    f"collection {id!r}: {folder} is in BEIR's layout, which does not say which language its {name} are in; say "
                    f"so: 'folder:{folder}?queries=LANG&documents=LANG'"
                )
        super().__init__(id, folder)
        self.query_languages = [language_code(options["queries"])]
        self.document_languages = [language_code(options["documents"])]
        self._split = options.get("split")

    @property
    def documents_id(self) -> str:
        """The folder: the same documents for all splits and languages of queries."""
        return f"folder:{self.folder}"

    @property
    def qrels_path(self) -> Path:
        """The judgements of the split.

        Raises:
            XlrankError: there are none, or several and none is called ``test``.
        """
        splits = {path.name.partition(".")[0]: path for path in sorted((self.folder / "qrels").glob("*.tsv*"))}
        wanted = self._split or (USUAL_SPLIT if USUAL_SPLIT in splits or len(splits) != 1 else next(iter(splits)))
        if wanted not in splits:
            there = f"there are {', '.join(splits)}; choose one with split=NAME" if splits else "there is no file"
            raise XlrankError(f"{self.folder / 'qrels'}: expected {wanted}.tsv; {there}")
        return splits[wanted]

    def document_files(self, language: str) -> list[Path]:
        """See :class:`~xlrank.collections.source.Source`."""
        return [found(self.folder, CORPUS) or self.folder / CORPUS]

    def read_topics(self, language: str) -> list[Topic]:
        """The queries that are judged, in their order."""
        path, judged = found(self.folder, QUERIES) or self.folder / QUERIES, set(self.judgements)
        topics = [topic for topic in _queries(path) if topic.id in judged]
        if not topics:
            raise XlrankError(f"{path}: holds none of the queries that {self.qrels_path} judges")
        return topics

    @property
    def judgements(self) -> Qrels:
        """All judgements of the split."""
        return read_judgements(self.qrels_path)


def found(folder: Path, name: str) -> Path | None:
    """A file of a folder, packed or not; None where it is not there."""
    return next((path for ending in ENDINGS if (path := folder / f"{name}{ending}").is_file()), None)


def read_judgements(path: Path) -> Qrels:
    """Judgements from lines ``query-id TAB corpus-id TAB score`` below a line that says so.

    Raises:
        XlrankError: a line has other columns, a grade is no whole number, or a document is judged twice for a query.
    """
    qrels: Qrels = {}
    for number, (place, line) in enumerate(numbered_lines(path, " TAB ".join(HEADER))):
        fields = [field.strip() for field in line.split("\t")]
        if number == 0 and fields == list(HEADER):
            continue
        if len(fields) != 3 or not re.fullmatch(r"-?[0-9]+", fields[2]):
            raise XlrankError(f"{place}: expected {' TAB '.join(HEADER)}, the score a whole number")
        query, document, grade = fields
        if document in qrels.setdefault(query, {}):
            raise XlrankError(f"{place}: document {document!r} is judged twice for query {query!r}")
        qrels[query][document] = int(grade)
    if not qrels:
        raise XlrankError(f"{path}: holds no judgements")
    return qrels


def _queries(path: Path) -> Iterator[Topic]:
    expected, seen = 'one JSON object a line with "_id" and "text"', set[str]()
    for place, line in numbered_lines(path, expected):
        try:
            fields = json.loads(line)
            topic = Topic(str(fields["_id"]), clean(str(fields["text"])))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise XlrankError(f"{place}: expected {expected}") from None
        check_id(topic.id, seen, f"{place}: _id")
        if not topic.title:
            raise XlrankError(f"{place}: query {topic.id!r} is empty; give it a text or remove it")
        yield topic
