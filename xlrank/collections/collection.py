"""A collection by its id: documents, topics and judgements, each read when first asked for."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, replace

from xlrank.collections.catalogue import Pair, open_source
from xlrank.collections.documents import Documents
from xlrank.collections.reading import Qrels
from xlrank.collections.records import Document, Topic
from xlrank.errors import XlrankError
from xlrank.files import content_key
from xlrank.languages import language_code
from xlrank.progress import StageProgress, shown
from xlrank.text import clean, spelled


class Collection:
    """Documents, topics and judgements in several languages.

    Args:
        id: ``mini`` (embedded), ``clef/2003``, ``hc4/fa/test``, ``irds:ID`` (anything in ir_datasets) or ``folder:PATH`` (a
            folder with ``documents.LANG.jsonl``, ``topics.LANG.tsv``, ``qrels.txt``). ``/QUERY-DOCUMENT`` at its end
            (``mini/ky-en``, ``clef/2003/ky-en``) sets the languages that the methods default to. Some take options after
            that: ``hc4/fa/test?translation=SYSTEM``, ``irds:ID?queries=ky&documents=en``.

    Attributes:
        source: where it comes from; what is special about it is asked there.

    Raises:
        XlrankError: no such collection.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.source, self._pair = open_source(id)
        self._documents: dict[str, Documents] = {}

    def __repr__(self) -> str:
        return f"Collection({self.id!r})"

    @property
    def pair(self) -> Pair:
        """The query and document language that the id ends with, or nothing."""
        return self._pair

    @property
    def query_languages(self) -> list[str]:
        """Languages with topics, sorted."""
        return self.source.query_languages

    @property
    def document_languages(self) -> list[str]:
        """Languages with documents, sorted."""
        return self.source.document_languages

    def documents(self, language: str | None = None, progress: StageProgress = shown) -> Documents:
        """The documents in one language (default: the id's); parsed once, then kept in the cache.

        Args:
            language: of the documents.
            progress: told what goes on; by default it is shown on standard error.

        Raises:
            XlrankError: no documents in that language, or a file is missing or malformed.
        """
        code = self._language(language, 1, self.document_languages, "documents")
        if code not in self._documents:
            identity, id_ = self.source.document_identity(code), self.source.documents_id
            name = "".join(c if c.isalnum() else "-" for c in id_.rpartition("/")[2] or id_)
            with progress(f"{code} reading documents") as told:
                self._documents[code] = Documents.stored(
                    f"{name}-{code}", identity, lambda: _spelled_documents(self.source.read_documents(code), code), told
                )
        return self._documents[code]

    def topics(self, language: str | None = None) -> list[Topic]:
        """The topics in one language (default: the id's).

        Raises:
            XlrankError: no topics in that language, or their file is missing or malformed.
        """
        code = self._language(language, 0, self.query_languages, "topics")
        return spelled_topics(self.source.read_topics(code), code)

    def translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """The topics machine-translated from one language into another, where the collection has them."""
        topics = self.source.read_translations(query_language, document_language)
        return None if topics is None else spelled_topics(topics, document_language)

    def search_topics(self, query_language: str, document_language: str) -> list[Topic]:
        """The topics that BM25 searches with: translated into the documents' language, or as they are if they are in it.

        Raises:
            XlrankError: there are no translations.
        """
        if query_language == document_language:
            return self.topics(query_language)
        topics = self.translations(query_language, document_language)
        if topics is None:
            wanted = self.source.translations_wanted(query_language, document_language)
            raise XlrankError(f"bm25 searches with translated topics: {wanted}")
        return topics

    def qrels(self, document_language: str | None = None) -> Qrels:
        """The judgements of the documents in one language (default: the id's): topic id to document id to grade.

        Raises:
            XlrankError: their file is missing or malformed.
        """
        code = self._language(document_language, 1, self.document_languages, "documents")
        return self.source.read_qrels(code, self.documents(code))

    def fingerprint(self, query_language: str, document_language: str) -> str:
        """A hash of the topics, documents and translations of a language pair: changes when any of them does."""
        translated = self.translations(query_language, document_language) or []
        texts = [[astuple(topic) for topic in topics] for topics in (self.topics(query_language), translated)]
        return content_key(texts, self.documents(document_language).digest)

    def _language(self, language: str | None, position: int, available: list[str], what: str) -> str:
        code = language_code(language) if language else (self._pair[position] if self._pair else None)
        if code is None:
            if len(available) != 1:
                languages = ", ".join(available) or "no language"
                raise XlrankError(f"collection {self.id!r} has {what} in {languages}; say which one{self._unread()}")
            code = available[0]
        if code not in available:
            there = f"there are {', '.join(available) or 'none'}{self._unread()}"
            raise XlrankError(f"collection {self.id!r} has no {what} in {code!r}; {there}")
        return code

    def _unread(self) -> str:
        return f"; not read: {'; '.join(self.source.unread)}" if self.source.unread else ""


def _spelled_documents(documents: Iterator[Document], language: str) -> Iterator[Document]:
    return (Document(each.id, spelled(each.text, language), spelled(each.title, language)) for each in documents)


def spelled_topics(topics: Iterable[Topic], language: str) -> list[Topic]:
    """Topics as they are compared: normalised, and in the letters of their language (an ISO 639 code)."""
    return [
        replace(t, title=spelled(clean(t.title), language), description=spelled(clean(t.description), language)) for t in topics
    ]
