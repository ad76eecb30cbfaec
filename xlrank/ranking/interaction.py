"""What the two ways in which query and document meet have in common, and which of them a composition asks for."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.documents import Documents
from xlrank.composition import Composition
from xlrank.progress import Progress
from xlrank.ranking.blank import Blank
from xlrank.ranking.journal import Journal

Pair = tuple[str, str]
"""A query and a document, as text."""

Scores = NDArray[np.float32]
"""One score a pair, in the order asked; higher is more relevant."""

Storage = Literal["float16", "int8"]
"""How token vectors of documents are kept."""

BATCH_TOKENS = 4096
"""Word pieces that are computed at a time, padding included."""


class Scored(NamedTuple):
    """What an interaction says of pairs.

    Attributes:
        scores: of all pairs.
        blanks: the pairs with a text without content, which score lowest.
        notes: what else is odd about them, e.g. how many were cut.
    """

    scores: Scores
    blanks: list[Blank]
    notes: list[str]


class Interaction(Protocol):
    """Scores pairs of texts under compositions whose ranking module is of this interaction."""

    def score(
        self,
        pairs: Sequence[Pair],
        compositions: Sequence[Composition],
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Scored:
        """Scores [pairs], each pair by its own composition.

        Raises:
            XlrankError: a composition cannot be applied.
        """

    def score_candidates(
        self,
        candidates: Sequence[tuple[str, str]],
        documents: Documents,
        composition: Composition,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> Scored:
        """Scores [candidates] of (query text, document id) pairs.

        Args:
            candidates: every id is one of ``documents``.
            documents: of a collection.
            composition: of all of them.
            journal: where finished work is kept, if the interaction does not keep it elsewhere.
            progress: told how far the work is.
        """
