"""What a composed encoder and a head give, and the head for masked language modelling."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition.compose import compose
from xlrank.composition.expression import Composition
from xlrank.composition.layers import PatchedEmbedding
from xlrank.composition.plan import plan
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.layers import MlmHead, build_mlm_head


@dataclass(frozen=True)
class Output:
    """What a model gives for a batch.

    Attributes:
        logits: float32 [rows, labels] of a relevance head, or [rows, tokens, vocabulary] of a prediction head.
        last_hidden_state: [rows, tokens, hidden].
    """

    logits: Tensor
    last_hidden_state: Tensor


class PredictionModel(nn.Module):
    """Composed encoder with a masked-language-model head, the invertible adapter's inverse in front of the decoder.

    Args:
        base: the encoder; a checkpoint with a prediction head.
        composition: resolved; absolute values of the head in it replace the base's.
        inverse: whether the inverse is applied (AdapterHub's plain model class forgets it).
    """

    def __init__(self, base: Base, composition: Composition, *, inverse: bool = True) -> None:
        super().__init__()
        self.encoder = compose(base, composition).eval()
        modules = plan(composition).modules
        self.head: MlmHead = build_mlm_head([base.head_tensors, *(module.tensors for module in modules)], base)
        self.decoder = self.head.decoder if self.head.decoder is not None else _word_table(self.encoder.encoder.embeddings)
        self.inverse = inverse

    @torch.inference_mode()
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, sides: Tensor, variants: Tensor | None = None
    ) -> Output:
        """Logits over the vocabulary for every token."""
        states = self.encoder(input_ids, attention_mask, token_type_ids, sides, variants)
        vectors = self.head.transform(states)
        blocks = self.encoder.invertibles
        if self.inverse and any(block is not None for block in blocks.items):
            routing = self.encoder.routing
            vectors = routing.apply(blocks, lambda block, x: x[0] if block is None else block.inverse(x[0]), vectors)
        return Output(nn.functional.linear(vectors, self.decoder, self.head.bias), states)


def _word_table(embeddings: Any) -> Tensor:  # noqa: ANN401 - transformers' own
    """The word vectors that a tied head compares with, edits included."""
    words = getattr(embeddings, "inner", embeddings).word_embeddings
    table: Tensor = words.table() if isinstance(words, PatchedEmbedding) else words.weight
    return table


def pooler_of(encoder: nn.Module, base: Base) -> nn.Linear:
    """The first layer of a relevance head that has none of its own: the encoder's pooler as it is now, in float32.

    Raises:
        XlrankError: the base has none.
    """
    pooler = getattr(encoder, "pooler", None)
    if pooler is None:
        raise XlrankError(
            f"base {base.name!r} has no pooler, which the relevance head needs; use a head with a first layer of its own"
        )
    dense = nn.Linear(pooler.dense.in_features, pooler.dense.out_features)
    dense.load_state_dict({name: tensor.float() for name, tensor in pooler.dense.state_dict().items()})
    return dense.requires_grad_(requires_grad=False)
