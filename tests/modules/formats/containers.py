"""State dictionaries in every kind of file that they are published in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .tiny import random

TENSORS = {"a.weight": random(3, 4), "b": random(5).half(), "c": torch.arange(3)}
Save = Callable[[Any, Path], Path]


def save_zip(value: object, path: Path) -> Path:
    torch.save(value, path)
    return path


def save_legacy(value: object, path: Path) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def save_safetensors(value: dict[str, Tensor], path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    save_file(value, path)
    return path


PICKLED = [save_zip, save_legacy]
ALL: list[Any] = [save_zip, save_legacy, save_safetensors]
