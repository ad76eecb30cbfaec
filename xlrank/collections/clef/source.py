"""The source for ``clef/2000`` to ``clef/2003``."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from xlrank.collections.clef import topics
from xlrank.collections.clef.documents import read_documents
from xlrank.collections.clef.home import Home
from xlrank.collections.clef.judgements import read_judgements
from xlrank.collections.clef.layouts import LOW_RESOURCE, PUBLISHED_COUNTS, TOPIC_FILES, TOPIC_IDS, Layout, layouts
from xlrank.collections.documents import Documents
from xlrank.collections.reading import Qrels, read_topics
from xlrank.collections.records import Document, Topic
from xlrank.collections.source import Description, Finding, Source
from xlrank.errors import XlrankError
from xlrank.files import file_record
from xlrank.languages import LANGUAGES

PACKAGE = "ELRA-E0008, licensed (catalogue.elra.info)"
OBTAINED = {
    **dict.fromkeys(("ky", "ug", "tr"), "https://madata.bib.uni-mannheim.de/401/"),
    **dict.fromkeys(("sw", "so"), "https://ciir.cs.umass.edu/downloads/ictir19_simulate_low_resource/"),
}
"""Where topics are obtained that are not in the package."""


class ClefSource(Source):
    """One campaign's ad hoc collection.

    The files lie in the folder that ``CLEF_HOME`` names, else in ``clef`` below ``XLRANK_COLLECTIONS`` or the cache. Topics that
    were translated into a documents' language are read from ``translations/QUERY-DOCUMENT.tsv`` in there, lines of topic TAB
    title TAB description, for all years in one file; no such files were published.

    Args:
        id: of the collection, without languages.
        year: of the campaign.

    Raises:
        XlrankError: there was no campaign that year.
    """

    licence = f"{PACKAGE}; translated topics under the terms of their own"

    def __init__(self, id: str, year: str) -> None:
        if year not in map(str, TOPIC_IDS):
            raise XlrankError(f"unknown collection {id!r}; expected clef/YEAR, of the years {', '.join(map(str, TOPIC_IDS))}")
        self.id, self.year, self.home = id, int(year), Home()
        self.document_languages = sorted({layout.language for layout in layouts(self.year)})

    @cached_property
    def query_languages(self) -> list[str]:  # type: ignore[override]
        """The documents' languages and those of translations, here or not, and what other topics are here."""
        known = {*self.document_languages, *LOW_RESOURCE}
        others = (language for language in TOPIC_FILES if language in LANGUAGES)
        return sorted(known.union(language for language in others if self.home.topics_file(self.year, language)))

    @property
    def documents_id(self) -> str:
        """The same for all years, as they share newspapers."""
        return "clef"

    def document_identity(self, language: str) -> list[Any]:
        """See :class:`Source`; the fields belong to it, as other fields of the same files make other documents."""
        files = self._files(language)
        return [self.documents_id, language, [[list(layout.fields), layout.id, file_record(path)] for path, layout in files]]

    def document_files(self, language: str) -> list[Path]:
        """See :class:`Source`."""
        return [path for path, _ in self._files(language)]

    def read_documents(self, language: str) -> Iterator[Document]:
        """See :class:`Source`; titles are in the texts, where the published order of fields has them."""
        return read_documents(self._files(language))

    def read_topics(self, language: str) -> list[Topic]:
        """See :class:`Source`."""
        path = self.home.topics_file(self.year, language)
        if path is None:
            here = [code for code in self.query_languages if self.home.topics_file(self.year, code)]
            what, where = f"topics in {LANGUAGES[language].name}", OBTAINED.get(language, PACKAGE)
            raise self._missing(what, where, self.home.expected_topics(self.year, language), here)
        ids = TOPIC_IDS[self.year]
        return topics.read_labelled(path, ids) if language in LOW_RESOURCE else topics.read_marked(path, language, ids)

    def read_qrels(self, language: str, documents: Documents) -> Qrels:
        """See :class:`Source`."""
        path = self.home.qrels_file(self.year, language)
        if path is None:
            here = [code for code in self.document_languages if self.home.qrels_file(self.year, code)]
            what = f"judgements of the documents in {LANGUAGES[language].name}"
            raise self._missing(what, PACKAGE, self.home.expected_qrels(self.year, language), here)
        return read_judgements(path, TOPIC_IDS[self.year], documents)

    def read_translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """See :class:`Source`."""
        path = self.home.translations_file(query_language, document_language)
        return topics.of_year(path, read_topics(path), TOPIC_IDS[self.year]) if path.is_file() else None

    def translations_wanted(self, query_language: str, document_language: str) -> str:
        """See :class:`Source`."""
        path = self.home.translations_file(query_language, document_language)
        return f"{path} is missing (topic_id TAB title TAB description, all years in one file)"

    def check(self, document_languages: Sequence[str]) -> Iterator[Finding]:
        """What is here of every newspaper, and how many documents a language has according to the literature."""
        yield Finding(f"{self.id}: files in {self.home.folder}")
        for language in document_languages:
            named = layouts(self.year, language)
            counts = (f"{layout.name} {len(self.home.document_files(layout)) or 'missing'}" for layout in named)
            yield Finding(f"files {language}: {', '.join(counts)}")
            if published := PUBLISHED_COUNTS.get((self.year, language)):
                yield Finding(f"documents {language}: {published} according to the literature")

    def expected_counts(self) -> dict[str, int]:
        """How many topics there are in every language; counts of documents are told by :meth:`check` only, being second-hand."""
        return {f"topics.{language}": len(TOPIC_IDS[self.year]) for language in self.query_languages}

    def describe(self) -> Description:
        """See :class:`Source`; nothing is read."""
        absent = {
            "documents": [code for code in self.document_languages if not all(map(self._has, layouts(self.year, code)))],
            "topics": [code for code in self.query_languages if not self.home.topics_file(self.year, code)],
            "judgements": [code for code in self.document_languages if not self.home.qrels_file(self.year, code)],
        }
        everything = [self.document_languages, self.query_languages, self.document_languages]
        if list(absent.values()) == everything:
            missing = f"all of it (expected in {self.home.folder})"
        else:
            missing = "; ".join(f"{what} {', '.join(codes)}" for what, codes in absent.items() if codes)
        return Description(self.id, self.query_languages, self.document_languages, self.licence, missing, self.expected_counts())

    def _has(self, layout: Layout) -> bool:
        return bool(self.home.document_files(layout))

    def _files(self, language: str) -> list[tuple[Path, Layout]]:
        """The files of a language's newspapers, in the order of the table."""
        wanted = layouts(self.year, language)
        files = {layout.name: self.home.document_files(layout) for layout in wanted}
        for layout in wanted:
            if not files[layout.name]:
                here = [name for name, paths in files.items() if paths]
                what = f"documents in {LANGUAGES[language].name} ({layout.name})"
                raise self._missing(what, PACKAGE, self.home.expected_documents(layout), here)
        return [(path, layout) for layout in wanted for path in files[layout.name]]

    def _missing(self, what: str, where: str, expected: Path, here: list[str]) -> XlrankError:
        present = f"present are {', '.join(here)}" if here else "nothing of the kind is there"
        hint = "" if self.home.folder.is_dir() else ", or let CLEF_HOME name the folder that holds them"
        mend = f"obtain them from {where} and put them at {expected}{hint}"
        return XlrankError(f"{self.id}: {what} are missing ({present}); {mend}")
