"""What training data is made of: examples, references to texts that are looked up later, and what a source of them can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from xlrank.errors import XlrankError
from xlrank.text import clean

Targets = Literal["labels", "scores"]
"""What is learned from: labels 0 and 1, or the scores of a teacher (distillation)."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query with one or more documents and what is to be learned about each.

    Attributes:
        query: text.
        documents: texts; in a group the relevant one stands first.
        targets: one for each document: labels 0 and 1, or a teacher's scores.
    """

    query: str
    documents: tuple[str, ...]
    targets: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """An example whose texts are known by their ids only; they are looked up when the example is used.

    Attributes:
        line: where it stands in its file, from 1.
        query: id.
        documents: ids; where there are fewer than targets, the source draws the others at random.
        targets: as of an :class:`Example`.
    """

    line: int
    query: str
    documents: tuple[str, ...]
    targets: tuple[float, ...]


Entry = Example | Reference


class Source(ABC):
    """Where examples come from.

    Attributes:
        name: for messages.
        streams: whether there may be too many entries to hold them in memory.
        shuffled: whether they come in random order already.
    """

    name: str
    streams: bool = False
    shuffled: bool = False

    @abstractmethod
    def walk(self, skip: frozenset[str] = frozenset()) -> Iterator[Entry]:
        """All entries in the source's order, without those whose :meth:`key` is in ``skip``.

        Raises:
            XlrankError: an entry is malformed (file and line named), or there is none at all.
        """

    @abstractmethod
    def fetch(self, entry: Entry) -> Example:
        """The entry with its texts.

        Raises:
            XlrankError: a text is unknown or empty.
        """

    @abstractmethod
    def record(self) -> list[dict[str, Any]]:
        """What identifies the data: one JSON-able object for each file."""

    def key(self, entry: Entry) -> str:
        """What identifies the entry's query among the source's queries."""
        return query_key(entry.query)

    def keys_of_equal_queries(self, entries: Iterable[Entry]) -> frozenset[str]:
        """The keys of all queries that have the same text as the query of one of ``entries``."""
        return frozenset(self.key(entry) for entry in entries)

    def published_heldout(self, most: int | None) -> list[Entry]:
        """The held-out entries that the source is published with, of at most so many queries; empty where there are none."""
        return []

    @property
    def cap(self) -> int | None:
        """Entries that are used at most, whatever the caller's limit."""
        return None


def query_key(text: str) -> str:
    """Equal for queries that differ in letter case, spaces and typing only: they must not stand on both sides of a split."""
    return " ".join(clean(text).casefold().split())


def checked_text(value: object, place: str) -> str:
    """``value`` as clean text.

    Raises:
        XlrankError: it is no text, or nothing is left of it.
    """
    text = clean(value) if isinstance(value, str) else ""
    if not text:
        raise XlrankError(f"{place}: a text is missing or empty; each example needs a query and its documents")
    return text
