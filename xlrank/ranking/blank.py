"""Texts without content: no ranker can score them, so they rank last, and a note names them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from xlrank.bases.prompts import Side
from xlrank.text import few


class Blank(NamedTuple):
    """A pair that ranks last because one of its texts has no content: nothing at all, or nothing that can be seen.

    Attributes:
        pair: its number.
        side: which text it is; the query where both are.
    """

    pair: int
    side: Side


def notes_of(blanks: Sequence[Blank], query: Callable[[int], str], document: Callable[[int], str]) -> list[str]:
    """What there is to say of pairs without content, a line for queries and a line for documents.

    Args:
        blanks: the pairs.
        query: what a pair's query is called, by the pair's number.
        document: what a pair's document is called.
    """
    notes = []
    if names := [query(number) for number, side in blanks if side == "query"]:
        notes.append(few(names, "has no content; all its documents rank last", "have no content; all their documents rank last"))
    if names := [document(number) for number, side in blanks if side == "document"]:
        notes.append(few(names, "has no content and ranks last", "have no content and rank last"))
    return notes
