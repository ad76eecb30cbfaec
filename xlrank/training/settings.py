"""Budget and optimiser of a training run, held against what makes sense before anything is computed."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from xlrank.errors import XlrankError

TrainingPrecision = Literal["auto", "fp32", "bf16", "fp16"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt"]


@dataclass(frozen=True)
class Settings:
    """Budget and optimiser of a run.

    Two settings have equal ``repr`` exactly when they lead to the same module.

    Attributes:
        steps: optimiser steps (the rate decays over them).
        batch: sequences a process computes at once; a step sees ``batch * accumulate * processes`` of them.
        rate: peak learning rate of AdamW.
        warmup: share of the steps in which the rate rises.
        seed: for initial weights, data order and masking.
        save_every: steps between checkpoints, and between evaluations on held-out data.
        accumulate: batches whose gradients are added up for one step.
        precision: of the computation: ``auto`` takes bf16 where it is faster; ``fp16`` needs a GPU. Weights stay float32.
        weight_decay: of AdamW; biases and layer norms are spared.
        patience: stop after so many evaluations without a better held-out loss, and keep the best state; None trains on to the
            last step and keeps that one.
        scheduler: how the rate falls after the warm-up.
        log_folder: folder for TensorBoard's event files; None writes none.
        workers: processes that prepare batches; 0 prepares them in between.

    Raises:
        XlrankError: a value is out of range.
    """

    steps: int = 1000
    batch: int = 32
    rate: float = 1e-4
    warmup: float = 0.1
    seed: int = 13
    save_every: int = 250
    accumulate: int = 1
    precision: TrainingPrecision = "auto"
    weight_decay: float = 0.01
    patience: int | None = None
    scheduler: Scheduler = "linear"
    # The last two do not change what comes out, so they are no part of a run's identity.
    log_folder: Path | None = field(default=None, repr=False, compare=False)
    workers: int = field(default=0, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("save_every", 1), ("accumulate", 1), ("workers", 0), ("seed", 0)):
            _check(name, getattr(self, name), _is_whole(getattr(self, name), least), f"a whole number from {least} on")
        _check("seed", self.seed, self.seed < 2**32, "a whole number below 2^32")
        _check("rate", self.rate, _is_finite(self.rate) and self.rate > 0, "a number above 0")
        _check("warmup", self.warmup, _is_finite(self.warmup) and 0 <= self.warmup <= 1, "a share from 0 to 1")
        _check("weight_decay", self.weight_decay, _is_finite(self.weight_decay) and self.weight_decay >= 0, "a number from 0 on")
        patient = self.patience is None or _is_whole(self.patience, 1)
        _check("patience", self.patience, patient, "a number of evaluations from 1 on, or none")
        for name, known in (("precision", TrainingPrecision), ("scheduler", Scheduler)):
            _check(name, getattr(self, name), getattr(self, name) in get_args(known), "one of " + ", ".join(get_args(known)))

    def identity(self) -> dict[str, Any]:
        """What decides the module that comes out, as JSON values; where logs go and how many workers help does not."""
        return {name: value for name, value in asdict(self).items() if name not in ("log_folder", "workers")}


def _check(name: str, value: object, fits: bool, expected: str) -> None:
    if not fits:
        raise XlrankError(f"training: {name.replace('_', ' ')} is {value!r}; expected {expected}")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
