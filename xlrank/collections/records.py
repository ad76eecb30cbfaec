"""The records of a collection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """A document: id, text, and a title where the collection has one."""

    id: str
    text: str
    title: str = ""

    @property
    def full_text(self) -> str:
        """Title and text, as indexed and ranked."""
        return f"{self.title}. {self.text}" if self.title else self.text


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
