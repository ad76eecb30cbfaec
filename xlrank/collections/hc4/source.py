"""HC4 as a collection: ``hc4/{fa,ru,zh}/{train,dev,test}``."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from xlrank.collections.documents import Documents
from xlrank.collections.hc4.documents import Texts, checksum, differences, read_checksums, read_hc4_documents
from xlrank.collections.hc4.files import CODES, SPLITS, Hc4Files
from xlrank.collections.hc4.topics import MISNUMBERED, Hc4Topic, judged_ids, read_hc4_topics, renumbered
from xlrank.collections.irds_loading import load_dataset, told_items
from xlrank.collections.options import split_options
from xlrank.collections.reading import Qrels, read_qrels, read_topics
from xlrank.collections.records import Document, Topic
from xlrank.collections.source import Description, Finding, Source
from xlrank.errors import XlrankError
from xlrank.text import clean

DOCUMENTS = {"fa": 486_486, "ru": 4_721_064, "zh": 646_305}
"""Documents of each language."""

FIGURES = {
    ("fa", "train"): (8, 112, 45),
    ("fa", "dev"): (10, 565, 109),
    ("fa", "test"): (50, 2522, 421),
    ("ru", "train"): (7, 92, 54),
    ("ru", "dev"): (4, 265, 79),
    ("ru", "test"): (50, 2970, 673),
    ("zh", "train"): (23, 341, 168),
    ("zh", "dev"): (10, 466, 92),
    ("zh", "test"): (50, 2751, 474),
}
"""Topics, judgements and relevant ones among these, by document language and split."""

GRADES = frozenset({0, 1, 3})
"""Not valuable, somewhat valuable, very valuable."""

MOST = 5
"""Problems of one kind that are named; the others are counted."""


class Hc4Source(Source):
    """One document language and split of HC4.

    Queries are in English (the original), in the documents' language (as people translated it: monolingual retrieval), in HC4's
    two others, and for ``dev`` and ``test`` in those that this project has added (``data/hc4/ORIGIN.md``). Where a topic was
    not translated into a language by people, it stands there as a system translated it; :meth:`check` says how many are.

    Only topics that are judged in the documents' language count. In ``zh/test`` two stand under the numbers that they are
    judged under (:data:`~xlrank.collections.hc4.topics.MISNUMBERED`), unlike in ir_datasets.

    Args:
        id: such as ``hc4/fa/test``.
        translation: the system whose translations of the English topics are searched with, such as
            ``20220114-scale21-sockeye2-tm1``; by default the last one in the file of topics, as in ir_datasets.

    Raises:
        XlrankError: there is no such part of HC4.
    """

    licence = "ODC-BY 1.0; documents: Common Crawl"

    def __init__(self, id: str, translation: str | None = None) -> None:
        self.id = id if translation is None else f"{id}?translation={translation}"
        family, _, part = id.partition("/")
        language, _, split = part.partition("/")
        if family != "hc4" or language not in CODES or split not in SPLITS:
            raise XlrankError(f"collection {id!r}: expected hc4/LANGUAGE/SPLIT with {', '.join(CODES)} and {', '.join(SPLITS)}")
        self.language, self.split, self.translation = language, split, translation
        self.files = Hc4Files(language, split)
        self.document_languages = [language]
        self.query_languages = sorted({"en", *CODES, *self.files.added_languages})

    @classmethod
    def opened(cls, id: str) -> "Hc4Source":
        """The source of an id that may end with ``?translation=SYSTEM``.

        Raises:
            XlrankError: there is no such part of HC4, or another option.
        """
        name, options = split_options(id, ("translation",))
        return cls(name, options.get("translation"))

    @property
    def documents_id(self) -> str:
        """The splits share their documents."""
        return "hc4"

    def document_files(self, language: str) -> list[Path]:
        """See :class:`~xlrank.collections.source.Source`."""
        found = self.files.documents or self.files.store
        if found is None:
            raise self.files.documents_absent()
        return [found]

    def read_documents(self, language: str) -> Iterator[Document]:
        """See :class:`~xlrank.collections.source.Source`."""
        return (Document(id_, clean(text), clean(title)) for id_, title, text in self._texts())

    def read_topics(self, language: str) -> list[Topic]:
        """See :class:`~xlrank.collections.source.Source`."""
        if language in self.files.added_languages:
            return self._added(language)
        found = {topic.id: topic.text(language, self.translation) for topic in self._judged.values()}
        return self._complete(found, f"no version in {language!r}")

    def read_translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """The English topics as the chosen system translated them; None for other languages."""
        if query_language != "en" or document_language != self.language:
            return None
        found = {topic.id: topic.machine(self.language, self.translation) for topic in self._judged.values()}
        if not self.translation:
            return self._complete(found, f"no machine translation into {self.language!r}")
        systems = sorted({system for topic in self._judged.values() for system in topic.systems(self.language)})
        problem = f"no translation into {self.language!r} by {self.translation!r}; there are {', '.join(systems) or 'none'}"
        return self._complete(found, problem)

    def translations_wanted(self, query_language: str, document_language: str) -> str:
        """See :class:`~xlrank.collections.source.Source`."""
        return f"{self.id} has translations of the English topics only; translate those in {query_language!r}, or search densely"

    def read_qrels(self, language: str, documents: Documents) -> Qrels:
        """The judgements; documents that are missing stay judged.

        Raises:
            XlrankError: the file is absent or malformed, judges none of the topics, or none of the documents.
        """
        path = self.files.qrels or self.files.fetched("judgements")
        qrels = read_qrels(path)
        if not set(qrels) & set(self._ids):
            raise XlrankError(
                f"{path}: judges topics {', '.join(list(qrels)[:3])}, … and none of {self.id}, which are "
                f"{', '.join(self._ids[:3])}, …; is it another split's file?"
            )
        judged = {document for grades in qrels.values() for document in grades}
        if not documents.fetch(judged):
            raise XlrankError(f"{path}: none of the {len(judged)} judged documents is among the {len(documents)} in {language!r}")
        return qrels

    def check(self, document_languages: Sequence[str]) -> Iterator[Finding]:
        """Which files are here, where the topics' texts come from, the grades, and every document's published checksum."""
        parts = self.files.parts()
        yield Finding("files: " + ", ".join(f"{part} {'here' if here else 'absent'}" for part, here in parts.items()))
        if self.files.topics:
            yield from self._origins()
        if self.files.qrels:
            yield from self._judgements(self.files.qrels)
        if parts["documents"]:
            yield from self._checksums()

    def expected_counts(self) -> dict[str, int]:
        """See :class:`~xlrank.collections.source.Source`."""
        topics, judged, relevant = FIGURES[self.language, self.split]
        counts = {f"documents.{self.language}": DOCUMENTS[self.language]}
        counts |= {f"judged.{self.language}": judged, f"relevant.{self.language}": relevant}
        return counts | {f"topics.{language}": topics for language in self.query_languages}

    def describe(self) -> Description:
        """See :class:`~xlrank.collections.source.Source`."""
        missing = ", ".join(part for part, here in self.files.parts().items() if not here)
        return Description(self.id, self.query_languages, self.document_languages, self.licence, missing)

    @cached_property
    def _judged(self) -> dict[str, Hc4Topic]:
        """The topics that are judged in the documents' language, by id."""
        path = self.files.topics or self._fetched_topics
        if isinstance(path, XlrankError):
            raise path
        numbered = renumbered(read_hc4_topics(path), self.language, self.split)
        found = {id_: topic for id_, topic in numbered.items() if self.language in topic.judged_in}
        if not found:
            raise XlrankError(f"{path}: no topic is judged in {self.language!r} (languages_with_qrels)")
        return found

    @cached_property
    def _fetched_topics(self) -> Path | XlrankError:
        """The file of topics by way of ir_datasets, or why there is none: one attempt is enough."""
        try:
            return self.files.fetched("topics")
        except XlrankError as error:
            return error

    @property
    def _ids(self) -> list[str]:
        """Their ids, for which HC4's file is not needed."""
        return list(self._judged) if self.files.topics else judged_ids(self.language, self.split)

    def _added(self, language: str) -> list[Topic]:
        path = self.files.translated(language)
        topics = {topic.id: topic for topic in read_topics(path)}
        return self._complete({id_: topics.get(id_) for id_ in self._ids}, f"not in {path}")

    def _complete(self, found: dict[str, Topic | None], problem: str) -> list[Topic]:
        lacking = [id_ for id_, topic in found.items() if topic is None]
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise XlrankError(f"{self.id}: topic {lacking[0]!r}{more}: {problem}")
        return [topic for topic in found.values() if topic is not None]

    def _texts(self) -> Iterator[Texts]:
        if self.files.documents:
            return read_hc4_documents(self.files.documents)
        if not self.files.store:
            raise self.files.documents_absent()
        id_ = f"hc4/{self.language}"
        stored = told_items(id_, "documents", lambda: load_dataset(id_).docs_iter())
        return ((document.doc_id, document.title or "", document.text or "") for document in stored)

    def _origins(self) -> Iterator[Finding]:
        for language in ("en", *CODES):
            texts = [(topic, topic.text(language, self.translation)) for topic in self._judged.values()]
            origins = Counter(topic.origin(text) for topic, text in texts if text)
            yield Finding(f"topics {language}: " + (", ".join(f"{n} {origin}" for origin, n in origins.items()) or "none"))
        for listed, judged in MISNUMBERED.get((self.language, self.split), {}).items():
            if judged in self._judged:
                yield Finding(f"topic {judged}: listed as {listed} in HC4's topics, but judged as {judged}")

    def _judgements(self, path: Path) -> Iterator[Finding]:
        grades = {grade for judged in read_qrels(path).values() for grade in judged.values()}
        if not grades <= GRADES:
            yield Finding(f"{path}: grades {sorted(grades)}, expected {sorted(GRADES)}", is_problem=True)

    def _checksums(self) -> Iterator[Finding]:
        ids = self.files.ids
        if not ids:
            missing = f"{self.files.code}/ids*.jsonl.gz"
            yield Finding(f"documents {self.language}: not compared with HC4's checksums, as {missing} is absent")
            return
        count, problems = differences(lambda: read_checksums(ids), lambda: map(checksum, self._texts()))
        if not problems:
            yield Finding(f"documents {self.language}: {count} with the checksums that HC4 publishes")
        yield from (Finding(f"documents {self.language}: {problem}", is_problem=True) for problem in problems[:MOST])
        if len(problems) > MOST:
            yield Finding(f"documents {self.language}: … and {len(problems) - MOST} more that differ", is_problem=True)
