"""From examples to batches: tokenised when they are used, all texts of a batch at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xlrank.ranking.pairs import PairEncoder
from xlrank.training.data.datasets import Deferred
from xlrank.training.data.records import Example

Row = Example | Deferred
Rows = Sequence[Row | Sequence[Row]]
"""What a dataset gives for a batch: examples, or lists of them (:class:`xlrank.training.data.mixing.Batches`)."""


class Collator:
    """Makes one padded batch of examples.

    Args:
        encoder: frames and cuts the pairs.
    """

    def __init__(self, encoder: PairEncoder) -> None:
        self.encoder = encoder

    def __call__(self, rows: Rows) -> dict[str, Tensor]:
        """One row for each document of each example.

        Returns:
            The tensors of :class:`~xlrank.ranking.pairs.Batch` [rows, tokens], and with them ``labels``, the targets [rows] in
            float32, and ``groups``, the number of each row's example in the batch [rows] in int64.

        Raises:
            XlrankError: a text is unknown, empty, or holds nothing that can be tokenised.
        """
        examples = fetched(rows)
        encoded = self.encoder.encode([(example.query, document) for example in examples for document in example.documents])
        targets = [target for example in examples for target in example.targets]
        groups = [number for number, example in enumerate(examples) for _ in example.documents]
        return {
            **self.encoder.batch(encoded).tensors(),
            "labels": torch.tensor(targets, dtype=torch.float32),
            "groups": torch.tensor(groups, dtype=torch.int64),
        }


def fetched(rows: Rows) -> list[Example]:
    """The examples of a batch one by one, with their texts."""
    single: list[Row] = []
    for item in rows:
        single += [item] if isinstance(item, Example | Deferred) else item
    return [row.fetch() if isinstance(row, Deferred) else row for row in single]
