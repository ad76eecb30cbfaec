"""Objectives added up: their batches come in turn, and a resumed run sees the batches that an uninterrupted one would have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from xlrank.training.loop import Learner, Settings, train
from xlrank.training.objectives.objective import Objective

Named = tuple[str, Any]
"""The examples of a whole batch, and the name of the objective that they are for."""


class Batches(IterableDataset[Named]):
    """Whole batches without end, each drawn from the seed and its number alone.

    Args:
        objectives: that take turns.
        size: examples a batch.
        seed: of the draws.
    """

    def __init__(self, objectives: Sequence[Objective], size: int, seed: int) -> None:
        self.objectives, self.size, self.seed = objectives, size, seed

    def __iter__(self) -> Iterator[Named]:
        for number in count():
            turn, which = divmod(number, len(self.objectives))
            objective = self.objectives[which]
            yield objective.name, objective.draw(turn, self.size, np.random.default_rng([self.seed, number]))


class Heldout(Dataset[Named]):
    """The held-out batches of all objectives."""

    def __init__(self, objectives: Sequence[Objective], size: int) -> None:
        self.batches = [(objective.name, batch) for objective in objectives for batch in objective.heldout(size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Named:
        return self.batches[index]


class Together(Learner):
    """Learns what each batch is for: its tensors are named ``OBJECTIVE.NAME``, but for ``labels``."""

    accepts_loss_kwargs = False  # the Trainer would take ``**batch`` for an invitation to pass its own counts

    def __init__(self, objectives: Sequence[Objective]) -> None:
        super().__init__()
        self.objectives = nn.ModuleDict({objective.name: objective for objective in objectives})

    def collate(self, rows: Sequence[Named]) -> dict[str, Tensor]:
        """The tensors of the one batch in ``rows``."""
        [(name, examples)] = rows
        tensors = self.objective(name).collate(examples)
        return {"labels": tensors.pop("labels"), **{f"{name}.{key}": tensor for key, tensor in tensors.items()}}

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """The loss of a batch by its objective."""
        objective, tensors = self._parted(batch)
        return {"loss": objective(tensors)}

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """What the batch's objective counts."""
        objective, tensors = self._parted(batch)
        return objective.count(tensors)

    def objective(self, name: str) -> Objective:
        """An objective by its name."""
        return cast(Objective, self.objectives[name])

    def _parted(self, batch: Mapping[str, Tensor]) -> tuple[Objective, dict[str, Tensor]]:
        """A batch's objective, and its tensors by the names that this one gave them."""
        name = next(key for key in batch if key != "labels").partition(".")[0]
        return self.objective(name), {key.removeprefix(f"{name}."): tensor for key, tensor in batch.items()}


def fit_in_turn(learner: Learner, together: Together, settings: Settings, work: Path, key: str) -> dict[str, Any]:
    """Train on the batches of several objectives.

    Args:
        learner: what learns: ``together``, or something around it.
        together: the objectives.
        settings: budget and optimiser; ``batch`` counts blocks, pairs or articles.
        work: folder for checkpoints.
        key: of all else that decides the result.

    Returns:
        As :func:`xlrank.training.loop.train`; with several objectives their losses apart, ``heldout_losses``, after training.
    """
    objectives = [together.objective(name) for name in together.objectives]
    batches, heldout = Batches(objectives, settings.batch, settings.seed), Heldout(objectives, settings.batch)
    # To the loop, each example is a whole batch: those of one objective stay together, whatever the number of processes.
    record = train(learner, batches, heldout, together.collate, replace(settings, batch=1), work, key=key)
    record["settings"]["batch"] = settings.batch
    if len(objectives) > 1:
        record["heldout_losses"] = measure(together, heldout, record["precision"])
    return record


@torch.no_grad()
def measure(together: Together, heldout: Heldout, precision: str = "fp32") -> dict[str, float]:
    """The held-out loss of each objective, mean over its batches.

    Args:
        together: the objectives.
        heldout: their held-out batches.
        precision: as a run's record has it.
    """
    device = next(together.parameters()).device
    found: dict[str, list[float]] = {}
    together.eval()
    for name, examples in heldout.batches:
        batch = {key: tensor.to(device) for key, tensor in together.collate([(name, examples)]).items()}
        half = torch.bfloat16 if precision.startswith("bf16") else torch.float16
        with torch.autocast(device.type, dtype=half, enabled=precision != "fp32"):
            found.setdefault(name, []).append(float(together(**batch)["loss"]))
    return {name: round(sum(losses) / len(losses), 4) for name, losses in found.items()}
