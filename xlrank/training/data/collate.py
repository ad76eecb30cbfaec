"""From examples to batches: tokenised when they are used, all texts of a batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xlrank.ranking.pairs import PairEncoder
from xlrank.training.data.datasets import Deferred
from xlrank.training.data.records import Example


class Collator:
    """Makes one padded batch of examples.

    Args:
        encoder: frames and cuts the pairs.
    """

    def __init__(self, encoder: PairEncoder) -> None:
        self.encoder = encoder

    def __call__(self, rows: Sequence[Example | Deferred]) -> dict[str, Tensor]:
        """One row for each document of each example.

        Returns:
            The tensors of :class:`~xlrank.ranking.pairs.Batch` [rows, tokens], and with them ``labels``, the targets [rows] in
            float32, and ``groups``, the number of each row's example in the batch [rows] in int64.

        Raises:
            XlrankError: a text is unknown, empty, or holds nothing that can be tokenised.
        """
        examples = [row.fetch() if isinstance(row, Deferred) else row for row in rows]
        encoded = self.encoder.encode([(example.query, document) for example in examples for document in example.documents])
        targets = [target for example in examples for target in example.targets]
        groups = [number for number, example in enumerate(examples) for _ in example.documents]
        return {
            **self.encoder.batch(encoded).tensors(),
            "labels": torch.tensor(targets, dtype=torch.float32),
            "groups": torch.tensor(groups, dtype=torch.int64),
        }
