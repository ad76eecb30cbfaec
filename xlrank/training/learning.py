"""From a recipe to a module: one training run, or the several phases of a mask."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from xlrank.bases import Base
from xlrank.modules import BaseReference, Module
from xlrank.training.loop import Learner, Settings
from xlrank.training.lottery import Fit, Lottery
from xlrank.training.recipes import MaskRecipe, Recipe
from xlrank.training.trainee import FullTrainee, Trainee


@dataclass(frozen=True)
class Learnt:
    """What training gave.

    Attributes:
        kind: of the module.
        tensors: the module's, without a head.
        config: the module's settings.
        record: of the run.
    """

    kind: str
    tensors: Mapping[str, Tensor]
    config: Mapping[str, Any]
    record: Mapping[str, Any]

    def module(self, base: Base, *, tensors: Mapping[str, Tensor] | None = None, **fields: Any) -> Module:  # noqa: ANN401
        """The module, with further tensors (a head) and the attributes that training does not know."""
        config = {**self.config, **fields.pop("config", {})}
        training = {**self.record, **fields.pop("training", {})}
        reference = BaseReference(base.name, base.fingerprint)
        return Module.create(
            {**self.tensors, **(tensors or {})}, kind=self.kind, base=reference, config=config, training=training, **fields
        )


def learn(recipe: Recipe, trainee: Trainee, learner: Learner, base: Base, fit: Fit, settings: Settings, work: Path) -> Learnt:
    """Train a module by its recipe.

    Args:
        recipe: kind and settings.
        trainee: what the recipe started (:func:`xlrank.training.recipes.start`).
        learner: the model around the trainee's encoder; its forward gives ``{"loss": …}``.
        base: the encoder's base.
        fit: trains a learner in a folder (:func:`xlrank.training.loop.train` with data).
        settings: budget and optimiser, of all phases together.
        work: folder for checkpoints.
    """
    if not isinstance(recipe, MaskRecipe):
        record = fit(learner, settings, work)
        return Learnt(trainee.kind, trainee.tensors(), trainee.config, record)
    assert isinstance(trainee, FullTrainee)
    possible = sum(tensor.numel() for tensor in trainee.start.values())
    entries = recipe.count(int(base.config.hidden_size), int(base.config.num_hidden_layers), possible)
    model = Pulled(learner, trainee, recipe.l1, base) if recipe.l1 else learner
    lottery = Lottery(trainee, model, recipe, entries)
    record = lottery.run(fit, settings, work)
    return Learnt("mask", lottery.tensors(), {}, {**record, "density": entries / possible, "l1": recipe.l1})


class Pulled(Learner):
    """A learner whose loss grows with how far its parameters have moved: l1 times the mean absolute change.

    The mean is over all of the base's parameters, as composable-sft computes it, whether they can move or not.
    """

    accepts_loss_kwargs = False  # the Trainer would take ``**batch`` for an invitation to pass its own counts

    def __init__(self, inner: Learner, trainee: FullTrainee, l1: float, base: Base) -> None:
        super().__init__()
        self.inner = inner
        self._moved = trainee.moved
        self._factor = l1 / sum(parameter.numel() for parameter in base.encoder.parameters())

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """The inner learner's loss and the pull towards where training started."""
        loss: Tensor = self.inner(**batch)["loss"]
        return {"loss": loss + self._factor * sum(_sums(self._moved()))}

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """What the inner learner counts."""
        return self.inner.count(batch)


def _sums(changes: Iterator[Tensor]) -> Iterator[Tensor]:
    for change in changes:
        yield change.abs().sum()
