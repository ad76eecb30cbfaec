"""Texts that are encoded alone, as model inputs: prompt, content and special tokens, padded, with the content marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.text import clean


class EncodedText(NamedTuple):
    """A text's word pieces, prompt and special tokens included; those from ``start`` to before ``stop`` are its content."""

    ids: list[int]
    start: int
    stop: int

    @property
    def content(self) -> list[int]:
        """The word pieces that take part in MaxSim."""
        return self.ids[self.start : self.stop]


@dataclass(frozen=True)
class TextBatch:
    """One padded batch; tensors are integers [rows, tokens] unless said otherwise.

    Attributes:
        input_ids: word pieces.
        attention_mask: 1 where a token is no padding.
        token_type_ids: zeros.
        sides: zeros; each text is encoded by a composition of its own side.
        content: 1 where a token takes part in MaxSim.
        variants: [rows], number of each row's composition; None where all rows are of one.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    sides: Tensor
    content: Tensor
    variants: Tensor | None = None

    def inputs(self) -> dict[str, Tensor]:
        """The arguments of a composed encoder, by name."""
        return {name: tensor for name, tensor in vars(self).items() if tensor is not None and name != "content"}


class TextEncoder:
    """Frames texts of one side for one base.

    Args:
        base: whose tokenizer it is.
        prompt: put before each text.
        max_length: word pieces a text is cut to, prompt and special tokens included.

    Attributes:
        room: word pieces of content that fit in.

    Raises:
        XlrankError: the length leaves nothing of a text.
    """

    def __init__(self, base: Base, prompt: str, max_length: int) -> None:
        self.base, self.prompt = base, prompt
        self.max_length = min(max_length, base.max_length)
        before = word_pieces(base, [prompt])[prompt] if prompt.strip() else []
        self.before, self.after = [*base.frame.first, *before], list(base.frame.last)
        self.room = self.max_length - len(self.before) - len(self.after)
        if self.room < 1:
            raise XlrankError(
                f"late interaction: {max_length} word pieces leave no room beside the prompt {prompt!r}; expected at least "
                f"{len(self.before) + len(self.after) + 1}"
            )

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """The word pieces of each text, in the order given; texts without content have ``start == stop``."""
        pieces, start = word_pieces(self.base, texts), len(self.before)
        kept = [pieces[text][: self.room] for text in texts]
        return [EncodedText([*self.before, *ids, *self.after], start, start + len(ids)) for ids in kept]

    def batch(self, rows: Sequence[EncodedText], variants: Sequence[int] | None = None) -> TextBatch:
        """Pad encoded texts to the longest of them; ``variants`` [rows] says of which composition each is."""
        width = max(len(row.ids) for row in rows)
        ids = np.full((len(rows), width), self.base.tokenizer.pad_token_id, np.int64)
        mask, content = np.zeros_like(ids), np.zeros_like(ids)
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = row.ids
            mask[number, : len(row.ids)] = 1
            content[number, row.start : row.stop] = 1
        zeros = np.zeros_like(ids)
        named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": zeros, "sides": zeros, "content": content}
        if variants is not None:
            named["variants"] = np.asarray(variants, np.int64)
        return TextBatch(**{name: torch.from_numpy(array) for name, array in named.items()})


def word_pieces(base: Base, texts: Sequence[str]) -> dict[str, list[int]]:
    """The word pieces of each distinct text, without special tokens; none of a text without content."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    encoded = base.tokenizer([clean(text) for text in distinct], add_special_tokens=False, verbose=False)["input_ids"]
    return dict(zip(distinct, encoded, strict=True))
