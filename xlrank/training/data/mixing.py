"""Batches that are drawn whole: each from one source, sources by their shares, and near queries of a source together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from xlrank.errors import XlrankError
from xlrank.training.data.datasets import Listed
from xlrank.training.data.records import Example

Batch = tuple[Example, ...]


@dataclass(frozen=True)
class Part:
    """One source of several.

    Attributes:
        examples: what it holds.
        share: of the batches.
        near: numbers of the examples whose queries are nearest to each example's [examples, at most so many]; None where
            batches are drawn at random.
    """

    examples: Listed
    share: float
    near: NDArray[np.int32] | None = None


class Batches(Dataset[Batch]):
    """Batches of examples, each a batch of one source.

    What a batch holds depends on the seed, the number of the pass and the batch's place in it, and on nothing else; so a
    resumed run draws the same ones. No query and no first document comes twice in a batch. In a pass, the seed examples of a
    source are taken in a random order without repetition, as far as there are enough of them.

    Args:
        parts: the sources; their shares add up to 1.
        batch: examples a batch; fewer where a source has fewer.
        cluster: examples that stand together, the seed among them; 1 or less: every example is drawn at random.
        seed: of all choices.
    """

    def __init__(self, parts: Sequence[Part], *, batch: int, cluster: int, seed: int) -> None:
        self.parts, self.batch, self.cluster, self.seed = parts, batch, max(1, cluster), seed
        count = math.ceil(sum(len(part.examples) for part in parts) / batch)
        self.schedule = [
            (number, place) for number, part in enumerate(parts) for place in range(max(1, round(part.share * count)))
        ]
        self.orders: dict[int, NDArray[np.int64]] = {}
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.schedule)

    def set_epoch(self, epoch: int) -> None:
        """Draw other batches from now on."""
        self.epoch, self.orders = epoch, {}

    def __getitem__(self, index: int) -> Batch:
        number, place = self.schedule[index]
        examples = self.parts[number].examples
        return tuple(examples[i] for i in self._chosen(number, place))

    def _chosen(self, number: int, place: int) -> list[int]:
        """Numbers of a batch's examples, each seed before its neighbours."""
        part = self.parts[number]
        rng = np.random.default_rng([self.seed, self.epoch, number, place])
        chosen, order = _Distinct(part.examples), self._order(number)
        walk = iter(np.roll(order, -place * (self.batch // self.cluster)).tolist())
        while len(chosen.numbers) < self.batch:
            seed = next((i for i in walk if chosen.add(i)), None)
            if seed is None:
                break
            if part.near is not None:
                full = min(self.batch, len(chosen.numbers) + self.cluster - 1)
                for neighbour in rng.permutation(part.near[seed]).tolist():
                    if len(chosen.numbers) == full:
                        break
                    chosen.add(neighbour)
        return chosen.numbers

    def _order(self, number: int) -> NDArray[np.int64]:
        """The order in which a source's examples become seeds in this pass."""
        if number not in self.orders:
            rng = np.random.default_rng([self.seed, self.epoch, number])
            self.orders[number] = rng.permutation(len(self.parts[number].examples))
        return self.orders[number]


class _Distinct:
    """Numbers of examples no two of which share their query or their first document."""

    def __init__(self, examples: Listed) -> None:
        self.examples, self.numbers = examples, list[int]()
        self.seen: set[tuple[str, str]] = set()

    def add(self, number: int) -> bool:
        """Add an example, unless its query or its first document is there already; returns whether it was added."""
        entry = self.examples.entries[number]
        own = {("query", self.examples.source.key(entry)), ("document", entry.documents[0])}
        if own & self.seen:
            return False
        self.seen |= own
        self.numbers.append(number)
        return True


def in_batches(examples: Listed, batch: int) -> list[Batch]:
    """The examples in their order, cut into batches."""
    rows = list(examples)
    return [tuple(rows[start : start + batch]) for start in range(0, len(rows), batch)]


def shares_of(names: Sequence[str], asked: Sequence[float | None], sizes: Sequence[int]) -> list[float]:
    """The share of the batches that each source gets; those that ask for none divide the rest by their sizes.

    Args:
        names: of the sources, for messages.
        asked: a share between 0 and 1, or None.
        sizes: examples.

    Raises:
        XlrankError: a share is out of range, or all of them do not add up to 1.
    """
    for name, share in zip(names, asked, strict=True):
        if share is not None and not 0 < share <= 1:
            raise XlrankError(f"{name}: a share of {share:g} of the batches; expected a number above 0, up to 1")
    rest = 1 - sum(share for share in asked if share is not None)
    free = sum(size for size, share in zip(sizes, asked, strict=True) if share is None)
    if (abs(rest) > 1e-6) if not free else rest < 1e-6:
        wanted = "less than 1, to leave some to the sources without one" if free else "1"
        raise XlrankError(f"training: the shares of the sources add up to {1 - rest:g}; expected {wanted}")
    return [rest * size / free if share is None else share for size, share in zip(sizes, asked, strict=True)]
