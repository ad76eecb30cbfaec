"""Examples as torch datasets: listed in memory, or streamed and shared out to processes and workers."""

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from torch.utils.data import Dataset, IterableDataset, get_worker_info

from xlrank.training.data.records import Entry, Example, Source

BUFFER = 10_000
"""Entries among which a stream is shuffled."""


class Listed(Dataset[Example]):
    """Entries in memory, whose texts are fetched when an example is used."""

    def __init__(self, source: Source, entries: Sequence[Entry]) -> None:
        self.source, self.entries = source, entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Example:
        return self.source.fetch(self.entries[index])

    def __iter__(self) -> Iterator[Example]:
        return map(self.source.fetch, self.entries)


class Deferred(NamedTuple):
    """An example whose texts are not looked up yet; the collator does it."""

    source: Source
    entry: Entry

    def fetch(self) -> Example:
        """The example."""
        return self.source.fetch(self.entry)


class Streamed(IterableDataset[Example | Deferred]):
    """A source read anew in each epoch, of which each process and each worker of its data loader sees another part.

    Processes are told apart by the environment's ``RANK`` and ``WORLD_SIZE``, as torchrun sets them. Every process sees as many
    examples, so that none waits for another at an epoch's end: a last incomplete round is left out where there are several.

    Args:
        source: what is read.
        skip: keys of the queries that are held out.
        limit: entries an epoch at most.
        seed: of the order.
        whole: whether every process gets the whole stream, because the caller shares it out or skips its start (accelerate
            does, and a resumed run). Examples are then :class:`Deferred`, so that nothing is looked up in vain.
    """

    def __init__(self, source: Source, *, skip: frozenset[str], limit: int | None, seed: int, whole: bool = False) -> None:
        self.source, self.skip, self.limit, self.seed, self.whole = source, skip, limit, seed, whole
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Shuffle the entries in another way from now on."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Example | Deferred]:
        shard, shards, several = self._shard()
        entries: Iterable[Entry] = islice(self.source.walk(self.skip), self.limit)
        if not self.source.shuffled:
            entries = shuffled(entries, random.Random(f"{self.seed} {self.epoch}"))
        for round_ in _rounds(entries, shards):
            # Texts are looked up only here: the other parts' entries cost a line of reading, no more.
            if shard < len(round_) and (len(round_) == shards or not several):
                deferred = Deferred(self.source, round_[shard])
                yield deferred if self.whole else deferred.fetch()

    def _shard(self) -> tuple[int, int, bool]:
        """This worker's number, how many there are in all processes, and whether there are several processes."""
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        rank, world = (0, 1) if self.whole else (int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
        return rank * workers + number, world * workers, world > 1


def shuffled(entries: Iterable[Entry], rng: random.Random, size: int = BUFFER) -> Iterator[Entry]:
    """The entries in a random order, of which at most ``size`` are held at a time."""
    buffer: list[Entry] = []
    for entry in entries:
        if len(buffer) < size:
            buffer.append(entry)
        else:
            place = rng.randrange(size)
            yield buffer[place]
            buffer[place] = entry
    rng.shuffle(buffer)
    yield from buffer


def _rounds(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while round_ := list(islice(iterator, size)):
        yield round_
