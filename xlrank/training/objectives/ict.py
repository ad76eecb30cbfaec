"""Inverse cloze from plain text: how an article begins is to find what follows (Lee et al., ACL 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xlrank.training.data.articles import Articles
from xlrank.training.objectives.objective import Objective, parts
from xlrank.training.objectives.sides import Encoders, Framer, contrast, distance

POOLED = 0.5
"""Weight of the contrast of pooled vectors; that of MaxSim is 1."""
HELD = 5.0
"""Weight, on each side, of the distance from the base's own vectors."""
Question = tuple[str, str]
"""A query and its document."""


class Ict(Objective):
    """Contrasts of queries with the batch's documents, all of them through the module.

    Args:
        encoders: the module in the making and the base.
        framer: makes tensors of texts.
        data: articles.
        temperature: of the contrasts.
        hold: whether pooled vectors are held near the base's.
    """

    name = "ict"

    def __init__(self, encoders: Encoders, framer: Framer, data: Articles, temperature: float, *, hold: bool) -> None:
        super().__init__()
        self.encoders, self.framer, self.data, self.temperature, self.hold = encoders, framer, data, temperature, hold

    def draw(self, turn: int, count: int, random: np.random.Generator) -> list[Question]:
        """Questions of different articles."""
        places = random.choice(len(self.data.train), min(count, len(self.data.train)), replace=False)
        return [self.data.train[place].question(random) for place in places.tolist()]

    def heldout(self, count: int) -> list[Sequence[Question]]:
        """One question of each held-out article."""
        random = np.random.default_rng(0)
        questions = [article.question(random) for article in self.data.heldout]
        return [questions[start:stop] for start, stop in parts(len(questions), count)]

    def collate(self, examples: Sequence[Question]) -> dict[str, Tensor]:
        """Queries and documents."""
        queries, documents = zip(*examples, strict=True)
        return {
            "labels": torch.arange(len(queries)),
            **self.framer.tensors("query", "query", queries),
            **self.framer.tensors("document", "document", documents),
        }

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch."""
        queries, documents = (self.encoders.learnt(batch, name) for name in ("query", "document"))
        by_tokens, by_pooled = contrast(queries, documents, batch["labels"], self.temperature)
        loss = by_tokens + POOLED * by_pooled
        if self.hold:
            for name, vectors in (("query", queries), ("document", documents)):
                loss = loss + HELD * distance(vectors, self.encoders.frozen(batch, name))
        return loss

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Articles seen."""
        return {"articles": len(batch["labels"])}

    def facts(self) -> dict[str, Any]:
        """How many articles there are, how many are held out, and how many were skipped."""
        articles, heldout = len(self.data.train) + len(self.data.heldout), len(self.data.heldout)
        return {"articles": articles, "articles_heldout": heldout, "articles_skipped": dict(self.data.skipped)}
