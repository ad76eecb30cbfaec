"""Scores batches: the composed encoder in the chosen precision, then the relevance head in float32."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.model import RelevanceModel
from xlrank.modules.kinds.head.layers import relevance
from xlrank.precision import ResolvedPrecision, torch_dtype
from xlrank.ranking.int8 import quantize_linears
from xlrank.ranking.pairs import Batch


class Scorer:
    """Callable on a :class:`Batch`; scores are float32 logits whatever the encoder computes in.

    Args:
        base: the encoder.
        compositions: one, or all that batches may mix.
        precision: of the encoder.
        reference: see :func:`~xlrank.composition.compose.compose`.
    """

    def __init__(
        self, base: Base, *compositions: Composition, precision: ResolvedPrecision = "fp32", reference: bool = False
    ) -> None:
        self.base, self.precision, self.reference = base, precision, reference
        self.device = torch.device("cuda" if torch.cuda.is_available() and precision != "int8" else "cpu")
        self.model = RelevanceModel(base, *compositions, dtype=torch_dtype(precision), reference=reference)
        self._place(compositions)

    def switch(self, *compositions: Composition) -> None:
        """Score with other compositions from now on, keeping what they share with the present ones.

        Raises:
            XlrankError: they cannot be composed; the present ones stay.
        """
        if compositions == self.compositions:
            return
        if self.precision == "int8":  # quantised layers cannot be turned back
            self.model = RelevanceModel(self.base, *compositions, reference=self.reference)
        else:
            self.model.switch(*compositions)
        self._place(compositions)

    def _place(self, compositions: Sequence[Composition]) -> None:
        self.compositions = tuple(compositions)
        if self.precision == "int8":
            quantize_linears(self.model.encoder)
        if self.device.type != "cpu":  # everything is made there, and looking at every layer takes as long as a switch
            self.model.to(self.device)

    def __call__(self, batch: Batch) -> Tensor:
        """Scores [rows] on the CPU."""
        tensors = {name: tensor.to(self.device) for name, tensor in batch.tensors().items()}
        return relevance(self.model(**tensors).logits).cpu()
