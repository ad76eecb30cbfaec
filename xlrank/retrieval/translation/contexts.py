"""Words in their context: the encoder's last states of a word's pieces, averaged."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.bases import Base, LastStates
from xlrank.precision import resolve_precision
from xlrank.retrieval.analysis import WORD, compatible, lower_case

UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
"""Letters of scripts that do not set words apart; there each word piece counts as a word."""

BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Word:
    """An occurrence of a word.

    Attributes:
        form: lower-cased.
        text: number of the text that it stands in.
        vector: unit length [hidden].
    """

    form: str
    text: int
    vector: NDArray[np.float32]


def words_in_context(
    base: Base, texts: Sequence[str], skip: int = 0, progress: Callable[[int, int], None] | None = None
) -> Iterator[Word]:
    """All words of all texts; those of one text follow each other, texts come by falling length.

    Args:
        base: the encoder.
        texts: as the encoder is to read them, prefixes included.
        skip: characters at the beginning of each text that are no part of it.
        progress: told how many texts are done.
    """
    normal = [compatible(text) for text in texts]
    encoded: Any = base.tokenizer(
        normal, truncation=True, max_length=min(256, base.max_length), return_offsets_mapping=True, verbose=False
    )
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    order = sorted(range(len(texts)), key=lambda i: -len(ids[i]))
    encoder = LastStates(base, resolve_precision("auto"))
    start = 0
    while start < len(order):
        rows = order[start : start + max(1, BATCH_TOKENS // len(ids[order[start]]))]
        found, _ = encoder([ids[i] for i in rows])
        for row, states in zip(rows, found.float().cpu().numpy(), strict=True):
            for form, pieces in _units(normal[row], offsets[row], skip):
                vector = states[pieces].mean(axis=0)
                yield Word(form, row, vector / max(float(np.linalg.norm(vector)), 1e-9))
        start += len(rows)
        if progress:
            progress(start, len(order))


def _units(text: str, offsets: Sequence[tuple[int, int]], skip: int) -> Iterator[tuple[str, list[int]]]:
    """The words of a text, lower-cased, with the places of their pieces."""
    at = 0
    for found in WORD.finditer(text, skip):
        while at < len(offsets) and (offsets[at][1] <= found.start() or offsets[at][0] == offsets[at][1]):
            at += 1
        pieces = []
        place = at
        while place < len(offsets) and offsets[place][0] < found.end():
            if offsets[place][1] > max(offsets[place][0], found.start()):
                pieces.append(place)
            place += 1
        if UNSPACED.search(found[0]):
            for piece in pieces:
                form = text[max(offsets[piece][0], found.start()) : min(offsets[piece][1], found.end())]
                if form:
                    yield lower_case(form), [piece]
        elif pieces:
            yield lower_case(found[0]), pieces
