"""Writes an adapter as adapters 1.3.0 saves it, so that ``model.load_adapter(folder)`` there takes it.

The library reads ``pytorch_adapter.bin`` unless told otherwise, so that file is written beside ``adapter.safetensors``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.files import replacing, write_json
from xlrank.modules.formats import adapterhub_head as heads
from xlrank.modules.formats.adapterhub import CARD, WEIGHTS
from xlrank.modules.formats.adapterhub_config import write_settings
from xlrank.modules.formats.adapterhub_keys import PREFIXES, shapes, theirs
from xlrank.modules.formats.adapterhub_tables import ACTIVATIONS
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.layers import DIRECT
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from torch import Tensor

    from xlrank.bases import Base

VERSION = "adapters.1.3.0"
HEAD = "head."


def write(module: Module, folder: Path, base: "Base", *, name: str | None = None) -> Path:
    """Write a module of kind ``adapter`` with AdapterHub's names; what ``folder`` held before is replaced.

    A head goes along as transformers' own sequence classifier where it has that form, else as AdapterHub's flexible head.

    Args:
        module: the adapter.
        folder: where ``adapter_config.json`` shall lie.
        base: the base that it belongs to.
        name: what the adapter shall be called there; by default the last part of the module's name.

    Returns:
        The folder.

    Raises:
        XlrankError: the module is no adapter, belongs to another base, or cannot be expressed in this format.
    """
    folder = Path(folder)
    if module.kind != "adapter":
        raise XlrankError(f"module {module.name!r} is of kind {module.kind!r}; AdapterHub's format holds adapters only")
    module.check_base(base)
    saved_name = _checked_name(name or re.sub(r"[^A-Za-z0-9_-]+", "_", Path(module.name).name))
    config = AdapterConfig.of(module)
    if config.non_linearity not in ACTIVATIONS:
        raise XlrankError(f"module {module.name!r}: activation {config.non_linearity!r} is unknown to AdapterHub")
    tensors = _checked_tensors(module, config, base)
    head, head_card = _head(module, base, saved_name)
    prefix = PREFIXES[base.config.model_type]
    model_class = heads.CLASSES[base.config.model_type] + "Model"
    card = {"config": write_settings(config), **_about(base, head_card.get("model_class", model_class)), "name": saved_name}
    with replacing(folder) as temporary:
        temporary.mkdir()
        write_json(temporary / CARD, card)
        _save({key: tensors[ours] for key, ours in theirs(config, tensors, prefix, saved_name)}, temporary, WEIGHTS)
        if head:
            write_json(temporary / heads.CARD, head_card)
            _save(head, temporary, heads.WEIGHTS)
    return folder


def _checked_name(name: str) -> str:
    from torch.nn import ModuleDict

    if not name or "." in name or not name.isprintable() or hasattr(ModuleDict(), name):
        raise XlrankError(f"adapter name {name!r} cannot be used in PyTorch (empty, with a dot, or taken); give another name")
    return name


def _checked_tensors(module: Module, config: AdapterConfig, base: "Base") -> "dict[str, Tensor]":
    expected = shapes(config, base.config.hidden_size, base.config.num_hidden_layers)
    tensors = {name: tensor for name, tensor in module.tensors.items() if not name.startswith(HEAD)}
    wrong = sorted(n for n in expected.keys() | tensors.keys() if n not in tensors or tensors[n].shape != expected.get(n))
    if wrong:
        raise XlrankError(
            f"module {module.name!r}: tensor {wrong[0]!r} is missing, unknown or of another shape than its settings"
        )
    return tensors


def _head(module: Module, base: "Base", name: str) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """The head's tensors under AdapterHub's names and its ``head_config.json``; both empty if the module has no head."""
    found = {key: tensor for key, tensor in module.tensors.items() if key.startswith(HEAD)}
    if not found:
        return {}, {}
    architecture = str(base.config.model_type)
    family, static = heads.CLASSES[architecture], heads.STATIC_NAMES[architecture]
    parts = {key.rpartition(".")[0] for key in found}
    labels = len(found.get("head.out.bias", ()))
    expected = heads.head_shapes(parts, int(base.config.hidden_size), labels)
    fits = {key: list(tensor.shape) for key, tensor in found.items()} == expected
    label_ids = {f"LABEL_{i}": i for i in range(labels)}
    pooling = module.config.get("pooling", "cls")
    known = {"cls": ({*static.values()}, {"head.dense", "head.out"}), DIRECT: ({"head.out"},)}
    if not fits or parts not in known.get(pooling, ()):
        raise XlrankError(f"module {module.name!r}: its head has no AdapterHub form; write it in xlrank's own format")
    names: Mapping[str, str] = static
    card: dict[str, Any] = {"config": None, "name": None, "num_labels": labels, "label2id": label_ids}
    model_class = family + heads.STATIC
    if pooling == DIRECT or parts != {*static.values()}:
        names = heads.flexible_names(name, len(parts))
        settings = {"head_type": "classification", "num_labels": labels, "layers": len(parts), "activation_function": "tanh"}
        settings |= {"use_pooler": False, "bias": True, "dropout_prob": None, "label2id": label_ids}
        card, model_class = {"config": settings, "name": name}, family + heads.FLEXIBLE[0]
    tensors = {f"{a}.{p}": found[f"{b}.{p}"] for a, b in names.items() for p in ("weight", "bias")}
    return tensors, {**card, **_about(base, model_class)}


def _about(base: "Base", model_class: str) -> dict[str, Any]:
    """What AdapterHub records of the model; of a base in a folder only the folder's name."""
    model_name = Path(base.name).resolve().name if Path(base.name).is_dir() else base.name
    return {
        "hidden_size": int(base.config.hidden_size),
        "model_class": model_class,
        "model_name": model_name,
        "model_type": str(base.config.model_type),
        "version": VERSION,
    }


def _save(tensors: "Mapping[str, Tensor]", folder: Path, files: tuple[str, str]) -> None:
    """Write the same tensors as safetensors and as PyTorch pickle, each with memory of its own."""
    import torch
    from safetensors.torch import save_file

    copies = {name: tensor.float().clone() for name, tensor in tensors.items()}
    save_file(copies, folder / files[0], metadata={"format": "pt"})
    torch.save(copies, folder / files[1])
