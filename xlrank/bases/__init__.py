"""Bases: frozen multilingual encoders, their tokenizers and fingerprints."""

from xlrank.bases.base import EMBEDDED, Base, compute_fingerprint
from xlrank.bases.states import LastStates
from xlrank.bases.tokenizer import PairFrame
from xlrank.bases.unknown import UnknownPieces

__all__ = ["EMBEDDED", "Base", "LastStates", "PairFrame", "UnknownPieces", "compute_fingerprint"]
