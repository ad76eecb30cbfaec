"""The ranker: a base with a composition, which scores, ranks and re-orders documents for queries."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base
from xlrank.collections import Collection, Document
from xlrank.composition import Composition, as_composition
from xlrank.composition.resolve import StandInRule, resolver
from xlrank.composition.rules import check_sides
from xlrank.composition.sides import is_late
from xlrank.errors import XlrankError
from xlrank.languages import ALIASES
from xlrank.modules import Module
from xlrank.precision import Precision, resolve_precision
from xlrank.progress import Progress, told
from xlrank.ranking.blank import notes_of
from xlrank.ranking.interaction import Pair, Storage
from xlrank.ranking.journal import Journal
from xlrank.runs import Run
from xlrank.text import clean, spelled

if TYPE_CHECKING:
    from xlrank.ranking.explain import Explanation
    from xlrank.ranking.interaction import Interaction

LOG = logging.getLogger("xlrank")

Languages = tuple[str, str]
"""The languages of a query and of a document."""

ANY: Languages = ("", "")
"""Stands for all languages where a composition leaves none open."""


@dataclass(frozen=True, repr=False)
class Hit:
    """A ranked document; its score is the interaction's: a relevance logit, or a similarity; never a probability."""

    document: Document
    score: float
    rank: int

    def __repr__(self) -> str:
        return f"Hit(rank={self.rank}, score={self.score:.4f}, {self.document})"


class Ranker:
    """``base + composition``: adding another module stacks it on top.

    A composition may leave its languages open with the words ``query`` and ``document``, as in ``split(query,document)+rank``;
    the methods are then told the languages, and one call, one batch even, may mix any number of them.

    Its ranking module decides how query and document meet: encoded together by a cross-encoder (the paper), or each alone (late
    interaction, also ``late()``), in which case the document vectors of a collection are made once and kept.

    Args:
        base: the encoder.
        composition: a composition, a single module, or an expression such as ``split(query,document)+rank``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``int8``; the relevance head is always float32.
        max_length: word pieces a pair is cut to (default: what the ranking module's or the base's checkpoint states, else what
            the base takes); in late interaction each side, where that is less than the ranking module says.
        modules: folders or ids of modules by the name they stand for, e.g. ``{"ug": "my/ug"}``.
        stand_in: what a language without a module gets, ``nearest`` or ``average`` (:mod:`xlrank.composition.resolve`).
        reference: repeat the original code's quirks (:func:`xlrank.composition.compose.compose`), to repeat its numbers.
        storage: of documents' token vectors in late interaction, ``float16`` or ``int8``.

    Raises:
        XlrankError: a module belongs to another base, or the composition cannot rank.
    """

    def __init__(
        self,
        base: Base,
        composition: Composition | Module | str,
        *,
        precision: Precision = "auto",
        max_length: int | None = None,
        modules: Mapping[str, str | Path] | None = None,
        stand_in: StandInRule = "nearest",
        reference: bool = False,
        storage: Storage = "float16",
    ) -> None:
        self.base, self.modules, self.stand_in, self.reference = base, modules or {}, stand_in, reference
        self.storage: Storage = storage
        open_sides = resolver(modules=self.modules, stand_in=stand_in, keep_sides=True)
        self.composition = as_composition(composition).resolve(open_sides)
        self.precision: Precision = precision
        self.max_length = max_length
        self._resolved: dict[Languages, Composition] = {}
        for leaf in self.composition.leaves():
            if leaf.module is not None:
                leaf.module.check_base(base)
        self.late = is_late(self.composition)

    def __add__(self, other: Composition | Module | str) -> "Ranker":
        settings = {
            name: getattr(self, name) for name in ("precision", "max_length", "modules", "stand_in", "reference", "storage")
        }
        return Ranker(self.base, self.composition + other, **settings)

    def __repr__(self) -> str:
        return f"Ranker({self.base.name!r} + {self.composition})"

    @property
    def is_open(self) -> bool:
        """Whether the composition leaves languages open."""
        return any(leaf.module is None for leaf in self.composition.leaves())

    def composition_for(self, languages: Languages | None = None) -> Composition:
        """The composition with its open languages filled in.

        Args:
            languages: of query and document, as codes or names; not needed where nothing is open.

        Raises:
            XlrankError: languages are needed but not given, or unknown.
        """
        if not self.is_open:
            languages = ANY
        if languages is None:
            raise XlrankError(
                f'composition {self.composition}: it leaves languages open; give languages=("ky", "en") or the like'
            )
        if languages not in self._resolved:
            found = self.composition
            if self.is_open:
                found = found.resolve(resolver(*languages, modules=self.modules, stand_in=self.stand_in))
            check_sides(found, reference=self.reference)
            self._resolved[languages] = found
        return self._resolved[languages]

    @cached_property
    def interaction(self) -> "Interaction":
        """What scores pairs."""
        if self.late:
            from xlrank.ranking.late import LateInteraction

            settings: dict[str, Any] = {"max_length": self.max_length, "storage": self.storage}
            return LateInteraction(self.base, resolve_precision(self.precision), **settings)
        from xlrank.ranking.cross import CrossEncoder

        precision = resolve_precision(self.precision)
        return CrossEncoder(self.base, precision, max_length=self.max_length, reference=self.reference)

    def score(
        self,
        pairs: Iterable[Pair],
        *,
        languages: Languages | Sequence[Languages] | None = None,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """Relevance [pairs] of (query, document) texts, in the order given: logits, or similarities in late interaction.

        Pairs with a text without content score lowest, and a warning names them; another counts pairs that a cross-encoder cut.

        Args:
            pairs: texts.
            languages: (query's, document's) of all pairs, or of each; needed where the composition leaves languages open.
            journal: where finished batches are kept, so that an interrupted call can be repeated cheaply.
            progress: told how far the work is.

        Raises:
            XlrankError: languages are missing, or nothing in the composition scores relevance.
        """
        pairs = list(pairs)
        return self._scored(pairs, lambda number: f"the document of pair {number}", languages, journal, progress)

    def _scored(
        self,
        pairs: Sequence[Pair],
        name: Callable[[int], str],
        languages: Languages | Sequence[Languages] | None,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float32]:
        """See :meth:`score`; ``name`` gives what warnings call the document of a pair."""
        if not pairs:
            return np.empty(0, np.float32)
        compositions = self._compositions(languages, len(pairs))
        scores, blanks, notes = self.interaction.score(_spelled(pairs, languages), compositions, journal, progress)
        for note in [*notes_of(blanks, lambda number: f"the query {pairs[number][0]!r}", name), *notes]:
            LOG.warning("%s", note)
        return scores

    def _compositions(self, languages: Languages | Sequence[Languages] | None, count: int) -> list[Composition]:
        """The composition of each pair."""
        if languages is None or (len(languages) == 2 and all(isinstance(language, str) for language in languages)):
            return [self.composition_for(cast("Languages | None", languages))] * count
        if len(languages) != count:
            raise XlrankError(
                f"ranking: languages of {len(languages)} pairs for {count}; give one pair of languages for each, or one"
            )
        return [self.composition_for((query, document)) for query, document in cast("Sequence[Languages]", languages)]

    def rank(
        self,
        query: str,
        documents: Iterable[Document | str],
        top_k: int | None = None,
        *,
        languages: Languages | Sequence[Languages] | None = None,
    ) -> list[Hit]:
        """Order documents by relevance to a query, best first; equal scores in the order of document ids.

        Args:
            query: the query's text.
            documents: documents, or texts (whose ids become their positions).
            top_k: how many to return (default: all).
            languages: as for :meth:`score`; one pair of languages for each document where they differ.
        """
        records = [Document(str(i), d) if isinstance(d, str) else d for i, d in enumerate(documents)]
        pairs = [(query, document.full_text) for document in records]
        scores = self._scored(pairs, lambda number: f"document {records[number].id!r}", languages)
        order = sorted(range(len(records)), key=lambda i: (-scores[i], records[i].id))[:top_k]
        return [Hit(records[i], float(scores[i]), rank) for rank, i in enumerate(order, 1)]

    def explain(self, query: str, document: Document | str, languages: Languages | None = None) -> "Explanation":
        """Look inside late interaction: which word pieces of the two texts met, and how near they came.

        Args:
            query: text.
            document: a document, or its text.
            languages: as for :meth:`score`.

        Raises:
            XlrankError: the ranker is a cross-encoder, languages are missing, or a text has no content.
        """
        from xlrank.ranking.explain import explain
        from xlrank.ranking.late import LateInteraction

        composition, text = self.composition_for(languages), document if isinstance(document, str) else document.full_text
        if not isinstance(self.interaction, LateInteraction):
            raise XlrankError(
                f"explain shows late interaction; this composition is a cross-encoder's: {composition}; "
                "use a late ranking module, or late()"
            )
        [(query, text)] = _spelled([(query, text)], languages)
        return explain(self.interaction, query, text, composition)

    def rerank(
        self,
        run: Run,
        collection: Collection,
        *,
        query_language: str | None = None,
        document_language: str | None = None,
        fields: str = "title+description",
        queries: Mapping[str, str] | None = None,
        depth: int = 100,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Re-order the first ``depth`` documents of each topic; the rest of the run follows in its old order.

        Texts without content rank last, and topics of the run that the collection lacks are left out; notes in the metadata
        name both.

        Args:
            run: the candidates.
            collection: topics and documents.
            query_language: of the topics.
            document_language: of the documents.
            fields: of the topics that make the query.
            queries: query texts by topic id, instead of the collection's topics.
            depth: candidates of each topic that are re-ordered.
            journal: where finished batches are kept.
            progress: told how far the work is; by default that is shown on standard error.

        Raises:
            XlrankError: the run names a document that the collection lacks, or no topic that it has.
        """
        if queries is None:
            queries = {topic.id: topic.query(fields) for topic in collection.topics(query_language)}
        left_out, run = run.foreign(queries), run.only(queries)
        candidates = list(run.top(depth).pairs())
        documents = collection.documents(document_language)
        if unknown := set(documents.missing(document for _, document in candidates)):
            first = next(document for _, document in candidates if document in unknown)
            raise XlrankError(
                f"run {run.name!r}: document {first!r} is not in collection {collection.id!r}; was it made for another one?"
            )
        languages = (query_language, document_language) if query_language and document_language else None
        composition = self.composition_for(languages)
        if not candidates:
            return merge(run, candidates, np.empty(0, np.float32), str(composition)).noted(*left_out)
        asked = [(_as_compared(queries[topic], query_language or ""), document) for topic, document in candidates]
        with told(progress, str(composition)) as report:
            scores, blanks, notes = self.interaction.score_candidates(asked, documents, composition, journal, report)
        empty = notes_of(blanks, lambda i: f"topic {candidates[i][0]!r}", lambda i: f"document {candidates[i][1]!r}")
        return merge(run, candidates, scores, str(composition)).noted(*left_out, *empty, *notes)


def merge(run: Run, candidates: Sequence[tuple[str, str]], scores: NDArray[np.float32], name: str) -> Run:
    """The candidates by their new scores, then the untouched tail of ``run`` with scores that keep it below them."""
    new: dict[str, dict[str, float]] = {topic: {} for topic in run.rankings}
    for (topic, document), score in zip(candidates, scores, strict=True):
        new[topic][document] = float(score)
    for topic, ranking in run.rankings.items():
        floor = min(new[topic].values(), default=0.0)
        tail = [document for document, _ in ranking if document not in new[topic]]
        new[topic] |= {document: floor - place for place, document in enumerate(tail, 1)}
    return Run.of(name, new)


def _spelled(pairs: Sequence[Pair], languages: Languages | Sequence[Languages] | None) -> list[Pair]:
    """The pairs in the letters of their languages, where these are known."""
    if languages is None:
        return list(pairs)
    each = [languages] * len(pairs) if isinstance(languages[0], str) else languages
    return [
        (_as_compared(query, one), _as_compared(document, other))
        for (query, document), (one, other) in zip(pairs, cast("Sequence[Languages]", each), strict=True)
    ]


def _as_compared(text: str, language: str) -> str:
    """A text normalised, in the letters of its language, a code or a name; a module's name may also be no language at all."""
    code = language.strip().lower()
    return spelled(clean(text), ALIASES.get(code, code))
