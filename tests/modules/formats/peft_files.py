"""Writes folders as peft does, independently of xlrank's reader and writer."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from .tiny import HIDDEN, random

CONFIG, WEIGHTS, OLD_WEIGHTS = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
QUERY = "encoder.layer.{}.attention.self.query"
OUTPUT = "encoder.layer.0.output.dense"
START = "base_model.model."
SETTINGS: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": "SEQ_CLS",
    "base_model_name_or_path": None,
    "r": 2,
    "lora_alpha": 8,
    "target_modules": ["query", "output.dense"],
    "modules_to_save": ["classifier", "score"],
    "bias": "none",
    "lora_dropout": 0.1,
    "init_lora_weights": True,
    "megatron_core": "megatron.core",
    "qalora_group_size": 16,
    "loftq_config": {},
    "use_dora": False,
    "trainable_token_indices": None,
    "peft_version": "0.21.2",
}


def pair(layer: str, prefix: str = "bert.", rank: int = 2, sizes: tuple[int, int] = (HIDDEN, HIDDEN)) -> dict[str, Tensor]:
    """lora_A and lora_B of one layer with [out, in] sizes."""
    name = f"{START}{prefix}{layer}"
    return {f"{name}.lora_A.weight": random(rank, sizes[1]), f"{name}.lora_B.weight": random(sizes[0], rank, seed=1)}


def queries(prefix: str = "bert.") -> dict[str, Tensor]:
    return pair(QUERY.format(0), prefix) | pair(QUERY.format(1), prefix)


def linear(name: str, out: int, size: int = HIDDEN) -> dict[str, Tensor]:
    return {f"{START}{name}.weight": random(out, size), f"{START}{name}.bias": random(out)}


def save(folder: Path, tensors: dict[str, Tensor], file: str = WEIGHTS, **settings: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(SETTINGS | settings))
    if file == WEIGHTS:
        save_file(tensors, folder / file)
    else:
        torch.save(tensors, folder / file)
    return folder
