"""Collections: documents, topics and judgements by a string id."""

from xlrank.collections.collection import Collection
from xlrank.collections.records import Document, Topic

__all__ = ["Collection", "Document", "Topic"]
