"""Scores a batch: the composed encoder in the chosen precision, then the relevance head in float32."""

import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.encoder import compose
from xlrank.composition.rules import ranking_module
from xlrank.modules.head import build_ranking_head
from xlrank.precision import ResolvedPrecision, torch_dtype
from xlrank.ranking.int8 import quantize_linears
from xlrank.ranking.pairs import Batch


class Scorer:
    """Callable on a :class:`Batch`; logits are float32 whatever the encoder computes in."""

    def __init__(self, base: Base, composition: Composition, precision: ResolvedPrecision) -> None:
        self.head = build_ranking_head(ranking_module(composition), int(base.config.hidden_size))
        self.encoder = compose(base, composition, torch_dtype(precision)).eval()
        if precision == "int8":
            quantize_linears(self.encoder)
        self.device = torch.device("cuda" if torch.cuda.is_available() and precision != "int8" else "cpu")
        self.encoder.to(self.device)
        self.head.to(self.device)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Tensor:
        """Logits [rows] on the CPU."""
        tensors = [t.to(self.device) for t in (batch.input_ids, batch.attention_mask, batch.token_type_ids, batch.sides)]
        return self.head(self.encoder(*tensors), tensors[1], tensors[3]).cpu()  # type: ignore[no-any-return]
