"""Training data by name: opened, split by query, and described."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError
from xlrank.training.data.datasets import Listed, Streamed
from xlrank.training.data.irds import PREFIX, IrDataset
from xlrank.training.data.jsonl import JsonLines
from xlrank.training.data.msmarco import MsMarco
from xlrank.training.data.records import Entry, Source, Targets

SCANNED = 20_000
"""Entries at the start of a stream that its held-out queries are chosen from."""


@dataclass(frozen=True)
class TrainingData:
    """What a ranking module learns from.

    Attributes:
        name: of the source, for messages.
        train: the examples to learn from: a map-style dataset, or an iterable one for what is too large for memory.
        heldout: those of the held-out queries, map-style.
        sources: the files' names and identities, JSON-able; equal for equal data.
        sizes: documents of the smallest and of the largest example (of a stream, as far as it was scanned).
        targets: whether the targets are ``labels`` or a teacher's ``scores``.
    """

    name: str
    train: Listed | Streamed
    heldout: Listed
    sources: list[dict[str, Any]]
    sizes: tuple[int, int]
    targets: Targets

    @property
    def group_size(self) -> int | None:
        """Documents of every example; None where they differ."""
        return self.sizes[0] if self.sizes[0] == self.sizes[1] else None

    def equal_size(self) -> int:
        """Documents of every example.

        Raises:
            XlrankError: they differ.
        """
        if self.group_size is None:
            raise XlrankError(f"{self.name}: groups of {self.sizes[0]} to {self.sizes[1]} documents; all must have as many")
        return self.group_size


def open_data(
    source: str | Path,
    *,
    seed: int,
    heldout: int | float,
    limit: int | None = None,
    targets: Targets = "labels",
    grouped: bool = True,
    alone: bool = False,
    negatives: int = 4,
    run: Path | None = None,
    whole: bool = False,
) -> TrainingData:
    """Open training data and split off a held-out part, so that no query is on both sides.

    Args:
        source: a file of JSON lines (:func:`~xlrank.training.data.jsonl.read_examples`), a folder with MS MARCO
            (:class:`~xlrank.training.data.msmarco.MsMarco`), or ``irds:ID``
            (:class:`~xlrank.training.data.irds.IrDataset`).
        seed: of the split and of all other choices.
        heldout: held-out queries, as a number or as a share between 0 and 1. Of what is streamed they are chosen among the
            queries of the first ``SCANNED`` entries. Data published with a held-out part gives its first queries, all of
            them for a share.
        limit: training examples at most.
        targets: ``labels``, or ``scores`` of a teacher, which the data must then have.
        grouped: whether labelled pairs and triples make groups; False for pairs one by one, as the paper trains.
        alone: whether positives may stand without negatives, as of :func:`~xlrank.training.data.jsonl.read_examples`.
        negatives: negatives of a group made from judgements (``irds:``).
        run: TREC run for hard negatives of such groups.
        whole: as of :class:`~xlrank.training.data.datasets.Streamed`.

    Raises:
        XlrankError: there is no such data, it is malformed or too little, or an argument is out of range.
    """
    check_range(heldout, limit)
    opened = _source(source, targets=targets, grouped=grouped, alone=alone, negatives=negatives, run=run, seed=seed)
    published = opened.published_heldout(heldout if isinstance(heldout, int) else None)
    scanned = list(islice(opened.walk(), SCANNED if opened.streams else None))
    count = heldout if isinstance(heldout, int) else max(1, round(heldout * len({opened.key(entry) for entry in scanned})))
    held = published or _chosen(scanned, opened, count, seed)
    skip = opened.keys_of_equal_queries(held)
    rest = [entry for entry in scanned if opened.key(entry) not in skip]
    if not rest:
        queries = len({opened.key(entry) for entry in scanned})
        raise XlrankError(f"{opened.name}: only {queries} queries; too few to hold out {count} and train on the others")
    most = min((cap for cap in (limit, opened.cap) if cap is not None), default=None)
    if opened.streams:
        train: Listed | Streamed = Streamed(opened, skip=skip, limit=most, seed=seed, whole=whole)
    else:
        train = Listed(opened, rest[:most])
    lengths = {len(entry.targets) for part in (held, rest) for entry in part}
    return TrainingData(opened.name, train, Listed(opened, held), opened.record(), (min(lengths), max(lengths)), targets)


def check_range(heldout: int | float, limit: int | None) -> None:
    """Check how much is to be held out and used.

    Raises:
        XlrankError: less than one example, or a share that is not between 0 and 1.
    """
    if not (heldout >= 1 if isinstance(heldout, int) else 0 < heldout < 1):
        raise XlrankError(f"held-out part {heldout!r}: expected a number of queries from 1, or a share between 0 and 1")
    if limit is not None and limit < 1:
        raise XlrankError(f"limit {limit}: expected at least one training example")


def _source(
    source: str | Path, *, targets: Targets, grouped: bool, alone: bool, negatives: int, run: Path | None, seed: int
) -> Source:
    name = str(source)
    published = name.startswith(PREFIX) or Path(source).is_dir()
    if published and targets == "scores":
        raise XlrankError(f"{name}: holds no teacher's scores; score groups first, or choose a loss that learns from labels")
    if name.startswith(PREFIX):
        return IrDataset(name.removeprefix(PREFIX), grouped=grouped, negatives=negatives, run=run, seed=seed)
    if published:
        return MsMarco(Path(source), grouped=grouped)
    return JsonLines(Path(source), targets=targets, grouped=grouped, alone=alone)


def _chosen(entries: Iterable[Entry], source: Source, count: int, seed: int) -> list[Entry]:
    """The entries of ``count`` queries: those whose keys have the smallest hashes, which the order of the file cannot move."""
    keyed = [(source.key(entry), entry) for entry in entries]
    keys = sorted({key for key, _ in keyed}, key=lambda key: hashlib.blake2b(f"{seed} {key}".encode()).digest())
    chosen = frozenset(keys[:count])
    return [entry for key, entry in keyed if key in chosen]
