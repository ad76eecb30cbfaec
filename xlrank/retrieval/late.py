"""Late interaction as a first stage: exact MaxSim over all documents of a collection, whose vectors are made once."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from xlrank.bases import Base
from xlrank.composition import Composition, late, parse
from xlrank.composition.identity import identity_of
from xlrank.composition.rules import check_sides
from xlrank.composition.sides import meeting_of, side_of
from xlrank.errors import XlrankError
from xlrank.precision import ResolvedPrecision, resolve_precision
from xlrank.ranking.interaction import Storage
from xlrank.retrieval.expression import Call
from xlrank.retrieval.first_stage import FirstStage, Search
from xlrank.retrieval.options import check_options
from xlrank.runs import Run

if TYPE_CHECKING:
    from xlrank.ranking.late import LateInteraction


class Late(FirstStage):
    """``late(COMPOSITION)``: late interaction under a composition, with all documents."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        check_options(call, ("storage",), arguments=1)
        self.expression = call.arguments[0].name
        self.storage = cast("Storage", call.options.get("storage", "float16"))
        if self.storage not in get_args(Storage):
            raise XlrankError(f"first stage {str(call)!r}: storage={self.storage}: expected {' or '.join(get_args(Storage))}")

    def check(self, search: Search) -> None:
        """See :class:`FirstStage`."""
        composed_apart(search, self.expression, str(self))

    def identity(self, search: Search) -> Any:  # noqa: ANN401
        """See :class:`FirstStage`."""
        composition, engine = self._at_work(search)
        sides = [identity_of(side_of(composition, "query")), identity_of(side_of(composition, "document"))]
        asked = [engine.settings(composition).as_dict(), engine.precision, engine.storage, search.queries(search.originals)]
        return ["late", search.base.fingerprint, sides, asked, search.documents.digest, search.depth]

    def run(self, search: Search) -> Run:
        """See :class:`FirstStage`; documents without content are never found."""
        composition, engine = self._at_work(search)
        queries = search.queries(search.originals)
        metadata = {"method": {"name": "late", "composition": str(composition), "depth": search.depth}}
        if not queries:
            return Run("late", {}, metadata).noted(*search.blanks())
        documents = search.documents
        with search.progress(f"{search.document_language} token vectors of documents") as told:
            ids, scores = engine.search(list(queries.values()), documents, composition, told)
        order, rankings = np.argsort(np.array(ids)), {}
        lowest = engine.settings(composition).lowest
        for topic, row in zip(queries, scores, strict=True):
            best = order[np.argsort(-row[order], kind="stable")][: search.depth]  # equal scores in the order of ids
            rankings[topic] = tuple((ids[i], float(row[i])) for i in best if row[i] > lowest)
        return Run("late", rankings, metadata).noted(*search.blanks())

    def index(self, search: Search) -> list[Path]:
        """See :class:`FirstStage`."""
        composition, engine = self._at_work(search)
        store, documents = engine.store(search.documents, composition), search.documents
        with search.progress(f"{search.document_language} token vectors of documents") as told:
            engine.fill(store, documents.ids, documents, composition, told)
        return [store.folder]

    def _at_work(self, search: Search) -> "tuple[Composition, LateInteraction]":
        """The composition for a search, and what encodes and compares."""
        return composed_apart(search, self.expression, str(self)), _engine(search.base, resolve_precision(), self.storage)


def composed_apart(search: Search, expression: str, stage: str) -> Composition:
    """A composition whose sides are encoded apart.

    Raises:
        XlrankError: it has a cross-encoder's ranking module, or cannot be composed for this search.
    """
    meeting = meeting_of(search.composed(expression))
    if meeting is not None and meeting.interaction == "cross":
        assert meeting.module is not None
        raise XlrankError(
            f"first stage {stage!r}: {meeting.module.name} is a cross-encoder's module, which cannot find documents; expected "
            "language modules and a ranking module for late interaction"
        )
    # Without a ranking module the bare vectors meet.
    composition = search.composed(expression) if meeting else search.composed(str(parse(expression) + late()))
    check_sides(composition)
    return composition


@lru_cache(maxsize=1)
def _engine(base: Base, precision: ResolvedPrecision, storage: Storage) -> "LateInteraction":
    """What encodes and compares; kept, since each language pair asks for it."""
    from xlrank.ranking.late import LateInteraction

    return LateInteraction(base, precision, storage=storage)
