"""Heads: a relevance score from the encoder's output, and the masked-language-model head of bases that lack one."""

import torch
from torch import Tensor, nn

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

PREFIX = "head."
POOLINGS = ("cls", "mean", "match")
MATCH_SCALE = 20.0
"""Logit that a cosine of 1 starts with."""


class RankingHead(nn.Module):
    """One relevance logit: pooled state, dense, tanh, linear (as BERT's pooler and classifier do).

    Args:
        hidden: the encoder's hidden size.
        pooling: ``cls`` (first token, as in the paper), ``mean`` (over the tokens that are no padding), or ``match`` (the product
            of the two sides' mean vectors, each of unit length: a bi-encoder's cosine, dimension by dimension, which is where
            a base trained for retrieval already holds relevance).
    """

    def __init__(self, hidden: int, pooling: str = "cls") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise XlrankError(f"ranking head: unknown pooling {pooling!r}; expected one of {', '.join(POOLINGS)}")
        self.pooling = pooling
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)
        nn.init.zeros_(self.dense.bias)
        nn.init.zeros_(self.out.bias)
        if pooling == "match":
            nn.init.eye_(self.dense.weight)
            nn.init.constant_(self.out.weight, MATCH_SCALE / hidden)
        else:
            nn.init.normal_(self.dense.weight, std=0.02)
            nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, states: Tensor, attention_mask: Tensor, sides: Tensor) -> Tensor:
        """Map states [rows, tokens, hidden], mask and sides [rows, tokens] to float32 logits [rows]."""
        with torch.autocast(device_type=states.device.type, enabled=False):
            pooled = self._pooled(states.float(), attention_mask, sides)
            return self.out(torch.tanh(self.dense(pooled))).squeeze(-1)  # type: ignore[no-any-return]

    def _pooled(self, states: Tensor, attention_mask: Tensor, sides: Tensor) -> Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "mean":
            return mean_pooling(states, attention_mask)
        query, document = (
            nn.functional.normalize(mean_pooling(states, attention_mask * (sides == side)), dim=-1) for side in (0, 1)
        )
        return query * document * states.shape[-1]


class MlmHead(nn.Module):
    """BERT's prediction head with the decoder tied to the word embeddings: transform, then dot products plus a bias."""

    def __init__(self, hidden: int, vocabulary: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def transform(self, states: Tensor) -> Tensor:
        """Map states [n, hidden] to the vectors [n, hidden] that are compared with the word embeddings."""
        return self.norm(nn.functional.gelu(self.dense(states)))  # type: ignore[no-any-return]


def mean_pooling(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the tokens that are no padding: [rows, tokens, hidden] and [rows, tokens] to float32 [rows, hidden]."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * mask).sum(1).float() / attention_mask.sum(1, keepdim=True).clamp(min=1)


def build_ranking_head(module: Module, hidden: int) -> RankingHead:
    """The relevance head that a ranking module carries.

    Raises:
        XlrankError: the module has no head, or one of another shape.
    """
    head = RankingHead(hidden, str(module.config.get("pooling", "cls")))
    tensors = {name.removeprefix(PREFIX): tensor.float() for name, tensor in module.tensors.items() if name.startswith(PREFIX)}
    if {name: t.shape for name, t in tensors.items()} != {name: t.shape for name, t in head.state_dict().items()}:
        raise XlrankError(f"module {module.name!r} has no relevance head for hidden size {hidden}")
    head.load_state_dict(tensors, assign=True)
    return head.eval().requires_grad_(requires_grad=False)
