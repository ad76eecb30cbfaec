"""Alignment with a pivot language: a sentence is to get the vectors that the base gives its translation.

The teacher is the frozen base itself, on the pivot's side (Reimers and Gurevych, EMNLP 2020, with contrasts beside the distance).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xlrank.bases.prompts import Side
from xlrank.training.data.parallel import Pair, Pairs
from xlrank.training.objectives.objective import Objective, parts
from xlrank.training.objectives.sides import Encoders, Framer, contrast, distance

NEARNESS = 10.0
"""Weight of the distance from the translation's vector; that of either contrast is 1."""
DOCUMENT_SHARE = 0.25
"""Share of the batches in which the sentences of the module's language are the documents."""
ROUNDS = 50
"""Draws for a batch before it stays smaller than asked for: few pairs may be all that differ from each other."""


@dataclass(frozen=True)
class AlignedBatch:
    """Pairs whose texts are on one side: queries, or documents."""

    side: Side
    pairs: Sequence[Pair]


class Align(Objective):
    """10 times the distance from the pivot's vector in the same role, and contrasts with the pivot's vectors in the other.

    Args:
        encoders: the module in the making and the base.
        framer: makes tensors of texts.
        data: sentence pairs.
        temperature: of the contrasts.
    """

    name = "align"

    def __init__(self, encoders: Encoders, framer: Framer, data: Pairs, temperature: float) -> None:
        super().__init__()
        self.encoders, self.framer, self.data, self.temperature = encoders, framer, data, temperature
        self.shares = np.cumsum([pair.weight for pair in data.train])

    def draw(self, turn: int, count: int, random: np.random.Generator) -> AlignedBatch:
        """Pairs drawn by weight, no sentence twice: it would have to be told from itself."""
        side: Side = "document" if random.random() < DOCUMENT_SHARE else "query"
        chosen: list[Pair] = []
        texts, pivots = set[str](), set[str]()
        for _ in range(ROUNDS):
            places = np.searchsorted(self.shares, random.random(count) * self.shares[-1], side="right")
            for place in np.minimum(places, len(self.shares) - 1).tolist():
                pair = self.data.train[place]
                if len(chosen) < count and pair.text not in texts and pair.pivot not in pivots:
                    chosen.append(pair)
                    texts.add(pair.text)
                    pivots.add(pair.pivot)
            if len(chosen) == count:
                break
        return AlignedBatch(side, chosen)

    def heldout(self, count: int) -> list[AlignedBatch]:
        """Every fourth batch with the texts as documents."""
        cuts = parts(len(self.data.heldout), count)
        sides: list[Side] = ["document" if i % 4 == 3 else "query" for i in range(len(cuts))]
        return [AlignedBatch(side, self.data.heldout[start:stop]) for side, (start, stop) in zip(sides, cuts, strict=True)]

    def collate(self, examples: AlignedBatch) -> dict[str, Tensor]:
        """The texts, and their translations in the same role and in the other; ``documents`` is 1 where the texts are such."""
        side, pivots = examples.side, [pair.pivot for pair in examples.pairs]
        other: Side = "query" if side == "document" else "document"
        rows = len(pivots)
        return {
            "labels": torch.arange(rows),
            f"text_as_{side}": torch.ones(rows),
            **self.framer.tensors("text", side, [pair.text for pair in examples.pairs]),
            **self.framer.tensors("same", side, pivots),
            **self.framer.tensors("other", other, pivots),
        }

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch."""
        texts = self.encoders.learnt(batch, "text")
        same, other = (self.encoders.frozen(batch, name) for name in ("same", "other"))
        sides = (other, texts) if "text_as_document" in batch else (texts, other)
        by_tokens, by_pooled = contrast(*sides, batch["labels"], self.temperature)
        return NEARNESS * distance(texts, same) + by_pooled + by_tokens

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Pairs seen."""
        return {"pairs": len(batch["labels"])}

    def facts(self) -> dict[str, Any]:
        """Pairs by source, how many are held out, and how many were skipped."""
        heldout = len(self.data.heldout)
        return {"pairs": dict(self.data.sources), "pairs_heldout": heldout, "pairs_skipped": dict(self.data.skipped)}
