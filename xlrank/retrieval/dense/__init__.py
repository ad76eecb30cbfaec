"""Dense retrieval: bi-encoders, vectors of a whole collection on disk, and exact search among them."""

from xlrank.retrieval.dense.encoders import BiEncoder, MeanPooledEncoder
from xlrank.retrieval.dense.retriever import DenseRetriever
from xlrank.retrieval.dense.search import nearest
from xlrank.retrieval.dense.sentence import SentenceEncoder

__all__ = [
    "BiEncoder",
    "DenseRetriever",
    "MeanPooledEncoder",
    "SentenceEncoder",
    "nearest",
]
