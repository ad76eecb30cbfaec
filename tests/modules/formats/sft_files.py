"""Writes folders as composable-sft does, independently of xlrank's reader and writer."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .tiny import HIDDEN, INNER, random

FILE = "pytorch_diff.bin"
QUERY = "encoder.layer.1.attention.self.query.weight"
NARROW = "encoder.layer.0.intermediate.dense.weight"
BIAS = "encoder.layer.0.intermediate.dense.bias"
SHAPES = {QUERY: (HIDDEN, HIDDEN), NARROW: (INNER, HIDDEN), BIAS: (INNER,)}


def entry(dense: Tensor) -> dict[str, Any]:
    """An entry as the library writes it: positions counted down the columns, one by one, the first a numpy number."""
    places = [(row, column) for column in range(dense.shape[-1]) for row in range(dense.shape[0])] if dense.dim() == 2 else None
    flat = torch.stack([dense[place] for place in places]) if places else dense
    positions = [i for i, value in enumerate(flat.tolist()) if value != 0]
    steps: list[Any] = [here - before for before, here in zip([0, *positions], positions, strict=False)]
    return {"size": dense.size(), "index_steps": [np.int64(steps[0]), *steps[1:]] if steps else [], "values": flat[flat != 0]}


def sparse(shape: tuple[int, ...], seed: int) -> Tensor:
    dense = random(*shape, seed=seed)
    return dense * (random(*shape, seed=seed + 100) > 0.5)


def dense_diffs(prefix: str = "bert.") -> dict[str, Tensor]:
    return {prefix + name: sparse(shape, seed) for seed, (name, shape) in enumerate(SHAPES.items())}


def save(folder: Path, diffs: object, absolute: object = None, **others: object) -> Path:
    folder.mkdir(exist_ok=True)
    torch.save({"diffs": diffs, "abs": absolute or {}} | others, folder / FILE)
    return folder


def classifier(labels: int = 1, name: str = "classifier") -> dict[str, Tensor]:
    return {f"{name}.weight": random(labels, HIDDEN), f"{name}.bias": random(labels)}


def pooler() -> dict[str, Tensor]:
    return {"bert.pooler.dense.weight": random(HIDDEN, HIDDEN), "bert.pooler.dense.bias": random(HIDDEN)}
