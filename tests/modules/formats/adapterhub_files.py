"""Writes adapter folders as AdapterHub's libraries do, independently of xlrank's reader and writer."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.formats.adapterhub import read
from xlrank.modules.kinds.adapter.layers import build_adapter

HIDDEN, LAYERS = 8, 3
NOTHING: dict[str, Any] = {}
SEQ_BN: dict[str, Any] = {
    "adapter_residual_before_ln": False,
    "cross_adapter": False,
    "dropout": 0.0,
    "factorized_phm_W": True,
    "init_weights": "bert",
    "inv_adapter": None,
    "inv_adapter_reduction_factor": None,
    "is_parallel": False,
    "leave_out": [],
    "ln_after": False,
    "ln_before": False,
    "mh_adapter": False,
    "non_linearity": "relu",
    "original_ln_after": True,
    "original_ln_before": True,
    "output_adapter": True,
    "phm_layer": False,
    "reduction_factor": 4,
    "residual_before_ln": True,
    "scaling": 1.0,
    "stochastic_depth": 0.1,
    "use_gating": False,
}
NICE = {"inv_adapter": "nice", "inv_adapter_reduction_factor": 2}
CARD: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "model_class": "BertForSequenceClassification",
    "model_name": None,
    "model_type": "bert",
    "name": "rank",
    "version": "adapters.1.3.0",
}
HEAD_CARD: dict[str, Any] = {**CARD, "config": None, "name": None, "num_labels": 1, "label2id": {"LABEL_0": 0}}
FLEXIBLE: dict[str, Any] = {
    "activation_function": "tanh",
    "bias": True,
    "dropout_prob": None,
    "head_type": "classification",
    "layers": 2,
    "num_labels": 1,
    "use_pooler": False,
}


def card(settings: object = NOTHING, **fields: object) -> dict[str, Any]:
    """An adapter_config.json; fields given as None are left out."""
    config = {**SEQ_BN, **settings} if isinstance(settings, dict) else settings
    return {key: value for key, value in {**CARD, "config": config, **fields}.items() if value is not None}


def linear(name: str, outputs: int, inputs: int) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.randn(outputs, inputs), f"{name}.bias": torch.randn(outputs)}


def norm(name: str) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.randn(HIDDEN), f"{name}.bias": torch.randn(HIDDEN)}


def block(stem: str, size: int = 2, ln_before: bool = False, ln_after: bool = False) -> dict[str, Tensor]:
    """The tensors of one bottleneck, the norm before it stored twice as the library does."""
    tensors = linear(f"{stem}.adapter_down.{int(ln_before)}", size, HIDDEN) | linear(f"{stem}.adapter_up", HIDDEN, size)
    if ln_before:
        before = norm(f"{stem}.adapter_norm_before")
        tensors |= before | {key.replace("adapter_norm_before", "adapter_down.0"): t for key, t in before.items()}
    return tensors | (norm(f"{stem}.adapter_norm_after") if ln_after else {})


def adapter(
    name: str = "rank",
    prefix: str = "bert.",
    places: tuple[str, ...] = ("output",),
    modules: str = "adapters",
    sizes: tuple[int, ...] = (2, 2, 2),
    **norms: bool,
) -> dict[str, Tensor]:
    """The tensors of an adapter; a size of 0 leaves a layer out."""
    tensors: dict[str, Tensor] = {}
    for i, size in enumerate(sizes):
        for place in places if size else ():
            tensors |= block(f"{prefix}encoder.layer.{i}.{place}.{modules}.{name}", size, **norms)
    return tensors


def invertible(
    name: str = "rank", prefix: str = "bert.", modules: str = "invertible_adapters", size: int = 2
) -> dict[str, Tensor]:
    half = HIDDEN // 2
    tensors: dict[str, Tensor] = {}
    for part in "FG":
        stem = f"{prefix}{modules}.{name}.{part}"
        tensors |= linear(f"{stem}.0", size, half) | linear(f"{stem}.2", half, size)
    return tensors


def save(
    folder: Path, tensors: dict[str, Tensor], settings: dict[str, Any] | None = None, file: str = "pytorch_adapter.bin"
) -> Path:
    """Write the tensors, and beside them their adapter_config.json (or head_config.json)."""
    folder.mkdir(parents=True, exist_ok=True)
    if file.endswith(".bin"):
        torch.save(tensors, folder / file)
    else:
        save_file({key: tensor.clone() for key, tensor in tensors.items()}, folder / file)
    if settings is not None:
        (folder / ("head_config.json" if "head" in file else "adapter_config.json")).write_text(json.dumps(settings))
    return folder


def loaded(folder: Path, base: Base, *, head: bool = False, language: str | None = None, name: str | None = None) -> Module:
    """Read a module and prove that the adapter can be built from it."""
    module = read(folder, base, role="ranking", head=head, language=language, name=name)
    assert module.kind == "adapter"
    build_adapter(module, (HIDDEN, LAYERS))
    return module


def refused(folder: Path, base: Base, *words: str, head: bool = False) -> None:
    """Prove that reading fails with one line that names the folder and holds the words."""
    with pytest.raises(XlrankError) as error:
        read(folder, base, role="ranking", head=head)
    message = str(error.value)
    assert str(folder) in message and "\n" not in message
    for word in words:
        assert word in message, message


def same(module: Module, ours: str, tensor: Tensor) -> bool:
    return torch.equal(module.tensors[ours], tensor)


def unusual(module: Module) -> dict[str, Any]:
    """The module's settings but those that are always given."""
    always = ("reduction_factor", "non_linearity", "invertible", "invertible_reduction_factor")
    return {key: value for key, value in module.config.items() if key not in always}
