"""What a first stage is: something that finds documents for topics, and what it is asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from xlrank.bases import Base
from xlrank.collections import Collection, Topic
from xlrank.collections.collection import spelled_topics
from xlrank.collections.documents import Documents
from xlrank.composition import Composition, parse
from xlrank.composition.resolve import StandInRule, resolver
from xlrank.errors import XlrankError
from xlrank.progress import StageProgress, shown
from xlrank.retrieval.expression import Call
from xlrank.runs import Run
from xlrank.text import clean, few

T = TypeVar("T")

RETRIEVED = 1000
"""Documents that a first stage returns for a topic."""


@dataclass(frozen=True)
class Search:
    """What a first stage is asked: the topics of one language against the documents of another.

    Attributes:
        collection: topics and documents.
        query_language: of the topics.
        document_language: of the documents.
        base: the encoder of ``dense`` and ``psq``.
        fields: query fields.
        depth: documents a topic.
        topics: only these topic ids; None: all.
        progress: told what goes on; by default it is shown on standard error.
        modules: gives folders or ids by the name that they stand for in compositions; called when there is one.
        stand_in: what a language without a module gets in compositions.
        asked: topics of one's own, instead of the collection's.

    Parts of a first stage that ask for the same thing share it (:meth:`once`).
    """

    collection: Collection
    query_language: str
    document_language: str
    base: Base
    fields: str = "title+description"
    depth: int = RETRIEVED
    topics: frozenset[str] | None = None
    progress: StageProgress = shown
    modules: Callable[[], Mapping[str, str]] = dict
    stand_in: StandInRule = "nearest"
    asked: Sequence[Topic] | None = None
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What ``make`` gives; it is called once in this search for each key."""
        if key not in self._made:
            self._made[key] = make()
        return cast("T", self._made[key])

    @cached_property
    def documents(self) -> Documents:
        """The documents searched."""
        return self.collection.documents(self.document_language, self.progress)

    @cached_property
    def originals(self) -> list[Topic]:
        """All topics, in their own language."""
        if self.asked is None:
            return self.collection.topics(self.query_language)
        return spelled_topics(self.asked, self.query_language)

    @property
    def translations(self) -> list[Topic]:
        """The topics in the documents' language, as far as the collection has translations; themselves if they are in it.

        Raises:
            XlrankError: there are none.
        """
        if self.asked is None:
            return self.collection.search_topics(self.query_language, self.document_language)
        if self.query_language == self.document_language:
            return self.originals
        raise XlrankError(
            "bm25 searches with translated topics, and nobody has translated this query; take dense or psq (no translation), "
            "bm25(mt=MODEL) or, for words that are the same in both languages, bm25(as-is)"
        )

    def chosen(self, topics: Sequence[Topic]) -> list[Topic]:
        """Those of ``topics`` that are asked for."""
        return [topic for topic in topics if self.topics is None or topic.id in self.topics]

    def composed(self, expression: str) -> Composition:
        """A composition for this search's languages, modules loaded.

        Raises:
            XlrankError: it is malformed, a module is missing or of another base, or its parts do not combine.
        """

        def make() -> Composition:
            asked = resolver(self.query_language, self.document_language, self.modules(), stand_in=self.stand_in)
            found = parse(expression).resolve(asked)
            for leaf in found.leaves():
                leaf.loaded().check_base(self.base)
            return found

        return self.once(f"composition {expression}", make)

    def path(self, template: str) -> Path:
        """A path in which ``{query}`` and ``{document}`` stand for the languages."""
        return Path(template.replace("{query}", self.query_language).replace("{document}", self.document_language))

    def queries(self, topics: Sequence[Topic]) -> dict[str, str]:
        """Query texts by topic id; topics without any text in the wanted fields are left out."""
        texts = {topic.id: topic.query(self.fields) for topic in self.chosen(topics)}
        return {topic: text for topic, text in texts.items() if clean(text)}

    def blanks(self) -> list[str]:
        """Notes on topics and documents without content, which find nothing and are never found."""
        notes = []
        found = self.queries(self.originals)
        topics = [f"topic {topic.id!r}" for topic in self.chosen(self.originals) if topic.id not in found]
        if topics:
            lacking = f"no text in {self.fields}"
            notes.append(few(topics, f"has {lacking} and finds nothing", f"have {lacking} and find nothing"))
        facts = self.documents.facts
        if facts["empty"]:
            names = [f"document {id_!r}" for id_ in facts["empty_ids"]]
            notes.append(few(names, "has no text and is never found", "have no text and are never found", facts["empty"]))
        return notes


class FirstStage(ABC):
    """Something that finds documents.

    Attributes:
        call: as it is written.
    """

    def __init__(self, call: Call) -> None:
        self.call = call

    def __str__(self) -> str:
        return str(self.call)

    @abstractmethod
    def identity(self, search: Search) -> Any:  # noqa: ANN401 - JSON values
        """What decides the run, as JSON values; cheap, and raises an XlrankError where something is missing."""

    @abstractmethod
    def run(self, search: Search) -> Run:
        """The candidates."""

    def run_once(self, search: Search) -> Run:
        """The candidates, made once in a search, whoever asks for them."""
        return search.once(f"run of {self}", lambda: self.run(search))

    def index(self, search: Search) -> list[Path]:
        """Build whatever is searched, or find it; the query's side of ``search`` does not matter."""
        return []

    def check(self, search: Search) -> None:
        """Say what is missing, without reading documents or loading models.

        Raises:
            XlrankError: the stage cannot work on this search.
        """


class CompoundStage(FirstStage):
    """A first stage that works on the candidates of others.

    Attributes:
        parts: these others; whoever has their runs already hands them to :meth:`combine`.
        asking: a first stage that searches once more, with what the parts found.
    """

    parts: Sequence[FirstStage]
    asking: FirstStage | None = None

    @abstractmethod
    def combine(self, runs: Sequence[Run], search: Search) -> Run:
        """The candidates, given the runs of the parts in their order."""

    def run(self, search: Search) -> Run:
        """See :class:`FirstStage`."""
        return self.combine([part.run_once(search) for part in self.parts], search)

    def index(self, search: Search) -> list[Path]:
        """See :class:`FirstStage`."""
        return list(dict.fromkeys(path for stage in self._stages() for path in stage.index(search)))

    def check(self, search: Search) -> None:
        """See :class:`FirstStage`."""
        for stage in self._stages():
            stage.check(search)

    def _stages(self) -> list[FirstStage]:
        return [*self.parts, *([self.asking] if self.asking else [])]
