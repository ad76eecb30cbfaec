"""Word translation from a parallel corpus: IBM Model 1 (Brown et al. 1993), by expectation maximisation on sparse matrices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xlrank.collections.parallel import EXPECTED, read_pairs
from xlrank.errors import XlrankError
from xlrank.retrieval.analysis import words

NULL = ""
"""The word that target words without a counterpart come from."""
ITERATIONS = 5
SMALLEST = 1e-3
"""Probability below which a pair is left out of the table."""


@dataclass(frozen=True)
class Alignment:
    """What a parallel corpus says about the translations of words.

    Attributes:
        table: source word to target word to p(target | source), most likely first.
        counts: source word to how often it stands in the corpus.
    """

    table: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]


def read_parallel(path: Path) -> list[tuple[list[str], list[str]]]:
    """The words of a parallel corpus, a pair of texts a line.

    Raises:
        XlrankError: the file is missing or malformed, or no line has words on both sides.
    """
    pairs = [(words(pair.text), words(pair.translation)) for pair in read_pairs(path)]
    pairs = [(source, target) for source, target in pairs if source and target]
    if not pairs:
        raise XlrankError(f"{path}: holds no pair of texts with words; expected {EXPECTED}")
    return pairs


def align(pairs: Sequence[tuple[Sequence[str], Sequence[str]]], iterations: int = ITERATIONS) -> Alignment:
    """IBM Model 1: p(target word | source word), each target word coming from one source word or none.

    Args:
        pairs: source words and target words of texts that are each other's translations.
        iterations: of expectation maximisation, from equal probabilities.

    Raises:
        XlrankError: there are no pairs, or no iterations.
    """
    if not pairs or iterations < 1:
        raise XlrankError(f"word alignment: {len(pairs)} pairs and {iterations} iterations; expected at least one of each")
    sources: dict[str, int] = {NULL: 0}
    targets: dict[str, int] = {}
    parts: list[NDArray[np.int64]] = []
    place = 0  # of the target word that a link belongs to, over the whole corpus
    for source, target in pairs:
        from_ = np.array([0, *(sources.setdefault(word, len(sources)) for word in source)])
        to = np.array([targets.setdefault(word, len(targets)) for word in target])
        places = np.arange(place, place + len(to))
        parts.append(np.stack([np.tile(from_, len(to)), np.repeat(to, len(from_)), np.repeat(places, len(from_))]))
        place += len(to)
    source_of, target_of, place_of = np.concatenate(parts, axis=1)
    pair_ids, entry = np.unique(source_of * len(targets) + target_of, return_inverse=True)
    entry_source = pair_ids // len(targets)
    probability = np.full(len(pair_ids), 1 / len(targets))
    for _ in range(iterations):
        share = probability[entry]
        share /= np.bincount(place_of, share, minlength=place)[place_of]
        expected = np.bincount(entry, share, minlength=len(pair_ids))
        probability = expected / np.bincount(entry_source, expected)[entry_source]
    return _alignment(pairs, list(sources), list(targets), pair_ids, probability)


def _alignment(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
    sources: Sequence[str],
    targets: Sequence[str],
    pair_ids: NDArray[np.int64],
    probability: NDArray[np.float64],
) -> Alignment:
    table: dict[str, dict[str, float]] = {}
    for i in np.lexsort((pair_ids, -probability)):
        source = sources[int(pair_ids[i]) // len(targets)]
        if source != NULL and probability[i] >= SMALLEST:
            table.setdefault(source, {})[targets[int(pair_ids[i]) % len(targets)]] = float(probability[i])
    return Alignment(table, Counter(word for source, _ in pairs for word in source))
