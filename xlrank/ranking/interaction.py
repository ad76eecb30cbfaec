"""What the two ways in which query and document meet have in common, and which of them a composition asks for."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.documents import Documents
from xlrank.composition import Composition
from xlrank.ranking.blank import Blank
from xlrank.ranking.journal import Journal

Pair = tuple[str, str]
"""A query and a document, as text."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do in all."""

Scores = NDArray[np.float32]
"""One score a pair, in the order asked; higher is more relevant."""

Storage = Literal["float16", "int8"]
"""How token vectors of documents are kept."""

BATCH_TOKENS = 4096
"""Word pieces that are computed at a time, padding included."""


class Interaction(Protocol):
    """Scores pairs of texts under compositions whose ranking module is of this interaction."""

    def score(
        self,
        pairs: Sequence[Pair],
        compositions: Sequence[Composition],
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> tuple[Scores, list[Blank]]:
        """Scores [pairs], each pair by its own composition; and the pairs with a text without content, which score lowest.

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
    ) -> tuple[Scores, list[Blank]]:
        """Scores [candidates] of (query text, document id) pairs, and those with a text without content, which score lowest.

        Args:
            candidates: every id is one of ``documents``.
            documents: of a collection.
            composition: of all of them.
            journal: where finished work is kept, if the interaction does not keep it elsewhere.
            progress: told how far the work is.
        """
