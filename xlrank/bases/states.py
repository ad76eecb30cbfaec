"""A base's last states of texts, for whoever needs vectors and no ranker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xlrank.precision import ResolvedPrecision, torch_dtype

if TYPE_CHECKING:
    import torch

    from xlrank.bases.base import Base


class LastStates:
    """The base's encoder as it is, on the GPU if there is one.

    Args:
        base: whose encoder it is; a copy works, the base itself stays as it is.
        precision: that it computes in.
    """

    def __init__(self, base: "Base", precision: ResolvedPrecision) -> None:
        import torch

        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder = base.copy_encoder({}, torch_dtype(precision)).eval().to(self.device)
        self.pad = int(base.tokenizer.pad_token_id)

    def __call__(self, rows: Sequence[Sequence[int]]) -> "tuple[torch.Tensor, torch.Tensor]":
        """States [rows, longest, hidden] of rows of word pieces, and the mask [rows, longest] of what is no padding."""
        import torch

        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self.pad] * (width - len(row))] for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.device)
        with torch.inference_mode():
            states: torch.Tensor = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return states, mask
