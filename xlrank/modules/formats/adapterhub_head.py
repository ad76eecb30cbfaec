"""Relevance heads beside an AdapterHub adapter: ``head_config.json``, ``model_head.safetensors`` or ``pytorch_model_head.bin``.

A *static* head is that of transformers' sequence classifier; a *flexible* one is AdapterHub's own, without the pooler: of two
layers, ``W4 tanh(W1 h_cls)``, or of one, ``W1 h_cls`` (``ClassificationHead`` in heads/base.py of adapters 1.3.0).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.modules.formats.adapterhub_config import check_card
from xlrank.modules.formats.adapterhub_keys import floats
from xlrank.modules.formats.adapterhub_tables import quoted
from xlrank.modules.formats.files import first_file, read_config, read_tensors
from xlrank.modules.kinds.head.layers import DIRECT

if TYPE_CHECKING:
    from torch import Tensor

    from xlrank.bases import Base

CARD = "head_config.json"
WEIGHTS = ("model_head.safetensors", "pytorch_model_head.bin")
CLASSES = {"bert": "Bert", "xlm-roberta": "XLMRoberta"}
"""How transformers' class names begin, by architecture."""

STATIC = "ForSequenceClassification"
FLEXIBLE = ("AdapterModel", "ModelWithHeads")
STATIC_NAMES = {
    "bert": {"classifier": "head.out"},
    "xlm-roberta": {"classifier.dense": "head.dense", "classifier.out_proj": "head.out"},
}
FLEXIBLE_TYPES = ("classification", "multilabel_classification")
MAX_LABELS = 1000


def read_head(folder: Path, base: "Base", *, same_base: bool = False) -> "tuple[dict[str, Tensor], str]":
    """The relevance head in a folder.

    Returns:
        ``head.out.weight`` [labels, hidden], ``head.out.bias`` [labels]; unless the base's pooler is its first layer, or it has
        one layer only, also ``head.dense.weight`` [hidden, hidden], ``head.dense.bias`` [hidden]. All float32. And its pooling.

    Raises:
        XlrankError: files are missing or damaged, the head is no relevance head, or does not fit the base.
    """
    path = folder / CARD
    card = read_config(path)
    check_card(card, path, base, same_base=same_base)
    architecture = str(base.config.model_type)
    family, model_class = CLASSES[architecture], card.get("model_class")
    if model_class == family + STATIC:
        names, labels, others = STATIC_NAMES[architecture], card.get("num_labels"), ""
    elif model_class in [family + suffix for suffix in FLEXIBLE]:
        names, labels, others = *_flexible(card, path), f"heads.{card['name']}"
    else:
        expected = ", ".join(family + suffix for suffix in (STATIC, *FLEXIBLE))
        raise XlrankError(
            f"{path}: the head of a {quoted(model_class)} is no relevance head for base {base.name!r}; expected one of {expected}"
        )
    weights = first_file(folder, WEIGHTS)
    stored = read_tensors(weights)
    if others:  # the library's filter has no closing dot, so heads whose names only begin with this one are in the file as well
        own = others + "."
        stored = {key: tensor for key, tensor in stored.items() if key.startswith(own) or not key.startswith(others)}
    tensors = _collect(stored, names, int(base.config.hidden_size), labels, weights)
    return tensors, DIRECT if others and len(names) == 1 else "cls"


def _flexible(card: Mapping[str, Any], path: Path) -> tuple[dict[str, str], object]:
    """Modules of a flexible head and what they are here, and the number of labels it declares."""
    settings, name = card.get("config"), card.get("name")
    if not isinstance(settings, dict) or not isinstance(name, str):
        raise XlrankError(f"{path}: a flexible head needs 'config' and 'name'; save the head again with AdapterHub's library")
    if settings.get("head_type") not in FLEXIBLE_TYPES:
        raise XlrankError(
            f"{path}: head type {quoted(settings.get('head_type'))} is no relevance head; expected {' or '.join(FLEXIBLE_TYPES)}"
        )
    wanted: dict[str, Any] = {"layers": 2, "activation_function": "tanh", "use_pooler": False, "bias": True}
    if settings.get("layers") is not True and settings.get("layers") == 1:
        wanted = {"layers": 1, "use_pooler": False, "bias": True}  # an activation would stand between two layers
    for key, value in wanted.items():
        found = settings.get(key, value)
        if type(found) is not type(value) or found != value:
            expected = "1 or 2" if key == "layers" else repr(value)
            raise XlrankError(f"{path}: flexible head with {key!r} {quoted(found)} is not supported; expected {expected}")
    return flexible_names(name, wanted["layers"]), settings.get("num_labels")


def flexible_names(name: str, layers: int) -> dict[str, str]:
    """Modules of a flexible head of one or two layers, and what they are here; the numbers between are dropout and activation."""
    if layers == 1:
        return {f"heads.{name}.1": "head.out"}
    return {f"heads.{name}.1": "head.dense", f"heads.{name}.4": "head.out"}


def _collect(
    stored: "Mapping[str, Tensor]", names: Mapping[str, str], hidden: int, labels: object, path: Path
) -> "dict[str, Tensor]":
    """The head's tensors by xlrank's names, after their shapes were compared with the base and with each other."""
    tensors: dict[str, Tensor] = {}
    for key, tensor in stored.items():
        module, _, parameter = key.rpartition(".")
        if module not in names or parameter not in ("weight", "bias") or not tensor.is_floating_point():
            raise XlrankError(f"{path}: unknown tensor {quoted(key)}; expected {', '.join(sorted(names))} (weight and bias)")
        tensors[f"{names[module]}.{parameter}"] = tensor
    out = tensors.get("head.out.weight")
    rows = out.shape[0] if out is not None and out.dim() else 0
    if not 1 <= rows <= MAX_LABELS or labels not in (None, rows):
        declared = "" if labels is None else f", but {CARD} declares {quoted(labels)}"
        raise XlrankError(f"{path}: the head has {rows} outputs{declared}; save it again")
    for name, shape in head_shapes(names.values(), hidden, rows).items():
        found = list(tensors[name].shape) if name in tensors else "nothing"
        if found != shape:
            raise XlrankError(f"{path}: {name} should have shape {shape}, found {found}; was it trained on this base?")
    return {name: floats(tensor, name, path) for name, tensor in tensors.items()}


def head_shapes(parts: Iterable[str], hidden: int, labels: int) -> dict[str, list[int]]:
    """Shape by name of a head's tensors, ``parts`` being ``head.out`` and possibly ``head.dense``."""
    rows = {part: labels if part == "head.out" else hidden for part in parts}
    return {f"{part}.weight": [n, hidden] for part, n in rows.items()} | {f"{part}.bias": [n] for part, n in rows.items()}
