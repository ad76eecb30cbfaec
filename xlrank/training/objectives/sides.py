"""Texts as queries and documents that are encoded apart: by the encoder in which a module learns, and by the frozen base."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from xlrank.bases import Base
from xlrank.bases.prompts import Side
from xlrank.composition.encoder import ComposedEncoder
from xlrank.modules.kinds.head.late import LateHead, LateSettings, maxsim
from xlrank.ranking.texts import TextEncoder

FIELDS = ("input_ids", "attention_mask", "content")


class Vectors(NamedTuple):
    """What texts became.

    Attributes:
        tokens: unit vectors [rows, tokens, hidden], zero where a token is no content.
        content: 1 where it is [rows, tokens].
        pooled: unit vectors [rows, hidden].
    """

    tokens: Tensor
    content: Tensor
    pooled: Tensor


class Framer:
    """Makes tensors of texts.

    Args:
        base: whose tokenizer it is.
        settings: prompts, lengths and temperature.
    """

    def __init__(self, base: Base, settings: LateSettings) -> None:
        sides: tuple[Side, ...] = ("query", "document")
        self.encoders = {side: TextEncoder(base, settings.prompt(side), settings.length(side)) for side in sides}

    def tensors(self, name: str, side: Side, texts: Sequence[str]) -> dict[str, Tensor]:
        """``NAME.input_ids``, ``NAME.attention_mask`` and ``NAME.content`` of texts on one side, each [texts, tokens]."""
        encoder = self.encoders[side]
        batch = encoder.batch(encoder.encode(texts))
        return {f"{name}.{field}": getattr(batch, field) for field in FIELDS}


class Encoders(nn.Module):
    """The encoder in which a module learns and, beside it, the base alone.

    Args:
        base: shares its weights with both.
        learning: with the module in the making.
    """

    def __init__(self, base: Base, learning: ComposedEncoder) -> None:
        super().__init__()
        self.learning, self.base = learning, ComposedEncoder(base)
        self.head = LateHead(int(base.config.hidden_size))

    def learnt(self, batch: Mapping[str, Tensor], name: str) -> Vectors:
        """Vectors of the texts called ``name`` in a batch (:meth:`Framer.tensors`), with gradients."""
        return self._vectors(self.learning, *(batch[f"{name}.{field}"] for field in FIELDS))

    @torch.no_grad()
    def frozen(self, batch: Mapping[str, Tensor], name: str) -> Vectors:
        """The same by the base alone."""
        return self._vectors(self.base, *(batch[f"{name}.{field}"] for field in FIELDS))

    def _vectors(self, encoder: ComposedEncoder, ids: Tensor, mask: Tensor, content: Tensor) -> Vectors:
        zeros = torch.zeros_like(ids)
        tokens, pooled = self.head(encoder(ids, mask, zeros, zeros), mask, content)
        return Vectors(tokens, content, pooled)


def contrast(queries: Vectors, documents: Vectors, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """How badly queries tell their documents from the others of a batch: cross-entropy by MaxSim, and by pooled vectors.

    Args:
        queries: of all queries.
        documents: of all documents.
        labels: number of each query's document [queries].
        temperature: that similarities are divided by.
    """
    with torch.autocast(device_type=labels.device.type, enabled=False):  # bf16 would round similarities to steps of .004
        by_tokens = maxsim(queries.tokens, queries.content, documents.tokens, documents.content)
        by_pooled = queries.pooled @ documents.pooled.T
        return cross_entropy(by_tokens / temperature, labels), cross_entropy(by_pooled / temperature, labels)


def distance(vectors: Vectors, target: Vectors) -> Tensor:
    """One minus the cosine of pooled vectors and those that they should be, mean over rows."""
    return (1 - (vectors.pooled * target.pooled).sum(-1)).mean()
