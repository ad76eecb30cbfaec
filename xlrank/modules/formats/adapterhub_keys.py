"""How AdapterHub names an adapter's tensors, in all of its spellings, and how xlrank does.

``bert.encoder.layer.3.output.adapters.NAME.adapter_down.0.weight`` is ``layer.3.down.weight`` here; version 1 (2020) wrote
``layer_text_task_adapters`` for ``adapters``, and a model without a head leaves out ``bert.``. Source: ``loading.py`` of
adapters 1.3.0 (``legacy_weights_mapping``), ``Adapter`` and ``NICECouplingBlock`` in its ``methods/modeling.py``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.formats.adapterhub_tables import quoted
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter

if TYPE_CHECKING:
    import torch

PREFIXES = {"bert": "bert.", "xlm-roberta": "roberta."}
"""What a model with a head puts before its encoder's names, by architecture."""

KEY = re.compile(
    r"(?P<prefix>bert\.|roberta\.|)"
    r"(?:encoder\.layer\.(?P<layer>0|[1-9][0-9]{0,3})\.(?P<place>attention\.output|output)"
    r"\.(?:adapters|(?:attention|layer)_text_(?:task|lang)_adapters)|invertible(?:_lang)?_adapters)"
    r"\.(?P<adapter>[^.]+)\.(?P<part>[A-Za-z0-9_.]+)\.(?P<parameter>weight|bias)"
)
PLACES = {"attention": "attention.output", "layer": "output"}
INVERTIBLE = "invertible"


@dataclass(frozen=True)
class Key:
    """A tensor's name in a file, taken apart.

    Attributes:
        text: the name.
        prefix: ``bert.``, ``roberta.`` or nothing.
        adapter: the name that the adapter was saved under.
        place: ``attention.3`` or ``layer.3`` as in xlrank's names, or ``invertible``.
        part: the module within the adapter, such as ``adapter_down.0``.
        parameter: ``weight`` or ``bias``.
    """

    text: str
    prefix: str
    adapter: str
    place: str
    part: str
    parameter: str

    def ours(self, config: AdapterConfig) -> str:
        """The tensor's name in xlrank, as far as the name alone can tell."""
        if self.place == INVERTIBLE:
            return f"{INVERTIBLE}.{self.part}.{self.parameter}"
        return f"{self.place}.{_parts(config).get(self.part, '?')}.{self.parameter}"


def parse(texts: Iterable[str], path: Path) -> list[Key]:
    """Take names apart.

    Raises:
        XlrankError: one is no tensor of a bottleneck or invertible adapter.
    """
    keys = []
    for text in texts:
        match = KEY.fullmatch(text)
        if not match:
            fusion = "adapter_fusion" in text
            raise XlrankError(
                f"{path}: unknown tensor {quoted(text)}; expected the tensors of one bottleneck adapter"
                + (", not an AdapterFusion: save the adapters one by one" if fusion else "")
            )
        place = "attention" if match["place"] == PLACES["attention"] else "layer"
        place = f"{place}.{match['layer']}" if match["place"] else INVERTIBLE
        keys.append(Key(text, match["prefix"], match["adapter"], place, match["part"], match["parameter"]))
    return keys


def select(keys: list[Key], declared: object, path: Path) -> tuple[str, list[Key]]:
    """The adapter's saved name and its keys.

    Version 1 also saved adapters whose names begin with that of the one to be saved (its filter had no closing dot): those
    are left aside.

    Args:
        keys: all names in the file.
        declared: ``name`` in ``adapter_config.json``, None if it has none.
        path: the file, for messages.

    Raises:
        XlrankError: the declared adapter is not in the file, or another one is.
    """
    names = sorted({key.adapter for key in keys})
    found = ", ".join(quoted(name) for name in names[:3]) or "none"
    if declared is None and len(names) == 1:
        return names[0], keys
    if declared is None:
        raise XlrankError(f"{path}: expected exactly one adapter, found {found}; set 'name' in adapter_config.json")
    if not isinstance(declared, str) or declared not in names:
        raise XlrankError(f"{path}: adapter_config.json names adapter {quoted(declared)}, but the file holds {found}")
    others = [name for name in names if not name.startswith(declared)]
    if others:
        raise XlrankError(
            f"{path}: holds adapter {quoted(others[0])} beside {quoted(declared)}; save each in a folder of its own"
        )
    return declared, [key for key in keys if key.adapter == declared]


def shapes(config: AdapterConfig, hidden: int, layers: int) -> "dict[str, torch.Size]":
    """Shape by xlrank's name of every tensor that an adapter of these settings has; costs no memory."""
    import torch

    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in Adapter(config, hidden, layers).state_dict().items()}


def theirs(config: AdapterConfig, names: Iterable[str], prefix: str, adapter: str) -> list[tuple[str, str]]:
    """(AdapterHub's name, xlrank's name) of every tensor to be written; norms that open a bottleneck are written twice."""
    parts: dict[str, list[str]] = {}
    for their_part, our_part in _parts(config).items():
        parts.setdefault(our_part, []).append(their_part)
    pairs = []
    for name in names:
        place, *inner, parameter = name.split(".")
        if place == INVERTIBLE:
            pairs.append((f"{prefix}invertible_adapters.{adapter}.{'.'.join(inner)}.{parameter}", name))
            continue
        layer, our_part = inner
        stem = f"{prefix}encoder.layer.{layer}.{PLACES[place]}.adapters.{adapter}"
        pairs += [(f"{stem}.{part}.{parameter}", name) for part in parts[our_part]]
    return pairs


def floats(tensor: "torch.Tensor", key: str, path: Path) -> "torch.Tensor":
    """The same values as float32.

    Raises:
        XlrankError: one is too large for float32.
    """
    import torch

    value = tensor.to(torch.float32)
    if value.dtype != tensor.dtype and not value.isfinite().all():
        raise XlrankError(f"{path}: tensor {quoted(key)} holds values beyond float32; it was not loaded")
    return value


def _parts(config: AdapterConfig) -> Mapping[str, str]:
    """Modules of an AdapterHub bottleneck and what they are here: ``ln_before`` moves the linear layer one place down."""
    down = {"adapter_down.0": "norm_before", "adapter_down.1": "down"} if config.ln_before else {"adapter_down.0": "down"}
    return {"adapter_norm_before": "norm_before", **down, "adapter_up": "up", "adapter_norm_after": "norm_after"}
