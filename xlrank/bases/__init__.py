"""Bases: frozen multilingual encoders, their tokenizers and fingerprints."""

from xlrank.bases.base import EMBEDDED, Base, compute_fingerprint
from xlrank.bases.states import LastStates
from xlrank.bases.tokenizer import PairFrame

__all__ = ["EMBEDDED", "Base", "LastStates", "PairFrame", "compute_fingerprint"]
