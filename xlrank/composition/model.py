"""A composed model: encoder and head, from word pieces to logits."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition.compose import Composer, compose
from xlrank.composition.expression import Composition
from xlrank.composition.layers import PatchedEmbedding
from xlrank.composition.plan import plan
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.layers import PREFIX, MlmHead, RankingHead, build_mlm_head, build_ranking_head


@dataclass(frozen=True)
class Output:
    """What a model gives for a batch.

    Attributes:
        logits: float32 [rows, labels] of a relevance head, or [rows, tokens, vocabulary] of a prediction head.
        last_hidden_state: [rows, tokens, hidden].
    """

    logits: Tensor
    last_hidden_state: Tensor


class RelevanceModel(nn.Module):
    """Composed encoder with the relevance head of its highest module that has one, else the base's own.

    Args:
        base: the encoder.
        compositions: resolved; one, or several that batches may mix, all with the same head.
        dtype: of the encoder's weights; the head is float32.
        reference: see :func:`~xlrank.composition.compose.compose`.

    Raises:
        XlrankError: neither a module nor the base has a relevance head, or the composition cannot be applied.
    """

    def __init__(
        self, base: Base, *compositions: Composition, dtype: torch.dtype = torch.float32, reference: bool = False
    ) -> None:
        super().__init__()
        self.base = base
        self.composer = Composer(base, dtype, reference=reference)
        self._source: Module | None = None
        self.switch(*compositions)

    def switch(self, *compositions: Composition) -> None:
        """Take other compositions, keeping what they share with the present ones; the result is that of a new model.

        Raises:
            XlrankError: as for a new model, which this one is not changed by then.
        """
        source = head_source(self.base, *compositions)
        head = self.head if source == self._source else build_ranking_head(source, int(self.base.config.hidden_size))
        self.encoder = self.composer.compose(compositions)
        self.head: RankingHead = head
        if PREFIX + "dense.weight" not in source.tensors:  # its first layer is the encoder's pooler, which modules may change
            self.head.dense = _pooler(self.encoder.encoder, self.base)
        self._source = source

    @torch.inference_mode()
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, sides: Tensor, variants: Tensor | None = None
    ) -> Output:
        """Logits and hidden states of a batch: integers [rows, tokens], and [rows] for which composition a row is of."""
        states = self.encoder(input_ids, attention_mask, token_type_ids, sides, variants)
        return Output(self.head(states, attention_mask, sides), states)


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


def head_source(base: Base, *compositions: Composition) -> Module:
    """The module whose relevance head compositions use: their highest with one, else the base's own as a module.

    Raises:
        XlrankError: there is no relevance head, or they do not use the same one.
    """
    sources = [_head_source(base, composition) for composition in compositions]
    other = next((source for source in sources if source != sources[0]), None)
    if other is not None:
        raise XlrankError(
            f"compositions in one batch must score with one head; {compositions[0]} uses that of {sources[0].name!r}, another "
            f"that of {other.name!r}"
        )
    return sources[0]


def _head_source(base: Base, composition: Composition) -> Module:
    # The mode does not matter here, and the reference's takes more.
    for module in reversed(plan(composition, reference=True).modules):
        if "head.out.weight" in module.tensors:
            return module
    if "head.out.weight" in base.head_tensors:
        return base.own_head
    raise XlrankError(
        f"composition {str(composition)!r}: nothing in it scores relevance; add a ranking module, e.g. {composition}+rank"
    )


def _pooler(encoder: nn.Module, base: Base) -> nn.Linear:
    pooler = getattr(encoder, "pooler", None)
    if pooler is None:
        raise XlrankError(
            f"base {base.name!r} has no pooler, which the relevance head needs; use a head with a first layer of its own"
        )
    dense = nn.Linear(pooler.dense.in_features, pooler.dense.out_features)
    dense.load_state_dict({name: tensor.float() for name, tensor in pooler.dense.state_dict().items()})
    return dense.requires_grad_(requires_grad=False)
