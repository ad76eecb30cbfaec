"""First stages: what turns topics and documents into candidates, a :class:`~xlrank.runs.Run`."""

from xlrank.retrieval.bm25s import Bm25s
from xlrank.retrieval.first_stage import FirstStage, Search
from xlrank.retrieval.fusion import fuse
from xlrank.retrieval.lucene import LuceneBM25, Rm3
from xlrank.retrieval.methods import first_stage

__all__ = ["Bm25s", "FirstStage", "LuceneBM25", "Rm3", "Search", "first_stage", "fuse"]
