"""A collection in a folder of one's own: ``documents.LANG.jsonl``, ``topics.LANG.tsv``, ``qrels.txt``, ``translations/``."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from xlrank.collections.documents import Documents
from xlrank.collections.reading import Qrels, read_documents, read_qrels, read_topics
from xlrank.collections.records import Document, Topic
from xlrank.collections.source import Finding, Source
from xlrank.errors import XlrankError
from xlrank.files import read_json
from xlrank.languages import language_code

LAYOUT = "documents.LANG.jsonl, topics.LANG.tsv, qrels.txt"


class FolderSource(Source):
    """The files of a folder; all languages share the judgements, and document ids that stand in several mean the same.

    Args:
        id: of the collection.
        folder: where the files are.

    Raises:
        XlrankError: there is no such folder.
    """

    def __init__(self, id: str, folder: Path) -> None:
        self.id, self.folder = id, folder
        if not folder.is_dir():
            raise XlrankError(f"collection {id!r}: {folder} is no folder; expected {LAYOUT}")
        self._unread: list[str] = []
        self.query_languages = self._languages("topics.", ".tsv")
        self.document_languages = self._languages("documents.", ".jsonl")
        self._documents: dict[str, Documents] = {}

    @property
    def unread(self) -> Sequence[str]:
        """Files named by something else than a language's code."""
        return self._unread

    @cached_property
    def info(self) -> dict[str, Any]:
        """What ``collection.json`` says (name, licence, declared counts, rules); empty where there is none."""
        path = self.folder / "collection.json"
        info = read_json(path) if path.is_file() else {}
        if not isinstance(info, dict):
            raise XlrankError(f"{path}: expected a JSON object")
        return info

    @property
    def licence(self) -> str:  # type: ignore[override]
        """As ``collection.json`` states it."""
        return str(self.info.get("licence", ""))

    @property
    def qrels_path(self) -> Path:
        """The judgements' file."""
        return self.folder / "qrels.txt"

    def document_files(self, language: str) -> list[Path]:
        """See :class:`Source`."""
        return [self.folder / f"documents.{language}.jsonl"]

    def read_documents(self, language: str) -> Iterator[Document]:
        """See :class:`Source`."""
        return read_documents(*self.document_files(language))

    def read_topics(self, language: str) -> list[Topic]:
        """See :class:`Source`."""
        return read_topics(self.folder / f"topics.{language}.tsv")

    def read_translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """See :class:`Source`."""
        path = self._translations_path(query_language, document_language)
        return read_topics(path) if path.is_file() else None

    def translations_wanted(self, query_language: str, document_language: str) -> str:
        """See :class:`Source`."""
        path = self._translations_path(query_language, document_language)
        return f"{path} is missing (topic_id TAB title TAB description)"

    def read_qrels(self, language: str, documents: Documents) -> Qrels:
        """The judgements of documents that exist in this language.

        Raises:
            XlrankError: the file is malformed, names a document that exists in no language, or judges none in this one.
        """
        qrels = self.judgements
        judged = {id_ for grades in qrels.values() for id_ in grades}
        present = set(documents.fetch(judged))
        for topic, grades in qrels.items():
            for unknown in sorted(set(grades) - present):
                if unknown not in self._known_ids:
                    raise XlrankError(
                        f"{self.qrels_path}: topic {topic!r} judges document {unknown!r}, which no documents file holds"
                    )
        result = {topic: {d: grade for d, grade in grades.items() if d in present} for topic, grades in qrels.items()}
        if not any(grade > 0 for grades in result.values() for grade in grades.values()):
            raise XlrankError(f"{self.qrels_path}: no document of {self.id} in this language is judged relevant for any topic")
        return {topic: grades for topic, grades in result.items() if grades}

    def check(self, document_languages: Sequence[str]) -> Iterator[Finding]:
        """That there are documents and topics."""
        if not self.document_languages:
            yield Finding(f"{self.folder}: no documents.LANG.jsonl", is_problem=True)
        if not self.query_languages:
            yield Finding(f"{self.folder}: no topics.LANG.tsv", is_problem=True)

    def expected_counts(self) -> dict[str, int]:
        """What ``collection.json`` declares."""
        counts = self.info.get("counts", {})
        if not isinstance(counts, dict) or not all(isinstance(count, int) for count in counts.values()):
            raise XlrankError(f"{self.folder / 'collection.json'}: counts: expected an object with whole numbers")
        return counts

    @property
    def judgements(self) -> Qrels:
        """All judgements, whatever the language of the documents.

        Raises:
            XlrankError: the file is malformed.
        """
        return read_qrels(self.qrels_path)

    @cached_property
    def _known_ids(self) -> frozenset[str]:
        return frozenset(document.id for language in self.document_languages for document in self.read_documents(language))

    def _translations_path(self, query_language: str, document_language: str) -> Path:
        return self.folder / "translations" / f"{query_language}-{document_language}.tsv"

    def _languages(self, prefix: str, suffix: str) -> list[str]:
        codes = []
        for path in sorted(self.folder.glob(f"{prefix}*{suffix}")):
            text = path.name.removeprefix(prefix).removesuffix(suffix)
            try:
                code = language_code(text)
            except XlrankError:
                self._unread.append(f"{path.name}: {text!r} is no language code of ISO 639")
                continue
            if code == text:
                codes.append(code)
            else:
                self._unread.append(f"{path.name}: {text!r} is called {code!r} here; rename the file to {prefix}{code}{suffix}")
        return codes
