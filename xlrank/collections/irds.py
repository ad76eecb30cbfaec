"""Datasets of ir_datasets (https://ir-datasets.com) as collections: ``irds:ID``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlrank.collections.documents import Documents, check_id
from xlrank.collections.irds_loading import PREFIX, load_dataset, told, told_items
from xlrank.collections.options import split_options
from xlrank.collections.reading import Qrels
from xlrank.collections.records import Document, Topic
from xlrank.collections.source import Finding, Source
from xlrank.errors import XlrankError
from xlrank.languages import language_code
from xlrank.text import clean

ALIASES = {"dt": "nl", "simple": "en"}
"""Languages that ir_datasets names in a way of its own."""

DOCUMENTS_NAMED = re.compile(r"(?:miracl|mr-tydi|mmarco(?:/v2)?|hc4|neuclir/1|neumarco|wikiclir)/([a-z]{2})(?:/|$)")
"""Ids that name the documents' language, for datasets that do not state it."""

ENGLISH_QUERIES = re.compile(r"(?:hc4|neuclir|neumarco|wikiclir)/")
ENGLISH = re.compile(r"(?:beir|nano-beir)/")

MOST = 5
"""Subsets of a dataset that are named where it cannot be used itself."""


@dataclass(frozen=True)
class Fields:
    """The fields of a query's record that are a topic's title and description; an empty title is the record's own text."""

    title: str = ""
    description: str = ""


class IrdsSource(Source):
    """A dataset of ir_datasets with documents, queries and judgements.

    Topics have a title and a description where the records have both, or the record's default text as their title. Records that
    carry translations (HC4, NeuCLIR, the TREC tracks in Spanish and Chinese) give topics in each language: as people translated
    them (``ht_``) in the documents' language, and as machines did (``mt_``) as translations to search with.

    The languages are what ``?queries=`` and ``?documents=`` say, else what the dataset states, else what its id tells.

    Nothing is downloaded before it is read; ir_datasets downloads by itself what may be downloaded.

    Args:
        id: as ir_datasets names it, after ``irds:``, with ``?queries=LANG&documents=LANG`` where needed.

    Raises:
        XlrankError: ir_datasets is not installed or knows no such dataset, it lacks documents, queries or judgements, or its
            languages are unknown.
    """

    same_topics = False  # many datasets have more queries than judged ones

    def __init__(self, id: str) -> None:
        self.id = id
        self.name, options = split_options(id.removeprefix(PREFIX), ("queries", "documents"))
        self.dataset = load_dataset(self.name)
        lacking = [what for what in ("docs", "queries", "qrels") if not self.dataset.has(what)]
        if lacking:
            raise XlrankError(f"{PREFIX}{self.name}: has no {' and no '.join(lacking)}; {self._subsets()}")
        self.licence = f"see https://ir-datasets.com/{self.name.partition('/')[0]}.html"
        documents = options.get("documents") or self.dataset.docs_lang() or _named_language(self.name)
        self.document_languages = [self._language(documents, "documents")]
        self._fields, self._machine = self._queries_fields(options.get("queries"))
        self.query_languages = sorted(self._fields)

    @property
    def documents_id(self) -> str:
        """The dataset that the documents belong to; its subsets share them."""
        import ir_datasets

        return PREFIX + str(ir_datasets.docs_parent_id(self.name))

    def document_identity(self, language: str) -> list[Any]:
        """The dataset, the version of ir_datasets, what that knows of the documents, and files that it did not download."""
        import ir_datasets

        return [ir_datasets.__version__, self.dataset.docs_metadata(), *super().document_identity(language)]

    def document_files(self, language: str) -> list[Path]:
        """The files that were put there by hand: those that ir_datasets downloads are what its version says they are.

        Raises:
            XlrankError: they are missing.
        """
        try:
            found = self.dataset.docs_path(force=False)
        except (AttributeError, NotImplementedError, TypeError):
            return []  # not every kind of documents has files of its own
        paths = [Path(path) for path in (found if isinstance(found, list) else [found])]
        if self.dataset.docs_metadata() and not any(map(self._by_hand, paths)):
            return []
        stored = [Path(f"{path}.pklz4") / "bin" for path in paths]
        with told(self.name, "documents"):
            if not all(path.exists() for path in paths) and all(path.is_file() for path in stored):
                return stored  # it was read once, and can be read from there
            self.dataset.docs_path()
        return [path for path in paths if path.is_file()]

    def read_documents(self, language: str) -> Iterator[Document]:
        """See :class:`~xlrank.collections.source.Source`."""
        for record in told_items(self.name, "documents", self.dataset.docs_iter):
            with told(self.name, "documents"):
                title, text = clean(str(getattr(record, "title", "") or "")), clean(record.default_text())
            # The default text is all that is searched and ranked; where it starts with the title, that becomes our title.
            rest = text.removeprefix(f"{title} ").strip() if title else text
            yield Document(str(record.doc_id), rest, title if rest != text else "")

    def read_topics(self, language: str) -> list[Topic]:
        """See :class:`~xlrank.collections.source.Source`; queries without any text are left out."""
        return self._topics(self._fields[language], self._machine.get(language))

    def read_qrels(self, language: str, documents: Documents) -> Qrels:
        """The judgements of the dataset's own queries; some datasets judge those of other subsets too."""
        known = {topic.id for topic in self.read_topics(self.query_languages[0])}
        qrels: Qrels = {}
        for row in told_items(self.name, "judgements", self.dataset.qrels_iter):
            if row.query_id in known:
                qrels.setdefault(str(row.query_id), {})[str(row.doc_id)] = int(row.relevance)
        if not qrels:
            raise XlrankError(f"{PREFIX}{self.name}: none of its {len(known)} queries is judged")
        return qrels

    def read_translations(self, query_language: str, document_language: str) -> list[Topic] | None:
        """The English topics as they were machine-translated, where the records carry that; None otherwise."""
        fields = self._machine.get(document_language) if query_language == "en" else None
        return self._topics(fields) if fields and document_language in self.document_languages else None

    def check(self, document_languages: Sequence[str]) -> Iterator[Finding]:
        """How many queries are judged, and how many have no text."""
        judged = {str(row.query_id) for row in told_items(self.name, "judgements", self.dataset.qrels_iter)}
        ids = [str(query.query_id) for query in self._records]
        topics = {topic.id for topic in self.read_topics(self.query_languages[0])}
        yield Finding(f"queries: {len(ids)}, judged {len(judged & topics)}, without text {len(set(ids) - topics)}")
        if judged - set(ids):
            yield Finding(f"judgements of {len(judged - set(ids))} queries of other subsets are left out")

    def expected_counts(self) -> dict[str, int]:
        """As far as ir_datasets knows them."""
        documents, language = self.dataset.docs_metadata().get("count"), self.document_languages[0]
        return {f"documents.{language}": int(documents)} if documents else {}

    @cached_property
    def _records(self) -> list[Any]:
        return list(told_items(self.name, "queries", self.dataset.queries_iter))

    def _topics(self, fields: Fields, otherwise: Fields | None = None) -> list[Topic]:
        found: list[Topic] = []
        seen: set[str] = set()
        for record in self._records:
            check_id(str(record.query_id), seen, f"{PREFIX}{self.name}: query id")
            texts = [_topic(record, wanted) for wanted in (fields, otherwise) if wanted]
            found += [topic for topic in texts if topic.query()][:1]
        if not found:
            raise XlrankError(f"{PREFIX}{self.name}: holds no queries with any text")
        return found

    def _queries_fields(self, wanted: str | None) -> tuple[dict[str, Fields], dict[str, Fields]]:
        """Which fields hold the queries in each language, and which hold their machine translations."""
        names = frozenset(getattr(self.dataset.queries_cls(), "_fields", ()))
        into = {name.partition("_")[0] for name in names if re.fullmatch(r"[a-z]{2}_mt_title", name)}
        machine = {code: Fields(f"{code}_mt_title", f"{code}_mt_description") for code in sorted(into)}
        documents = self.document_languages[0]
        if "mt_title" in names:
            machine[documents] = Fields("mt_title", "mt_description")
        codes = {name.removeprefix("title_") for name in names if re.fullmatch(r"title_[a-z]{2}", name)}
        several = {code: Fields(f"title_{code}", f"description_{code}") for code in codes if f"description_{code}" in names}
        if several:
            code = self._language(wanted, "queries") if wanted else None
            if code and code not in several:
                raise XlrankError(f"{self.id}: its queries are in {', '.join(sorted(several))}")
            return ({code: several[code]} if code else several), machine
        description = "description" if "description" in names else ""
        own = Fields("title" if description and "title" in names else "", description)
        stated = wanted or self.dataset.queries_lang() or ("en" if machine else _named_language(self.name, queries=True))
        fields = {self._language(stated, "queries"): own}
        if "ht_title" in names:
            fields.setdefault(documents, Fields("ht_title", "ht_description"))
        return fields, machine

    def _language(self, stated: str | None, what: str) -> str:
        if not stated:
            raise XlrankError(
                f"{PREFIX}{self.name}: it is not stated which language its {what} are in; say so: {PREFIX}{self.name}?{what}=LANG"
            )
        try:
            return language_code(ALIASES.get(stated, stated))
        except XlrankError as error:
            raise XlrankError(f"{PREFIX}{self.name}: {what}: {error}") from None

    def _by_hand(self, path: Path) -> bool:
        """Whether ir_datasets cannot download this file, but says where it is obtained."""
        import ir_datasets

        top = self.name.partition("/")[0]
        files: Mapping[str, Any] = ir_datasets.util.DownloadConfig.contents().get(top, {})
        by_hand = [entry for entry in files.values() if isinstance(entry, dict) and "instructions" in entry]
        places = [Path(top, str(entry.get("cache_path", ""))).parts for entry in by_hand]
        return any(path.parts[-len(parts) :] == parts for parts in places)

    def _subsets(self) -> str:
        """The subsets that have all that is needed, for a message."""
        import ir_datasets

        below = (id_ for id_ in ir_datasets.registry if id_.startswith(f"{self.name}/"))
        whole = [id_ for id_ in below if all(ir_datasets.load(id_).has(what) for what in ("docs", "queries", "qrels"))]
        if not whole:
            return "choose a dataset with all three"
        return f"choose {', '.join(PREFIX + id_ for id_ in whole[:MOST])}{', …' if len(whole) > MOST else ''}"


def _named_language(id: str, *, queries: bool = False) -> str | None:
    """The language that an id tells, of the documents or of the queries."""
    if ENGLISH.match(id) or (queries and ENGLISH_QUERIES.match(id)):
        return "en"
    found = DOCUMENTS_NAMED.match(id)
    return found[1] if found else None


def _topic(record: Any, fields: Fields) -> Topic:  # noqa: ANN401 - ir_datasets' own
    title = getattr(record, fields.title) if fields.title else record.default_text()
    description = getattr(record, fields.description) if fields.description else ""
    texts = [clean(str(text or "")) for text in (title, description)]
    return Topic(str(record.query_id), texts[0], texts[1] if texts[1] != texts[0] else "")
