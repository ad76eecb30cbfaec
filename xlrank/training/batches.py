"""The order of examples: one numbered sequence a run, the same for one process and for several, from any place on.

The Trainer's own epochs end in short batches that depend on how many processes there are; here passes over the data follow one
another without a seam, so that every step sees as many examples, and a resumed run reads on where the interrupted one stopped.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from xlrank.errors import XlrankError

EMPTY = "training: the data holds no examples"
Numbered = tuple[int, Any]
"""An example with its place in the run's sequence."""


class Shuffled(Dataset[Numbered]):
    """Pass after pass over a dataset, each shuffled anew.

    A dataset with ``set_epoch`` is told the number of every pass before it begins.

    Args:
        dataset: with a length.
        count: examples of the whole run.
        seed: of the orders.
        start: place of the first example.
    """

    def __init__(self, dataset: Any, count: int, seed: int, start: int = 0) -> None:  # noqa: ANN401 - torch gives datasets no length
        self.dataset, self.count, self.seed, self.start = dataset, count, seed, start
        self.size = len(dataset)
        self.epoch, self.order = -1, np.empty(0, np.int64)
        if not self.size:
            raise XlrankError(EMPTY)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Numbered:
        place = self.start + index
        epoch, offset = divmod(place, self.size)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, self._shuffle(epoch)
            _announce(self.dataset, epoch)
        return place, self.dataset[int(self.order[offset])]

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        generator = np.random.default_rng([self.seed, epoch])
        return generator.permutation(self.size)


class Stream(IterableDataset[Numbered]):
    """Pass after pass over a dataset without a length, in its own order.

    Args:
        dataset: yields examples; with ``set_epoch`` it is told the number of every pass before it begins.
        start: place of the first example; those before are read and left out.
    """

    def __init__(self, dataset: "IterableDataset[Any]", start: int = 0) -> None:
        self.dataset, self.start = dataset, start

    def __iter__(self) -> Iterator[Numbered]:
        place, epoch = 0, 0
        while True:
            _announce(self.dataset, epoch)
            before = place
            for example in self.dataset:
                if place >= self.start:
                    yield place, example
                place += 1
            if place == before:
                raise XlrankError(EMPTY)
            epoch += 1


class InOrder(Dataset[Numbered]):
    """The examples of a dataset, once, numbered."""

    def __init__(self, dataset: Any) -> None:  # noqa: ANN401 - torch gives datasets no length
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Numbered:
        return index, self.dataset[index]


class StreamInOrder(IterableDataset[Numbered]):
    """The examples of a dataset without a length, once, numbered."""

    def __init__(self, dataset: "IterableDataset[Any]") -> None:
        self.dataset = dataset

    def __iter__(self) -> Iterator[Numbered]:
        yield from enumerate(self.dataset)


class Collator:
    """Examples to a batch, with random numbers that depend on the batch's place in the run and on nothing else.

    So masks, say, are drawn alike whether or not the run was interrupted, and by however many processes and workers.
    """

    def __init__(self, collate: Callable[[list[Any]], dict[str, Tensor]], seed: int) -> None:
        self.collate, self.seed = collate, seed

    def __call__(self, rows: list[Numbered]) -> dict[str, Tensor]:
        """A batch from numbered examples."""
        with drawing_from(self.seed, rows[0][0]):
            return self.collate([example for _, example in rows])


@contextmanager
def drawing_from(*seeds: int) -> Iterator[None]:
    """Let the global random states of Python, numpy and torch start from ``seeds``, and be as before afterwards."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what a collator may draw from
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _announce(dataset: Any, epoch: int) -> None:  # noqa: ANN401 - a dataset of any kind
    if hasattr(dataset, "set_epoch"):
        dataset.set_epoch(epoch)
