"""What a collection needs from the place it comes from: a source says which languages it has and reads their files."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlrank.collections.documents import Documents
from xlrank.collections.reading import Qrels
from xlrank.collections.records import Document, Topic
from xlrank.files import file_record


@dataclass(frozen=True)
class Finding:
    """One line of a check: a fact, or a problem."""

    text: str
    is_problem: bool = False


@dataclass(frozen=True)
class Description:
    """What can be said of a collection without reading it.

    Attributes:
        id: with which it is opened.
        query_languages: languages with topics.
        document_languages: languages with documents.
        licence: of its data.
        missing: what is not on this machine, in a few words; empty where all is here.
        counts: known figures, as of :meth:`Source.expected_counts`; the catalogue fills them in.
    """

    id: str
    query_languages: Sequence[str]
    document_languages: Sequence[str]
    licence: str
    missing: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


class Source(ABC):
    """The files of one collection.

    Attributes:
        id: of the collection, without languages.
        licence: of its data; empty where none is stated.
        query_languages: languages with topics, sorted.
        document_languages: languages with documents, sorted.
        same_topics: whether the topics of all languages are the same, with the same ids.
    """

    id: str
    licence: str = ""
    query_languages: list[str]
    document_languages: list[str]
    same_topics: bool = True

    @abstractmethod
    def document_files(self, language: str) -> list[Path]:
        """The files that :meth:`read_documents` reads; where they are unchanged, they are not read again.

        Raises:
            XlrankError: some are missing; the message says what they are, where they are obtained and where to put them.
        """

    @abstractmethod
    def read_documents(self, language: str) -> Iterator[Document]:
        """The documents in one language, streamed.

        Raises:
            XlrankError: a file is malformed.
        """

    @property
    def documents_id(self) -> str:
        """The id that the documents are kept under: the same for collections that share them, such as the splits of one."""
        return self.id

    def document_identity(self, language: str) -> list[Any]:
        """JSON values that change when :meth:`read_documents` would give something else; quick to tell.

        Raises:
            XlrankError: the files that would tell are missing.
        """
        return [self.documents_id, language, [file_record(path) for path in self.document_files(language)]]

    @abstractmethod
    def read_topics(self, language: str) -> list[Topic]:
        """The topics in one language.

        Raises:
            XlrankError: their file is missing or malformed.
        """

    @abstractmethod
    def read_qrels(self, language: str, documents: Documents) -> Qrels:
        """The judgements of the documents in one language.

        Raises:
            XlrankError: their file is missing or malformed.
        """

    def read_translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """The topics machine-translated from one language into another; None where there are no translations."""
        return None

    def translations_wanted(self, query_language: str, document_language: str) -> str:
        """Where translations would have been looked for, for the message that there are none."""
        return f"{self.id} has no translations of topics from {query_language} into {document_language}"

    @property
    def unread(self) -> Sequence[str]:
        """Files that look as if they belonged to it, and why they are not read; a line each."""
        return ()

    def check(self, document_languages: Sequence[str]) -> Iterator[Finding]:
        """What only this source knows to check of these languages, beside what is checked of every collection."""
        yield from ()

    def expected_counts(self) -> dict[str, int]:
        """Known figures by ``documents.LANG``, ``topics.LANG``, ``relevant.LANG``, ``judged.LANG``; as far as known."""
        return {}

    def describe(self) -> Description:
        """Languages, licence and whether the files are here."""
        return Description(self.id, self.query_languages, self.document_languages, self.licence or "not stated")
