"""Reads adapters as AdapterHub's libraries save them: adapter-transformers 1 to 3 and adapters 1.

A folder holds ``adapter_config.json`` and ``adapter.safetensors`` or ``pytorch_adapter.bin``, and possibly a head.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.modules.formats.adapterhub_config import check_card, check_method, read_settings
from xlrank.modules.formats.adapterhub_head import read_head
from xlrank.modules.formats.adapterhub_keys import INVERTIBLE, PREFIXES, Key, floats, parse, select, shapes
from xlrank.modules.formats.adapterhub_tables import quoted
from xlrank.modules.formats.files import first_file, read_config, read_tensors
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.module import BaseReference, Module, Role

if TYPE_CHECKING:
    from torch import Tensor

    from xlrank.bases import Base

CARD = "adapter_config.json"
WEIGHTS = ("adapter.safetensors", "pytorch_adapter.bin")


def read(
    folder: Path,
    base: "Base",
    *,
    role: Role,
    language: str | None = None,
    name: str | None = None,
    head: bool = False,
    same_base: bool = False,
) -> Module:
    """Read the adapter in a folder as a module of kind ``adapter``.

    Args:
        folder: where ``adapter_config.json`` lies. Where there is a safetensors file, the pickled one is not opened.
        base: the encoder it was trained on; configuration and shapes are compared with it.
        role: ``language`` or ``ranking``; the files do not say.
        language: the language it was trained on.
        name: the module's name in messages and compositions; by default the folder.
        head: also read the relevance head saved beside it, into ``head.*``.
        same_base: the model that the files name is this base under another name.

    Raises:
        XlrankError: files are missing, damaged, do not fit the base, or need maths that xlrank does not have.
    """
    folder = Path(folder)
    card = read_config(folder / CARD)
    check_card(card, folder / CARD, base, same_base=same_base)
    check_method(card, folder / CARD)
    path = first_file(folder, WEIGHTS)
    stored = read_tensors(path)
    saved_name, keys = select(parse(stored, path), card.get("name"), path)
    _check_prefix(keys, base, path)
    sizes = int(base.config.hidden_size), int(base.config.num_hidden_layers)
    has_invertible = any(key.place == INVERTIBLE for key in keys)
    config = read_settings(card, folder / CARD, layers=sizes[1], has_invertible=has_invertible)
    tensors = _collect(((key, stored[key.text]) for key in keys), config, sizes, path)
    settings = _as_json(config)
    if head:
        found, settings["pooling"] = read_head(folder, base, same_base=same_base)
        tensors |= found
    return Module.create(
        tensors,
        name=name or str(folder),
        kind="adapter",
        role=role,
        language=language,
        base=BaseReference(base.name, base.fingerprint),
        config=settings,
        training={"imported": {"format": "AdapterHub", "name": saved_name, **_provenance(card)}},
    )


def _check_prefix(keys: list[Key], base: "Base", path: Path) -> None:
    prefixes = sorted({key.prefix for key in keys})
    expected = PREFIXES[base.config.model_type]
    if len(prefixes) > 1 or prefixes[0] not in ("", expected):
        raise XlrankError(
            f"{path}: tensor names begin with {' and '.join(repr(p) for p in prefixes)}, expected {expected!r} or no prefix "
            f"throughout; was it trained on {base.name!r}?"
        )


def _collect(
    stored: "Iterable[tuple[Key, Tensor]]", config: AdapterConfig, sizes: tuple[int, int], path: Path
) -> "dict[str, Tensor]":
    """The tensors by xlrank's names, float32, exactly those that configuration and base ask for."""
    import torch

    expected = shapes(config, *sizes)
    tensors: dict[str, Tensor] = {}
    for key, tensor in stored:
        ours = key.ours(config)
        if ours not in expected:
            raise XlrankError(
                f"{path}: tensor {quoted(key.text)} is not part of what {CARD} and the base's {sizes[1]} layers ask for"
                + ("; 'inv_adapter' is not set there" if key.place == INVERTIBLE and not config.invertible else "")
            )
        if tensor.shape != expected[ours] or not tensor.is_floating_point():
            raise XlrankError(
                f"{path}: tensor {quoted(key.text)} is {tensor.dtype} of shape {list(tensor.shape)}, "
                f"expected floats of shape {list(expected[ours])} by {CARD} and the base"
            )
        value = floats(tensor, key.text, path)
        if ours in tensors and not torch.equal(tensors[ours], value):
            raise XlrankError(f"{path}: tensor {quoted(key.text)} is stored twice with different values; save the adapter again")
        tensors[ours] = value
    missing = sorted(set(expected) - set(tensors))
    if missing:
        raise XlrankError(
            f"{path}: {len(missing)} of {len(expected)} tensors that {CARD} asks for are missing, {missing[0]} among them"
        )
    return tensors


def _as_json(config: AdapterConfig) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in config.as_dict().items()}


def _provenance(card: Mapping[str, Any]) -> dict[str, str]:
    return {key: value[:200] for key in ("version", "model_name") if isinstance(value := card.get(key), str)}
