"""Fully fine-tuned cross-encoders as saved by transformers: ``config.json``, ``model.safetensors`` or ``pytorch_model.bin``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xlrank.bases.checks import check_settings
from xlrank.errors import XlrankError
from xlrank.files import file_hash
from xlrank.lengths import stated_length
from xlrank.modules.formats.files import first_file, read_config, read_tensors
from xlrank.modules.formats.naming import ABSOLUTE, LABELS, Names
from xlrank.modules.kinds.head.layers import MAX_LENGTH
from xlrank.modules.module import Module

if TYPE_CHECKING:
    from xlrank.bases import Base

CONFIG, WEIGHTS, OLD_WEIGHTS = "config.json", "model.safetensors", "pytorch_model.bin"
CLASSES = {"bert": "BertForSequenceClassification", "xlm-roberta": "XLMRobertaForSequenceClassification"}
SETTINGS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_act",
    "layer_norm_eps",
    "pad_token_id",
)
"""What a model and its base must have in common: sizes, and what changes the encoder's maths."""
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def read(folder: Path, base: "Base", *, name: str | None = None) -> Module:
    """A ranking module of kind ``full`` from a fine-tuned sequence classification model.

    Args:
        folder: holds ``config.json`` and the weights.
        base: a base of the same architecture and sizes.
        name: the module's name; the folder if not given.

    Returns:
        ``{param}`` for every parameter of the encoder and ``head.*``, float32; config ``{"values": "absolute",
        "pooling": "cls"}``, and ``max_length`` if the files state one.

    Raises:
        XlrankError: the files are damaged or hold code, it is another kind of model, has not 1 or 2 labels, or does not fit the
            base.
    """
    folder = Path(folder)
    labels = _check_config(read_config(folder / CONFIG), folder / CONFIG, base)
    names = Names(base, first_file(folder, (WEIGHTS, OLD_WEIGHTS)))
    tensors: dict[str, Tensor] = {}
    for key, tensor in sorted(read_tensors(names.path).items()):
        canonical = _canonical(key, tensor, names)
        if canonical in tensors:
            raise names.error(f"holds {canonical!r} twice, under an old and a new name")
        if canonical:
            tensors[canonical] = tensor
    needed = {parameter for parameter in names.encoder if names.architecture == "bert" or not parameter.startswith("pooler.")}
    missing = needed - set(tensors)
    if missing:
        raise names.error(f"lacks {len(missing)} encoder weights, {min(missing)!r} among them; expected a whole model")
    config: dict[str, Any] = {"values": "absolute", **names.check_head(tensors, "ranking")}
    if "head.out.bias" not in tensors or len(tensors["head.out.bias"]) != labels:
        raise names.error(f"has no classifier for the {labels} labels of {CONFIG}; expected a whole model")
    length = stated_length(lambda name: read_config(folder / name) if (folder / name).exists() else None)
    if length is not None:
        config[MAX_LENGTH] = length
    training = {"imported": {"format": "transformers", "sha256": file_hash(names.path)}}
    return names.module(tensors, kind="full", role="ranking", language=None, name=name, config=config, training=training)


def _canonical(key: str, tensor: Tensor, names: Names) -> str:
    """The canonical name of one tensor of the file, its shape checked; empty for what is no parameter of the model's scores."""
    name = names.strip(key)
    for old, new in OLD_NAMES.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    unused_pooler = names.architecture != "bert" and name.startswith("pooler.") and name not in names.encoder
    if name in BUFFERS or unused_pooler:
        return ""
    if not tensor.is_floating_point():
        raise names.error(f"{key[:80]!r} has no floating values")
    return names.absolute(name, tensor).removeprefix(ABSOLUTE)


def _check_config(config: Mapping[str, Any], path: Path, base: "Base") -> int:
    """The number of labels of a model that fits the base.

    Raises:
        XlrankError: another architecture, other sizes, or other than 1 or 2 labels.
    """
    expected = CLASSES[str(base.config.model_type)]
    if config.get("model_type") != base.config.model_type or (config.get("architectures") or [expected]) != [expected]:
        found = str(config.get("architectures") or config.get("model_type"))
        raise XlrankError(f"{path}: is of {found[:80]}, expected ['{expected}'] for base {base.name!r}")
    defaults = type(base.config)()
    for key in SETTINGS:
        found, wanted = config.get(key, getattr(defaults, key)), getattr(base.config, key)
        if found != wanted:
            raise XlrankError(
                f"{path}: {key} is {str(found)[:40]}, but {wanted} in base {base.name!r}; use the base it was made from"
            )
    check_settings(config, str(path))
    named = config.get("id2label")
    labels = len(named) if isinstance(named, dict) else config.get("num_labels", 2)
    if labels not in LABELS:
        raise XlrankError(f"{path}: has {str(labels)[:40]} labels; a cross-encoder has 1 (a score) or 2 (irrelevant, relevant)")
    return int(labels)
