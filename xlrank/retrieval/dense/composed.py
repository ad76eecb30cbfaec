"""A composition as a bi-encoder: each side's pooled vectors, by the modules that its tokens go through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xlrank.bases import Base
from xlrank.bases.prompts import Side
from xlrank.composition import Composition
from xlrank.composition.identity import identity_of
from xlrank.composition.sides import side_of
from xlrank.modules.kinds.head.late import LateSettings
from xlrank.precision import Precision
from xlrank.progress import Progress
from xlrank.ranking.vectors import TextVectors
from xlrank.retrieval.dense.encoders import Similarity, Vectors, resolved


@dataclass(frozen=True)
class ComposedBiEncoder:
    """The base with modules as a bi-encoder: the mean of the last hidden states of each side, at unit length.

    Attributes:
        base: the encoder.
        composition: resolved; without a cross-encoder's ranking module.
        precision: ``auto``, ``fp32``, ``bf16``.
    """

    base: Base
    composition: Composition
    precision: Precision = "auto"

    @property
    def name(self) -> str:
        """The base's and the composition's."""
        return f"{self.base.name} + {self.composition}"

    @property
    def similarity(self) -> Similarity:
        """Of unit vectors."""
        return "cosine"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Base, the documents' modules, prompt, length, precision."""
        return {
            "kind": "composed",
            "fingerprint": self.base.fingerprint,
            "modules": identity_of(side_of(self.composition, "document")),
            "document_prefix": self.prefix("document"),
            "max_length": min(self._settings("document").document_length, self.base.max_length),
            "precision": resolved(self.precision),
        }

    def prefix(self, side: Side) -> str:
        """What is put before every text of this side."""
        return self._settings(side).prompt(side)

    def encode(self, texts: Sequence[str], side: Side | None = None, progress: Progress | None = None) -> Vectors:
        """Unit vectors [texts, hidden] in float32; texts without a side are documents."""
        vectors = np.empty((len(texts), int(self.base.config.hidden_size)), np.float32)
        encoder, composition = self._sides[side or "document"]
        for rows, found in encoder.batches(texts, [composition] * len(texts), progress):
            vectors[rows] = found.pooled.numpy()
        return vectors

    @cached_property
    def _sides(self) -> dict[Side, tuple[TextVectors, Composition]]:
        sides: tuple[Side, ...] = ("query", "document")
        precision = resolved(self.precision)
        return {side: (TextVectors(self.base, side, precision), side_of(self.composition, side)) for side in sides}

    def _settings(self, side: Side) -> LateSettings:
        encoder, composition = self._sides[side]
        return encoder.settings(composition)
