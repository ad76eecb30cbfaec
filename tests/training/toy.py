"""A learner that is small and yet depends on everything a resumed run must get right: order, random numbers, rate, decay."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset, TensorDataset

from xlrank.training.loop import Learner, Settings, train

SIZE = 4
SETTINGS = Settings(steps=6, batch=3, rate=1e-2, save_every=2, precision="fp32")


class Toy(Learner):
    """A linear map with dropout that is to double its input; a frozen part stands for the base."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.base = nn.Linear(SIZE, SIZE).requires_grad_(requires_grad=False)
        self.inner = nn.Linear(SIZE, SIZE)
        self.dropout = nn.Dropout(0.3)
        self.steps = 0

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": ((self.inner(self.dropout(x + self.base(x))) - labels) ** 2).mean()}

    def after_step(self) -> None:
        self.steps += 1

    def count(self, batch: Any) -> dict[str, int]:  # noqa: ANN401 - a mapping
        return {"rows": len(batch["x"])}


class Examples(IterableDataset[tuple[Tensor]]):
    """A stream of 7 examples, shuffled anew in each pass."""

    def __init__(self, count: int = 7) -> None:
        self.epoch, self.rows = 0, rows(count)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        order = list(range(len(self.rows)))
        random.Random(self.epoch).shuffle(order)
        yield from ((self.rows[i],) for i in order)


def rows(count: int) -> Tensor:
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(count))


def collate(batch: list[tuple[Tensor]]) -> dict[str, Tensor]:
    """Noise from the global random states: a run must not depend on who drew from them before."""
    x = torch.stack([row[0] for row in batch])
    return {"x": x + 0.1 * torch.randn_like(x) + 0.1 * random.random(), "labels": 2 * x}


def run(work: Path, data: Any = None, learner: Toy | None = None, **changes: Any) -> tuple[Toy, dict[str, Any]]:  # noqa: ANN401
    """Train a toy; the changes are to the settings."""
    learner = Toy() if learner is None else learner
    key = changes.pop("key", "")
    train_set = TensorDataset(rows(10)) if data is None else data
    record = train(learner, train_set, TensorDataset(rows(5)), collate, replace(SETTINGS, **changes), work, key=key)
    return learner, record


def same(one: nn.Module, other: nn.Module) -> bool:
    """Whether two learners are equal, bit for bit."""
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(torch.equal(states[0][name], states[1][name]) for name in states[0])
