"""The records of a collection."""

from dataclasses import dataclass

from xlrank.text import clean, shortened

SHOWN = 60
"""Characters of a document that are printed."""


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A document: id, text, and a title where the collection has one; printed, its id and first words."""

    id: str
    text: str
    title: str = ""

    @property
    def full_text(self) -> str:
        """Title and text, as indexed and ranked."""
        return f"{self.title}. {self.text}" if self.title else self.text

    def __repr__(self) -> str:
        return f"Document({self.id!r}, {shortened(clean(self.full_text[: 4 * SHOWN]), SHOWN)!r})"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: id, title, description, in one language."""

    id: str
    title: str
    description: str = ""

    def query(self, fields: str = "title+description") -> str:
        """The query text: ``title``, ``description`` or ``title+description`` (the paper's choice)."""
        parts = [getattr(self, name) for name in fields.split("+")]
        return " ".join(part for part in parts if part)
