"""Texts of one side as vectors of their tokens: each text encoded alone by the composition of its side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrank.bases import Base, UnknownPieces
from xlrank.bases.prompts import Side
from xlrank.composition import Composition
from xlrank.composition.plan import Plan
from xlrank.modules import Module
from xlrank.modules.kinds.head.late import LateHead, LateSettings, build_late_head
from xlrank.precision import ResolvedPrecision
from xlrank.progress import Progress
from xlrank.ranking.interaction import BATCH_TOKENS
from xlrank.ranking.pairs import batches_by_length
from xlrank.ranking.shared import SharedEncoder
from xlrank.ranking.texts import EncodedText, TextBatch, TextEncoder


@dataclass(frozen=True)
class TokenVectors:
    """Vectors of texts, of unit length.

    Attributes:
        vectors: [tokens, dim], the content tokens of all texts one after another; float32, or as stored.
        starts: int64 [texts + 1]; text i has the vectors from ``starts[i]`` to before ``starts[i + 1]``, none without content.
        pooled: [texts, hidden], the mean of all tokens.
        scales: float32 [tokens], which 8-bit vectors are multiplied by; None of others.
    """

    vectors: Tensor
    starts: NDArray[np.int64]
    pooled: Tensor
    scales: Tensor | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Content tokens of each text [texts]."""
        return np.diff(self.starts)

    def of(self, number: int) -> Tensor:
        """The token vectors of one text [tokens, dim]."""
        return self.vectors[int(self.starts[number]) : int(self.starts[number + 1])]

    def chosen(self, numbers: Sequence[int]) -> "TokenVectors":
        """These texts in this order."""
        rows = np.concatenate([np.arange(self.starts[n], self.starts[n + 1]) for n in numbers] or [np.empty(0, np.int64)])
        index = torch.from_numpy(rows.astype(np.int64))
        scales = None if self.scales is None else self.scales[index]
        pooled = self.pooled[torch.tensor(list(numbers), dtype=torch.int64)]
        return TokenVectors(self.vectors[index], starts_of(self.lengths[list(numbers)]), pooled, scales)

    @classmethod
    def joined(cls, parts: Sequence["TokenVectors"]) -> "TokenVectors":
        """The texts of several, one after another."""
        scales = [part.scales for part in parts if part.scales is not None]
        return cls(
            torch.cat([part.vectors for part in parts]),
            starts_of(np.concatenate([part.lengths for part in parts])),
            torch.cat([part.pooled for part in parts]),
            torch.cat(scales) if scales else None,
        )


def starts_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where texts of these lengths start when they follow one another, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def late_module(plan: Plan) -> Module | None:
    """The late ranking module that a side goes through, the highest; None where it goes through none."""
    return next((module for module in reversed(plan.modules) if module.interaction == "late"), None)


class TextVectors:
    """Turns texts of one side into vectors.

    Args:
        base: the encoder.
        side: of all texts.
        precision: that the encoder computes in; vectors are normalised in float32.
        max_length: word pieces a text is cut to, where that is less than its module says.
    """

    def __init__(self, base: Base, side: Side, precision: ResolvedPrecision = "fp32", max_length: int | None = None) -> None:
        self.base, self.side, self.max_length = base, side, max_length
        self.shared = SharedEncoder(base, precision, also=late_module)
        self._unknown = UnknownPieces.of_side(base, side)
        self._heads = lru_cache(maxsize=8)(self._head)
        self._frames = lru_cache(maxsize=8)(lambda prompt, length: TextEncoder(base, prompt, length))

    def settings(self, composition: Composition) -> LateSettings:
        """The settings of a side's composition."""
        return LateSettings.of(late_module(self.shared.planned(composition)))

    def encode(self, texts: Sequence[str], composition: Composition) -> list[EncodedText]:
        """Texts as word pieces, with the prompt and the length of a composition."""
        return self._frame(self.settings(composition)).encode(texts)

    def length(self, settings: LateSettings) -> int:
        """Word pieces that a text is cut to under these settings, prompt and special tokens included."""
        return min(settings.length(self.side), self.base.max_length if self.max_length is None else self.max_length)

    def room(self, composition: Composition) -> int:
        """Word pieces of content that a composition lets a text have."""
        return self._frame(self.settings(composition)).room

    def batches(
        self, texts: Sequence[str], compositions: Sequence[Composition], progress: Progress | None = None
    ) -> Iterator[tuple[list[int], TokenVectors]]:
        """The vectors of texts, batch by batch: numbers of the texts, and their vectors in the same order.

        Args:
            texts: of this side.
            compositions: of each text's side (:func:`~xlrank.composition.sides.side_of`), resolved.
            progress: told how many texts are done.

        Raises:
            XlrankError: a composition cannot be applied.
        """
        finished = 0
        for group in self.shared.groups(compositions):
            module = late_module(self.shared.planned(compositions[group.rows[0]]))
            frame, head = self._frame(LateSettings.of(module)), self._heads(module)
            encoded = frame.encode([texts[i] for i in group.rows])
            self._unknown.look({texts[i]: text.content for i, text in zip(group.rows, encoded, strict=True)})
            for batch in batches_by_length([len(text.ids) for text in encoded], BATCH_TOKENS):
                variants = [group.variants[i] for i in batch] if group.variants else None
                yield [group.rows[i] for i in batch], self._vectors(frame.batch([encoded[i] for i in batch], variants), head)
                finished += len(batch)
                if progress:
                    progress(finished, len(texts))

    def all(self, texts: Sequence[str], compositions: Sequence[Composition]) -> TokenVectors:
        """The vectors of all texts in their order; for as many as fit into memory."""
        numbers: list[int] = []
        parts: list[TokenVectors] = []
        for rows, found in self.batches(texts, compositions):
            numbers += rows
            parts.append(found)
        return TokenVectors.joined(parts).chosen(np.argsort(numbers).tolist())

    @torch.inference_mode()
    def _vectors(self, batch: TextBatch, head: LateHead) -> TokenVectors:
        device = self.shared.device
        inputs = {name: tensor.to(device) for name, tensor in batch.inputs().items()}
        vectors, pooled = head(self.shared.encoder(**inputs), inputs["attention_mask"], batch.content.to(device))
        kept = vectors[batch.content.to(device) == 1].cpu()
        return TokenVectors(kept, starts_of(batch.content.sum(1).numpy()), pooled.cpu())

    def _head(self, module: Module | None) -> LateHead:
        return build_late_head(module, int(self.base.config.hidden_size)).to(self.shared.device)

    def _frame(self, settings: LateSettings) -> TextEncoder:
        return self._frames(settings.prompt(self.side), self.length(settings))
