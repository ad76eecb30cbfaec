"""Texts that a tokenizer does not know: they are scored as any others, so a warning is due."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xlrank.bases.prompts import Side

if TYPE_CHECKING:
    from xlrank.bases.base import Base

MOST = 0.1
"""Share of unknown word pieces above which a text, or a collection, is warned of."""
LOG = logging.getLogger("xlrank")


class UnknownPieces:
    """Counts the unknown word pieces of texts, and warns where there are too many.

    Args:
        base: whose tokenizer it is.
        what: the texts are, as the warning calls them.
        each: whether each text is judged by itself, as queries are, and warned of once; else all are judged together.
    """

    def __init__(self, base: "Base", what: str, *, each: bool = False) -> None:
        self.base, self.what, self.each = base, what, each
        self._warned: set[str] = set()
        self._seen = self._unknown = 0

    @classmethod
    def of_side(cls, base: "Base", side: Side) -> "UnknownPieces":
        """For the texts of one side: queries are judged each, documents together."""
        return cls(base, "queries" if side == "query" else "documents", each=side == "query")

    def look(self, pieces: Mapping[str, Sequence[int]], beside: int = 0) -> None:
        """Count the word pieces of these texts, and warn.

        Args:
            pieces: by text.
            beside: how many of each text's pieces are special ones or a prompt's.
        """
        unknown = self.base.tokenizer.unk_token_id
        counts = {text: (list(ids).count(unknown), len(ids) - beside) for text, ids in pieces.items()}
        if not self.each:
            self.add(sum(unknown for unknown, _ in counts.values()), sum(length for _, length in counts.values()))
            return
        fresh = [text for text, (unknown, length) in counts.items() if unknown > MOST * length and text not in self._warned]
        if fresh:
            self._warned.update(fresh)
            message = "%s: more than a tenth of the word pieces of %d of %d are unknown to the tokenizer of base %r, first in %r"
            LOG.warning(message, self.what, len(fresh), len(counts), self.base.name, fresh[0][:60])

    def add(self, unknown: int, pieces: int) -> None:
        """Take in more of the texts that are judged together, and warn.

        Args:
            unknown: how many of their word pieces are unknown.
            pieces: how many they have.
        """
        self._unknown, self._seen = self._unknown + unknown, self._seen + pieces
        if self._unknown > MOST * self._seen and not self._warned:
            self._warned.add(self.what)
            message = "%s: %.0f %% of %s word pieces are unknown to the tokenizer of base %r"
            LOG.warning(message, self.what, 100 * self._unknown / self._seen, f"{self._seen:,}", self.base.name)
