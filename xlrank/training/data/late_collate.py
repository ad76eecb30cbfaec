"""From examples to batches of late interaction: every query and every document of a batch once, apart from each other."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from xlrank.bases.prompts import Side
from xlrank.errors import XlrankError
from xlrank.ranking.texts import EncodedText, TextEncoder
from xlrank.training.data.collate import Rows, fetched
from xlrank.training.data.records import Example, query_key

UNKNOWN = float("nan")
"""Label of a query and a document about which nothing is to be learned."""


class LateCollator:
    """Makes batches of queries and documents, every text once, those without content left out.

    Args:
        queries: frames and cuts the queries.
        documents: frames and cuts the documents.
        scored: whether the examples' targets are a teacher's scores, not labels.
    """

    def __init__(self, queries: TextEncoder, documents: TextEncoder, *, scored: bool) -> None:
        self.queries, self.documents, self.scored = queries, documents, scored

    def __call__(self, rows: Rows) -> dict[str, Tensor]:
        """A batch as :meth:`xlrank.training.late.LateModel.forward` takes it.

        Queries that differ in letter case and spaces only are one, with the documents of all.

        Raises:
            XlrankError: a text is unknown, or none of the queries or documents has content.
        """
        examples = fetched(rows)
        queries, documents = _Side(self.queries), _Side(self.documents)
        queries.see([(query_key(example.query), example.query) for example in examples])
        documents.see([(text, text) for example in examples for text in example.documents])
        labels = self._labels(examples, queries.places, documents.places)
        left_out = queries.left_out + documents.left_out
        return {
            **queries.tensors("query"),
            **documents.tensors("document"),
            "labels": labels,
            "left_out": torch.zeros(left_out, dtype=torch.int64),
        }

    def _labels(self, examples: Sequence[Example], queries: Mapping[str, int], documents: Mapping[str, int]) -> Tensor:
        labels = torch.full((len(queries), len(documents)), UNKNOWN if self.scored else 0.0)
        for example in examples:
            row = queries.get(query_key(example.query))
            for document, target in zip(example.documents, example.targets, strict=True):
                column = documents.get(document)
                # Positive once is positive in the whole batch, whatever another line of the same query says.
                if row is not None and column is not None and (self.scored or target > 0):
                    labels[row, column] = target
        if self.scored:  # what was left out may leave single documents, which there is nothing to compare with
            labels[(~labels.isnan()).sum(1) < 2] = UNKNOWN
        return labels


class _Side:
    """The distinct texts of one side of a batch.

    Attributes:
        rows: the encoded texts.
        places: number of each text's row, by its key; texts without content have none.
        left_out: texts without content.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self.rows: list[EncodedText] = []
        self.places: dict[str, int] = {}
        self.left_out = 0

    def see(self, texts: Sequence[tuple[str, str]]) -> None:
        """Encode texts, given with the keys by which they are told apart."""
        distinct: dict[str, str] = {}
        for key, text in texts:
            distinct.setdefault(key, text)
        for key, encoded in zip(distinct, self.encoder.encode(list(distinct.values())), strict=True):
            if encoded.start < encoded.stop:
                self.places[key] = len(self.rows)
                self.rows.append(encoded)
        self.left_out = len(distinct) - len(self.rows)
        if not self.rows:
            first = next(iter(distinct.values()))
            raise XlrankError(f"training: nothing in a batch can be tokenised, e.g. {first[:40]!r}; remove such examples")

    def tensors(self, side: Side) -> dict[str, Tensor]:
        """The texts as padded tensors, named after the side."""
        batch = self.encoder.batch(self.rows)
        return {f"{side}_ids": batch.input_ids, f"{side}_mask": batch.attention_mask, f"{side}_content": batch.content}
