"""A collection by its id: documents, topics and judgements, each read when first asked for."""

from functools import cached_property
from pathlib import Path
from typing import Any

from xlrank.collections.reading import Qrels, read_documents, read_qrels, read_topics
from xlrank.collections.records import Document, Topic
from xlrank.errors import XlrankError
from xlrank.files import data_folder, file_hash, read_json
from xlrank.languages import LANGUAGES, language_code

FOLDER = "folder:"
EMBEDDED = ("mini",)


class Collection:
    """Documents, topics and judgements in several languages.

    Args:
        id: ``mini`` (embedded), ``folder:PATH`` (a folder with ``documents.{lang}.jsonl``, ``topics.{lang}.tsv``,
            ``qrels.txt``), or ``mini/ky-en``, which sets the languages that the methods default to.

    Raises:
        XlrankError: no such collection.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        name, pair = id, ""
        if not id.startswith(FOLDER):
            name, _, pair = id.partition("/")
            if name not in EMBEDDED:
                raise XlrankError(f"unknown collection {id!r}; known: {', '.join(EMBEDDED)}, {FOLDER}PATH")
        self.name = name
        self.folder = Path(name.removeprefix(FOLDER)) if id.startswith(FOLDER) else data_folder() / name
        if not self.folder.is_dir():
            raise XlrankError(
                f"collection {id!r}: {self.folder} is no folder; expected documents.LANG.jsonl, topics.LANG.tsv, qrels.txt"
            )
        self._pair = tuple(language_code(code) for code in pair.split("-")) if pair else ()
        if pair and len(self._pair) != 2:
            raise XlrankError(f"collection {id!r}: expected QUERY-DOCUMENT languages after the slash, e.g. {name}/ky-en")
        self._documents: dict[str, list[Document]] = {}

    def __repr__(self) -> str:
        return f"Collection({self.id!r})"

    @cached_property
    def query_languages(self) -> list[str]:
        """Languages with topics, sorted."""
        return self._languages("topics.", ".tsv")

    @cached_property
    def document_languages(self) -> list[str]:
        """Languages with documents, sorted."""
        return self._languages("documents.", ".jsonl")

    @cached_property
    def info(self) -> dict[str, Any]:
        """What ``collection.json`` says (name, licence, declared counts); empty where there is none."""
        path = self.folder / "collection.json"
        info = read_json(path) if path.is_file() else {}
        if not isinstance(info, dict):
            raise XlrankError(f"{path}: expected a JSON object")
        return info

    def documents(self, language: str | None = None) -> list[Document]:
        """The documents in one language (default: the id's).

        Raises:
            XlrankError: no documents in that language, or the file is malformed.
        """
        code = self._language(language, 1, self.document_languages, "documents")
        if code not in self._documents:
            self._documents[code] = read_documents(self.documents_path(code))
        return self._documents[code]

    def topics(self, language: str | None = None) -> list[Topic]:
        """The topics in one language (default: the id's).

        Raises:
            XlrankError: no topics in that language, or the file is malformed.
        """
        code = self._language(language, 0, self.query_languages, "topics")
        return read_topics(self.folder / f"topics.{code}.tsv")

    def translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """The topics machine-translated from ``translations/{query}-{document}.tsv``; None where there is no such file."""
        path = self.translations_path(query_language, document_language)
        return read_topics(path) if path.is_file() else None

    def search_topics(self, query_language: str, document_language: str) -> list[Topic]:
        """The topics that BM25 searches with: translated into the documents' language, or as they are if they are in it.

        Raises:
            XlrankError: there are no translations.
        """
        if query_language == document_language:
            return self.topics(query_language)
        topics = self.translations(query_language, document_language)
        if topics is None:
            path = self.translations_path(query_language, document_language)
            raise XlrankError(f"bm25 searches with translated topics: {path} is missing (topic_id TAB title TAB description)")
        return topics

    def qrels(self, document_language: str | None = None) -> Qrels:
        """Judgements of documents that exist in one language (default: the id's): topic id to document id to grade.

        Raises:
            XlrankError: the file is malformed, names a document that exists in no language, or judges none in this one.
        """
        present = {document.id for document in self.documents(document_language)}
        qrels = read_qrels(self.qrels_path)
        for topic, judged in qrels.items():
            for unknown in sorted(set(judged) - present):
                if unknown not in self._known_ids:
                    raise XlrankError(
                        f"{self.qrels_path}: topic {topic!r} judges document {unknown!r}, which no documents file holds"
                    )
        result = {topic: {d: grade for d, grade in judged.items() if d in present} for topic, judged in qrels.items()}
        if not any(grade > 0 for judged in result.values() for grade in judged.values()):
            raise XlrankError(f"{self.qrels_path}: no document of {self.id} in this language is judged relevant for any topic")
        return {topic: judged for topic, judged in result.items() if judged}

    def documents_path(self, language: str) -> Path:
        """The file with the documents of one language."""
        return self.folder / f"documents.{language}.jsonl"

    def translations_path(self, query_language: str, document_language: str) -> Path:
        """The file with topics translated from one language into another."""
        return self.folder / "translations" / f"{query_language}-{document_language}.tsv"

    @property
    def qrels_path(self) -> Path:
        """The judgements' file."""
        return self.folder / "qrels.txt"

    def fingerprint(self, query_language: str, document_language: str) -> str:
        """A hash of the topics, documents and translations of a language pair: changes when any of them does."""
        paths = [self.folder / f"topics.{query_language}.tsv", self.documents_path(document_language)]
        paths.append(self.translations_path(query_language, document_language))
        return "-".join(file_hash(path)[:16] for path in paths if path.is_file())

    @cached_property
    def _known_ids(self) -> frozenset[str]:
        return frozenset(document.id for language in self.document_languages for document in self.documents(language))

    def _languages(self, prefix: str, suffix: str) -> list[str]:
        codes = [path.name.removeprefix(prefix).removesuffix(suffix) for path in self.folder.glob(f"{prefix}*{suffix}")]
        return sorted(code for code in codes if code in LANGUAGES)

    def _language(self, language: str | None, position: int, available: list[str], what: str) -> str:
        code = language_code(language) if language else (self._pair[position] if self._pair else None)
        if code is None:
            if len(available) != 1:
                raise XlrankError(f"collection {self.id!r} has {what} in {', '.join(available) or 'no language'}; say which one")
            code = available[0]
        if code not in available:
            raise XlrankError(f"collection {self.id!r} has no {what} in {code!r}; there are {', '.join(available) or 'none'}")
        return code
