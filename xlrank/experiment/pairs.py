"""A language pair of a collection, as an experiment evaluates it: topics, judgements, first stage."""

from dataclasses import dataclass
from functools import cached_property

from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.collections.reading import Qrels
from xlrank.composition.resolve import StandInRule
from xlrank.errors import XlrankError
from xlrank.experiment.model import Data, Experiment
from xlrank.experiment.modules import filled
from xlrank.progress import StageProgress
from xlrank.retrieval.first_stage import FirstStage, Search
from xlrank.retrieval.methods import first_stage


@dataclass(frozen=True)
class LanguagePair:
    """Where the runs of a pair come from.

    Attributes:
        collection: opened.
        query: language of the topics.
        document: language of the documents.
        fields: query fields.
        stage: whose candidates are re-ordered.
        translated: whether rankers read the topics' translations into the documents' language.
        most_topics: the first so many topics only, by id; None: all.
        modules: the experiment's, for the compositions of first stages.
        stand_in: what a language without a module gets in them.
    """

    collection: Collection
    query: str
    document: str
    fields: str
    stage: FirstStage
    translated: bool = False
    most_topics: int | None = None
    modules: tuple[tuple[str, str], ...] = ()
    stand_in: StandInRule = "nearest"

    def __str__(self) -> str:
        return f"{self.collection.source.id} {self.query}-{self.document}"

    @property
    def folder(self) -> str:
        """The collection's name as a file name."""
        name = self.collection.source.id.rstrip("/")
        if name.startswith("folder:"):
            name = name.removeprefix("folder:").rpartition("/")[2]
        return "".join(character if character.isalnum() or character in "-+.~" else "-" for character in name) or "collection"

    @cached_property
    def qrels(self) -> Qrels:
        """The judgements of the topics that are evaluated."""
        qrels = self.collection.qrels(self.document)
        known = {topic.id for topic in self.collection.topics(self.query)}
        kept = [topic for topic in qrels if topic in known]
        if self.most_topics is not None:
            kept = sorted(kept, key=lambda id_: (len(id_), id_))[: self.most_topics]
        if not kept:
            raise XlrankError(f"{self}: no topic has judgements; topics and judgements are of different collections")
        return {topic: qrels[topic] for topic in kept}

    @cached_property
    def queries(self) -> dict[str, str]:
        """Query texts of the topics that are evaluated, by topic id.

        Raises:
            XlrankError: a topic has no text in the wanted fields.
        """
        texts = {t.id: t.query(self.fields) for t in self.collection.topics(self.query) if t.id in self.qrels}
        for topic, text in texts.items():
            if not text:
                raise XlrankError(f"{self}: topic {topic!r} has no {self.fields}; choose other fields or complete the topics")
        return texts

    @cached_property
    def ranked_queries(self) -> dict[str, str]:
        """Texts that rankers read, by topic id.

        Raises:
            XlrankError: as :attr:`queries`; or a topic is not translated.
        """
        if not self.translated:
            return self.queries
        topics = self.collection.search_topics(self.query, self.document)
        texts = {topic.id: topic.query(self.fields) for topic in topics if topic.id in self.qrels}
        if missing := [topic for topic in self.queries if topic not in texts]:
            raise XlrankError(f"{self}: topic {missing[0]!r} is not translated, and rankers read translations; complete them")
        return texts

    @property
    def ranked_language(self) -> str:
        """The language of :attr:`ranked_queries`."""
        return self.document if self.translated else self.query

    def search(self, base: Base, progress: StageProgress) -> Search:
        """What a first stage is asked for this pair."""
        return Search(
            self.collection,
            self.query,
            self.document,
            base,
            self.fields,
            topics=frozenset(self.queries),
            progress=progress,
            modules=lambda: filled(dict(self.modules), {self.query, self.document}),
            stand_in=self.stand_in,
        )


def pairs_of(experiment: Experiment, data: Data, opened: dict[str, Collection]) -> list[LanguagePair]:
    """The pairs of one of an experiment's collections; ``opened`` keeps the collections that are open.

    Raises:
        XlrankError: no such collection, or it lacks a language.
    """
    collection = opened.setdefault(data.id, Collection(data.id))
    stage = first_stage(data.first_stage or experiment.first_stage)
    found = []
    for pair in data.all_pairs():
        query, document = pair.split("-")
        for code, has, what in (
            (query, collection.query_languages, "topics"),
            (document, collection.document_languages, "documents"),
        ):
            if code not in has:
                raise XlrankError(f"collection {data.id!r} has no {what} in {code!r}; there are {', '.join(has) or 'none'}")
        fields = data.fields or experiment.fields
        translated = data.rank_with == "translations"
        modules = tuple(experiment.modules.items())
        settings = (fields, stage, translated, experiment.budget.topics, modules, experiment.stand_in)
        found.append(LanguagePair(collection, query, document, *settings))
    return found
