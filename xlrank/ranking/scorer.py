"""Scores a batch: the composed encoder in the chosen precision, then the relevance head in float32."""

import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.model import RelevanceModel
from xlrank.modules.head import relevance
from xlrank.precision import ResolvedPrecision, torch_dtype
from xlrank.ranking.int8 import quantize_linears
from xlrank.ranking.pairs import Batch


class Scorer:
    """Callable on a :class:`Batch`; scores are float32 logits whatever the encoder computes in."""

    def __init__(self, base: Base, composition: Composition, precision: ResolvedPrecision, *, reference: bool = False) -> None:
        self.model = RelevanceModel(base, composition, torch_dtype(precision), reference=reference)
        if precision == "int8":
            quantize_linears(self.model.encoder)
        self.device = torch.device("cuda" if torch.cuda.is_available() and precision != "int8" else "cpu")
        self.model.to(self.device)

    def __call__(self, batch: Batch) -> Tensor:
        """Scores [rows] on the CPU."""
        tensors = [t.to(self.device) for t in (batch.input_ids, batch.attention_mask, batch.token_type_ids, batch.sides)]
        return relevance(self.model(*tensors).logits).cpu()
