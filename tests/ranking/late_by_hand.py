"""Late interaction written out with the tokenizer, the composed encoder and loops, and texts to try it on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.compose import compose
from xlrank.modules.kinds.head.late import LateSettings

QUERIES = ["дарыя жана көпүрө", "мектеп", "алма базар кыш суу"]
DOCUMENTS = [
    "the river and the bridge of the market",
    "a school",
    "the election in the school, and the market in winter",
    "apple market: water of the river",
]
PAIRS = [(query, document) for query in QUERIES for document in DOCUMENTS]


@dataclass(frozen=True)
class Side:
    """One side as somebody who knows nothing of compositions would describe it: what all of its tokens go through."""

    composition: Composition
    prompt: str
    length: int = 64
    projection: Tensor | None = None
    made: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, compare=False)

    def vectors(self, base: Base, text: str) -> tuple[Tensor, Tensor]:
        """Unit vectors of a text's own tokens [tokens, dim], and of all its tokens' mean [hidden]."""
        if text not in self.made:
            self.made[text] = self._vectors(base, text)
        return self.made[text]

    def _vectors(self, base: Base, text: str) -> tuple[Tensor, Tensor]:
        tokenizer: Any = base.tokenizer
        *whole, last = tokenizer(self.prompt + text)["input_ids"]
        start = len(tokenizer(self.prompt.strip())["input_ids"]) - 1
        ids = torch.tensor([[*whole[: self.length - 1], last]])
        with torch.inference_mode():
            states = compose(base, self.composition).eval()(ids, torch.ones_like(ids), ids * 0, ids * 0)[0]
        own = states[start:-1]
        own = own if self.projection is None else own @ self.projection.T
        mean = states.mean(0)
        return own / own.norm(dim=-1, keepdim=True), mean / mean.norm()


def score_by_hand(base: Base, query: Side, document: Side, pair: tuple[str, str], pooled: float = 0.0) -> float:
    """The score of a pair: the mean of each query token's best cosine, plus a weight times the cosine of the means."""
    (asked, asked_mean), (found, found_mean) = query.vectors(base, pair[0]), document.vectors(base, pair[1])
    best = [max(float(token @ other) for other in found) for token in asked]
    return sum(best) / len(best) + pooled * float(asked_mean @ found_mean)


def scores_by_hand(
    base: Base,
    query: Composition,
    document: Composition,
    settings: LateSettings | None = None,
    projection: Tensor | None = None,
    pairs: Sequence[tuple[str, str]] = PAIRS,
) -> list[float]:
    """The scores of pairs, given what each side goes through and a ranking module's settings."""
    settings = settings or LateSettings()
    asked = Side(query, settings.query_prompt, min(settings.query_length, base.max_length), projection)
    found = Side(document, settings.document_prompt, min(settings.document_length, base.max_length), projection)
    return [score_by_hand(base, asked, found, pair, settings.pooled) for pair in pairs]
