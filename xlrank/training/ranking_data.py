"""What a ranking module learns from: one source, or several with their shares, opened, drawn from and recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.training.data.datasets import Listed
from xlrank.training.data.mixing import Batches, Part, in_batches, shares_of
from xlrank.training.data.neighbours import near_examples
from xlrank.training.data.opening import TrainingData, open_data
from xlrank.training.losses import LateLossName, LossName, Needs, check_data, needs
from xlrank.training.settings import Settings

HELDOUT_SHARE, HELDOUT_MOST = 0.05, 100
"""Queries that are held out: this share of them, and no more than so many."""


@dataclass(frozen=True)
class RankingData:
    """What a ranking module learns from.

    Attributes:
        source: JSON lines, a folder with MS MARCO, or ``irds:ID`` (:func:`xlrank.training.data.open_data`).
        licence: recorded in the module.
        language: of the texts.
        heldout: queries held out, or their share; by default a twentieth, at most a hundred.
        limit: training examples at most.
        run: TREC run for the hard negatives of ``irds:ID``.
        share: of the batches, where there are several sources; those without one divide the rest by their sizes.
    """

    source: str | Path
    licence: str = "see sources"
    language: str = "en"
    heldout: int | float | None = None
    limit: int | None = None
    run: Path | None = None
    share: float | None = None

    def opened(self, loss: LossName | LateLossName, seed: int) -> TrainingData:
        """The data as a loss needs them.

        Raises:
            XlrankError: they are malformed, too few, or not what the loss needs.
        """
        wanted = Needs("labels", grouped=True) if loss == "contrastive" else needs(loss)
        options: dict[str, Any] = {"seed": seed, "limit": self.limit, "targets": wanted.targets, "grouped": wanted.grouped}
        options |= {"run": self.run, "whole": True, "alone": loss == "contrastive"}
        data = open_data(self.source, heldout=self.heldout or HELDOUT_SHARE, **options)
        if self.heldout is None and len(data.heldout) > HELDOUT_MOST:
            data = open_data(self.source, heldout=HELDOUT_MOST, **options)
        if loss != "contrastive":
            check_data(loss, data)
        return data


@dataclass(frozen=True)
class Feed:
    """Datasets for the training loop.

    Attributes:
        train: examples, or whole batches of them.
        heldout: the same.
        batched: whether each item is a whole batch.
        files: that keep which queries are near while training lasts.
    """

    train: Any
    heldout: Any
    batched: bool = False
    files: tuple[Path, ...] = ()

    def sample(self, batches: int, batch: int) -> Iterator[Any]:
        """About so many batches of training examples, drawn when asked for, from all over the data if their size is known."""
        wanted = batches if self.batched else batches * batch
        if hasattr(self.train, "__len__"):
            chosen = [self.train[place] for place in range(0, len(self.train), max(1, len(self.train) // wanted))]
        else:
            chosen = list(islice(self.train, wanted))
        yield from chosen if self.batched else (chosen[start : start + batch] for start in range(0, len(chosen), batch))


def feed(
    opened: Sequence[TrainingData], shares: Sequence[float], settings: Settings, neighbours: int, base: Base, work: Path
) -> Feed:
    """One source's examples as they are, or batches where there are several sources or near queries stand together.

    Args:
        opened: the sources.
        shares: of the batches, one a source.
        settings: of the run: seed, and examples a batch.
        neighbours: examples with near queries that stand together, the first among them; 0 or 1 for none.
        base: that finds the near queries.
        work: folder for what it found.

    Raises:
        XlrankError: a source is too large to be held in memory.
    """
    if len(opened) == 1 and neighbours <= 1:
        return Feed(opened[0].train, opened[0].heldout)
    parts, files = list[Part](), list[Path]()
    for data, share in zip(opened, shares, strict=True):
        if not isinstance(data.train, Listed):
            raise XlrankError(
                f"{data.name}: too large to be held in memory, so it can neither be mixed with other data nor searched for near "
                "queries; train on it alone with 0 neighbours (--neighbours 0)"
            )
        near = None
        if neighbours > 1:
            near, path = near_examples(data.train, base, work)
            files.append(path)
        parts.append(Part(data.train, share, near))
    batches = Batches(parts, batch=settings.batch, cluster=neighbours, seed=settings.seed)
    heldout = [batch for data in opened for batch in in_batches(data.heldout, settings.batch)]
    return Feed(batches, heldout, batched=True, files=tuple(files))


def shares_for(wanted: Sequence[RankingData], opened: Sequence[TrainingData]) -> list[float]:
    """The share of the batches that each source gets.

    Raises:
        XlrankError: a share is out of range, or they do not add up.
    """
    if len(wanted) == 1:
        return [1.0]
    sizes = [len(data.train) if isinstance(data.train, Listed) else 1 for data in opened]
    return shares_of([data.name for data in opened], [source.share for source in wanted], sizes)


def record_of(wanted: Sequence[RankingData], opened: Sequence[TrainingData], shares: Sequence[float]) -> dict[str, Any]:
    """What a module says of its data: files with their licences, and how many groups of which size."""
    data: list[dict[str, Any]] = []
    for source, found, share in zip(wanted, opened, shares, strict=True):
        several = {"licence": source.licence, "share": round(share, 4)} if len(wanted) > 1 else {}
        data += [{**file, **several} for file in found.sources]
    sizes = {found.group_size for found in opened}
    groups = [len(found.train) if hasattr(found.train, "__len__") else None for found in opened]
    return {
        "data": data,
        "licence": "; ".join(dict.fromkeys(source.licence for source in wanted)),
        "groups": None if None in groups else sum(count or 0 for count in groups),
        "group_size": sizes.pop() if len(sizes) == 1 else None,
    }
