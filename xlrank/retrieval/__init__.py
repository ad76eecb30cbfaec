"""First stages: what turns topics and documents into candidates, a :class:`~xlrank.runs.Run`."""

from xlrank.retrieval.lucene import LuceneBM25

__all__ = ["LuceneBM25"]
