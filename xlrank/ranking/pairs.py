"""Query-document pairs as model inputs: every text tokenised once, cut, sorted by length, and batched by token budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.ranking.blank import Blank
from xlrank.ranking.texts import word_pieces

Pair = tuple[str, str]
"""A query and a document, as text."""
EncodedPair = tuple[list[int], list[int]]
"""The word pieces of a query and of a document, special tokens included."""


class EncodedPairs(NamedTuple):
    """Pairs as word pieces.

    Attributes:
        encoded: the pairs of which both texts have content, by the pair's number.
        blanks: the others.
        shortened: how many pairs did not fit into their length.
    """

    encoded: dict[int, EncodedPair]
    blanks: list[Blank]
    shortened: int


@dataclass(frozen=True)
class Batch:
    """One padded batch; tensors are integers [rows, tokens] unless said otherwise.

    Attributes:
        input_ids: word pieces.
        attention_mask: 1 where a token is no padding.
        token_type_ids: as the base's tokenizer sets them.
        sides: 0 for [CLS], query and first [SEP]; 1 for the rest.
        variants: [rows], number of each row's composition; None where all rows are of one.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    sides: Tensor
    variants: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """The attributes that are there, by name: the arguments of a composed encoder."""
        return {name: tensor for name, tensor in vars(self).items() if tensor is not None}


class PairEncoder:
    """Frames pairs for one base, cutting the longer text first (``longest_first``).

    Args:
        base: whose tokenizer it is.
        max_length: word pieces a pair is cut to, special tokens included, no more than the base has positions for; None: what
            its checkpoint states.

    Raises:
        XlrankError: the length leaves nothing of a pair.
    """

    def __init__(self, base: Base, max_length: int | None = None) -> None:
        self.base = base
        self._asked = None if max_length is None else self.checked(max_length)

    @cached_property
    def max_length(self) -> int:
        """Word pieces a pair is cut to; looked up when needed, since what is tokenised elsewhere needs no tokenizer here."""
        return self.checked(self.base.max_length) if self._asked is None else self._asked

    def checked(self, max_length: int) -> int:
        """The word pieces that pairs are cut to where so many are asked for.

        Raises:
            XlrankError: the length leaves nothing of a pair.
        """
        if max_length < self.base.frame.length + 2:
            raise XlrankError(f"max_length {max_length}: too short for a pair; expected at least {self.base.frame.length + 2}")
        return min(max_length, self.base.positions)

    def encode(self, pairs: Sequence[Pair]) -> list[EncodedPair]:
        """The word pieces of each pair's two sides, special tokens included, cut to fit.

        Raises:
            XlrankError: a text holds nothing that can be tokenised.
        """
        found = self.encode_to(pairs, [self.max_length] * len(pairs))
        for number, side in found.blanks:
            text = pairs[number][side == "document"]
            raise XlrankError(f"ranking: a {side} is empty ({text[:40]!r}); give it text or leave it out")
        return list(found.encoded.values())

    def encode_to(self, pairs: Sequence[Pair], lengths: Sequence[int]) -> EncodedPairs:
        """As :meth:`encode`, each pair cut to a length of its own; pairs with a text without content are only named."""
        frame, pieces = self.base.frame, word_pieces(self.base, [text for pair in pairs for text in pair])
        encoded: dict[int, EncodedPair] = {}
        blanks, shortened = [], 0
        for number, ((query, document), length) in enumerate(zip(pairs, lengths, strict=True)):
            whole = len(pieces[query]), len(pieces[document])
            if not all(whole):
                blanks.append(Blank(number, "document" if pieces[query] else "query"))
                continue
            q, d = cut(*whole, length - frame.length)
            shortened += (q, d) != whole
            first = frame.middle[:1]
            left = [*frame.first, *pieces[query][:q], *first]
            encoded[number] = (left, [*frame.middle[1:], *pieces[document][:d], *frame.last])
        return EncodedPairs(encoded, blanks, shortened)

    def batch(self, rows: Sequence[EncodedPair], variants: Sequence[int] | None = None) -> Batch:
        """Pad encoded pairs to the longest of them; ``variants`` [rows] says of which composition each is."""
        width = max(len(left) + len(right) for left, right in rows)
        ids = np.full((len(rows), width), self.base.tokenizer.pad_token_id, np.int64)
        mask, sides = np.zeros_like(ids), np.ones_like(ids)
        for row, (left, right) in enumerate(rows):
            length = len(left) + len(right)
            ids[row, :length] = [*left, *right]
            mask[row, :length] = 1
            sides[row, : len(left)] = 0
        types = sides * mask if self.base.frame.types_differ else np.zeros_like(ids)
        named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "sides": sides}
        if variants is not None:
            named["variants"] = np.asarray(variants, np.int64)
        return Batch(**{name: torch.from_numpy(array) for name, array in named.items()})


def cut(query: int, document: int, budget: int) -> tuple[int, int]:
    """Lengths that fit into ``budget`` after cutting the longer side, as fast tokenizers do (``longest_first``).

    Where both are cut, the odd token goes to the side that was longer, to the document if they were equal.
    """
    if query + document <= budget:
        return query, document
    short, long = min(query, document), max(query, document)
    long = max(short, budget - short)
    if short + long > budget:
        short = budget // 2
        long = budget - short
    return (short, long) if query <= document else (long, short)


def batches_by_length(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Indices in groups of texts of like length, at most ``tokens`` tokens each after padding, the longest first."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batches: list[list[int]] = []
    for i in order:
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= tokens:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
