"""Heads: a relevance score from the encoder's output, and the masked-language-model head of bases that lack one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from xlrank.errors import XlrankError
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from xlrank.bases import Base

PREFIX = "head."
MAX_LENGTH = "max_length"
"""Key in the config of a module with a relevance head: word pieces that pairs are cut to, where its checkpoint states them."""
POOLINGS = ("cls", "mean", "match", "cls-linear")
DIRECT = "cls-linear"
"""The pooling of a head of one layer."""
MATCH_SCALE = 20.0
"""Logit that a cosine of 1 starts with."""


class RankingHead(nn.Module):
    """Relevance logits: pooled state, dense, tanh, linear.

    BERT's static head is the linear layer, its dense layer the encoder's pooler; XLM-R's and AdapterHub's flexible head have
    both layers themselves.

    Args:
        hidden: the encoder's hidden size.
        pooling: ``cls`` (first token, as in the paper), ``mean`` (over the tokens that are no padding), or ``match`` (the product
            of the two sides' mean vectors, each of unit length: a bi-encoder's cosine, dimension by dimension, which is where
            a base trained for retrieval already holds relevance); or ``cls-linear`` (first token, straight into the linear
            layer: AdapterHub's heads of one layer, which have no dense layer and no tanh).
        labels: 1, or 2 (irrelevant, relevant).
        with_dense: False where the encoder's pooler is the first layer; it is then put into ``dense`` later.
    """

    def __init__(self, hidden: int, pooling: str = "cls", labels: int = 1, *, with_dense: bool = True) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise XlrankError(f"ranking head: unknown pooling {pooling!r}; expected one of {', '.join(POOLINGS)}")
        self.pooling = pooling
        self.uses_pooler = not with_dense and pooling != DIRECT
        self.dense: nn.Linear | None = nn.Linear(hidden, hidden) if with_dense and pooling != DIRECT else None
        self.out = nn.Linear(hidden, labels)
        nn.init.zeros_(self.out.bias)
        if self.dense is not None:
            nn.init.zeros_(self.dense.bias)
            nn.init.eye_(self.dense.weight) if pooling == "match" else nn.init.normal_(self.dense.weight, std=0.02)
        if pooling == "match":
            nn.init.constant_(self.out.weight, MATCH_SCALE / hidden)
        else:
            nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, states: Tensor, attention_mask: Tensor, sides: Tensor) -> Tensor:
        """Map states [rows, tokens, hidden], mask and sides [rows, tokens] to float32 logits [rows, labels]."""
        if self.dense is None and self.uses_pooler:
            raise RuntimeError("the head's first layer, the encoder's pooler, was not put in place")
        with torch.autocast(device_type=states.device.type, enabled=False):
            pooled = self._pooled(states.float(), attention_mask, sides)
            if self.dense is None:
                return self.out(pooled)  # type: ignore[no-any-return]
            return self.out(torch.tanh(self.dense(pooled)))  # type: ignore[no-any-return]

    def _pooled(self, states: Tensor, attention_mask: Tensor, sides: Tensor) -> Tensor:
        if self.pooling in ("cls", DIRECT):
            return states[:, 0]
        if self.pooling == "mean":
            return mean_pooling(states, attention_mask)
        query, document = (
            nn.functional.normalize(mean_pooling(states, attention_mask * (sides == side)), dim=-1) for side in (0, 1)
        )
        return query * document * states.shape[-1]


def relevance(logits: Tensor) -> Tensor:
    """One score [rows] from logits [rows, 1] (as they are) or [rows, 2] (the log-odds of relevant against irrelevant)."""
    return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


class MlmHead(nn.Module):
    """BERT's prediction head: transform, then dot products plus a bias.

    ``decoder`` is None where the word embeddings are the decoder (they are tied).

    Args:
        hidden: the encoder's hidden size.
        vocabulary: number of word pieces.
        epsilon: of the layer norm.
        activation: name of the function after the first layer, as in a transformers configuration.
    """

    def __init__(self, hidden: int, vocabulary: int, epsilon: float, activation: str = "gelu") -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.norm = nn.LayerNorm(hidden, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.decoder: Tensor | None = None
        self.activation = ACT2FN[activation]
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    @classmethod
    def fresh(cls, base: "Base") -> "MlmHead":
        """A head of the base's sizes, to be trained or filled. XLM-R's has GELU, whatever the encoder has."""
        activation = str(base.config.hidden_act) if base.config.model_type == "bert" else "gelu"
        return cls(int(base.config.hidden_size), int(base.config.vocab_size), float(base.config.layer_norm_eps), activation)

    def transform(self, states: Tensor) -> Tensor:
        """Map states [..., hidden] to the vectors [..., hidden] that are compared with the word embeddings."""
        return self.norm(self.activation(self.dense(states)))  # type: ignore[no-any-return]


def mean_pooling(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean over the tokens that are no padding: [rows, tokens, hidden] and [rows, tokens] to float32 [rows, hidden]."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * mask).sum(1).float() / attention_mask.sum(1, keepdim=True).clamp(min=1)


def build_ranking_head(module: Module, hidden: int) -> RankingHead:
    """The relevance head that a module carries.

    Raises:
        XlrankError: the module has no head, or one of another shape.
    """
    tensors = {name.removeprefix(PREFIX): tensor.float() for name, tensor in module.tensors.items() if name.startswith(PREFIX)}
    labels = tensors["out.weight"].shape[0] if "out.weight" in tensors else 0
    if labels not in (1, 2):
        raise XlrankError(f"module {module.name!r} has no relevance head with 1 or 2 labels")
    try:
        head = RankingHead(hidden, str(module.config.get("pooling", "cls")), labels, with_dense="dense.weight" in tensors)
    except XlrankError as error:
        raise XlrankError(f"module {module.name!r}: {error}") from None
    if {name: t.shape for name, t in tensors.items()} != {name: t.shape for name, t in head.state_dict().items()}:
        raise XlrankError(f"module {module.name!r} has no relevance head for hidden size {hidden}")
    head.load_state_dict(tensors, assign=True)
    return head.eval().requires_grad_(requires_grad=False)


MLM_NAMES = {
    "dense.weight": ("cls.predictions.transform.dense.weight", "lm_head.dense.weight"),
    "dense.bias": ("cls.predictions.transform.dense.bias", "lm_head.dense.bias"),
    "norm.weight": ("cls.predictions.transform.LayerNorm.weight", "lm_head.layer_norm.weight"),
    "norm.bias": ("cls.predictions.transform.LayerNorm.bias", "lm_head.layer_norm.bias"),
    "bias": ("cls.predictions.bias", "lm_head.bias"),
    "decoder": ("cls.predictions.decoder.weight", "lm_head.decoder.weight"),
}


def build_mlm_head(sources: Sequence[Mapping[str, Tensor]], base: "Base") -> MlmHead:
    """A prediction head from BERT's or XLM-R's tensors (``absolute.`` before them allowed); later sources replace earlier ones.

    Its decoder is the base's own where a source has one, else the word embeddings.

    Raises:
        XlrankError: a tensor is missing or has another shape.
    """
    head = MlmHead.fresh(base)
    found: dict[str, Tensor] = {}
    for source in sources:
        for ours, theirs in MLM_NAMES.items():
            found |= {ours: source[key].float() for name in theirs for key in (name, f"absolute.{name}") if key in source}
    head.decoder = found.pop("decoder", None)
    untied = head.decoder is None and not getattr(base.config, "tie_word_embeddings", True)
    if untied or {name: t.shape for name, t in found.items()} != {name: t.shape for name, t in head.state_dict().items()}:
        raise XlrankError(f"base {base.name!r} has no masked-language-model head in its checkpoint")
    head.load_state_dict(found, assign=True)
    return head.eval().requires_grad_(requires_grad=False)
