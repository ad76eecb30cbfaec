"""The settings of an adapter module in AdapterHub's ``adapter_config.json``, read and written."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.modules.formats.adapterhub_tables import (
    ACTIVATIONS,
    BOTTLENECK,
    FLAGS,
    FUSION,
    LARGEST,
    METHODS,
    NAMED,
    REFUSED,
    RENAMED,
    RENAMED_UNVERSIONED,
    REQUIRED,
    SMALLEST,
    TRAINING,
    UNSET,
    quoted,
)
from xlrank.modules.formats.named_base import check_named_base
from xlrank.modules.kinds.adapter.config import AdapterConfig

if TYPE_CHECKING:
    from xlrank.bases import Base


def check_card(card: Mapping[str, Any], path: Path, base: "Base", *, same_base: bool = False) -> None:
    """Compare what a configuration says of its model with the base.

    Args:
        card: the configuration.
        path: where it lies, for messages.
        base: what it is to be loaded for.
        same_base: the caller says that the model it names is this base.

    Raises:
        XlrankError: architecture or hidden size differ, or it names another base.
    """
    for key, expected in (("model_type", base.config.model_type), ("hidden_size", base.config.hidden_size)):
        found = card.get(key)
        if found is not None and found != expected:
            raise XlrankError(
                f"{path}: {key!r} is {quoted(found)}, but base {base.name!r} has {expected!r}; use the base of its training"
            )
    check_named_base(card.get("model_name"), path, base, same_base=same_base)


def check_method(card: Mapping[str, Any], path: Path) -> None:
    """Refuse an adaptation method that is no bottleneck adapter by its name, before its weights are looked at.

    Raises:
        XlrankError: it is another method.
    """
    config = card.get("config")
    method = _method(config) if isinstance(config, dict) else config.partition("[")[0] if isinstance(config, str) else ""
    if method in METHODS:
        hint = "; LoRA is read in peft's format" if method == "lora" else ""
        raise XlrankError(
            f"{path}: is {METHODS[method]} as AdapterHub saves it, which cannot be read; expected a bottleneck adapter{hint}"
        )
    if method not in ("", BOTTLENECK) and isinstance(config, dict):
        raise XlrankError(
            f"{path}: adaptation method {quoted(method)} cannot be read from AdapterHub files; expected a bottleneck adapter"
        )


def _method(config: Mapping[str, Any]) -> str:
    """What AdapterHub calls the method of a configuration; empty for its bottleneck adapters."""
    if config.get("phm_layer"):
        return "compacter" if config.get("mh_adapter") else "compacter++"
    method = str(config.get("architecture") or "")
    if method != "lora":
        return method
    variants = {
        "ia3": config.get("composition_mode") == "scale",
        "dvora": config.get("use_dora") and config.get("init_weights") == "vera",
        "dora": config.get("use_dora"),
        "vera": config.get("init_weights") == "vera",
    }
    return next((variant for variant, holds in variants.items() if holds), method)


def read_settings(card: Mapping[str, Any], path: Path, *, layers: int, has_invertible: bool) -> AdapterConfig:
    """The settings in an ``adapter_config.json``.

    Args:
        card: its content.
        path: where it lies, for messages.
        layers: layers of the base.
        has_invertible: whether the weights hold an invertible adapter. Version 1 wrote one into the configuration of every
            task adapter, with or without weights (adapters: ``_fix_legacy_config``).

    Raises:
        XlrankError: a setting is missing, malformed, or changes the maths in a way that xlrank does not know.
    """
    raw = _spelled_out(card, path)
    _refuse_others(raw, path)
    rename = RENAMED if "version" in card else RENAMED_UNVERSIONED
    non_linearity = _activation(raw["non_linearity"], rename, path)
    leave_out = _leave_out(raw["leave_out"], layers, path)
    dropped = card.get("type") == "text_task" and not has_invertible
    inner = None if dropped else _invertible(raw, non_linearity, rename, path)
    return AdapterConfig(
        **{ours: _flag(raw, theirs, path) for theirs, ours in FLAGS.items()},
        non_linearity=non_linearity,
        leave_out=leave_out,
        reduction_factor=_reduction_factor(raw["reduction_factor"], leave_out, layers, path),
        scaling=float(_number(raw["scaling"], "scaling", path, -LARGEST)),
        residual_before_ln=_residual(raw, path),
        invertible=inner is not None,
        invertible_reduction_factor=inner or AdapterConfig.invertible_reduction_factor,
    )


def write_settings(config: AdapterConfig) -> dict[str, Any]:
    """The ``config`` of an ``adapter_config.json`` as adapters 1.3.0 writes it."""
    return {
        **TRAINING,
        **{theirs: getattr(config, ours) for theirs, ours in FLAGS.items()},
        "cross_adapter": False,
        "inv_adapter": "nice" if config.invertible else None,
        "inv_adapter_reduction_factor": config.invertible_reduction_factor if config.invertible else None,
        "leave_out": list(config.leave_out),
        "non_linearity": config.non_linearity,
        "phm_layer": False,
        "reduction_factor": config.reduction_factor,
        "residual_before_ln": config.residual_before_ln,
        "scaling": float(config.scaling),
        "use_gating": False,
    }


def _spelled_out(card: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if "config" not in card:
        hint = " (a peft module? give its folder as such)" if "peft_type" in card else ""
        raise XlrankError(f"{path}: no 'config', so not the configuration of an AdapterHub adapter{hint}")
    config = "seq_bn" if card["config"] is None else card["config"]
    if isinstance(config, str):
        if config not in NAMED:
            raise XlrankError(f"{path}: configuration {quoted(config)} cannot be read; expected one of {', '.join(NAMED)}")
        return {**UNSET, **NAMED[config]}
    if not isinstance(config, dict):
        raise XlrankError(f"{path}: 'config' must be an object or a name, found {quoted(config)}")
    raw = {**UNSET, **config}
    for key in REQUIRED:
        if key not in raw:
            raise XlrankError(
                f"{path}: 'config' lacks {key!r}, for which AdapterHub has no default; add the value used in training"
            )
    return raw


def _refuse_others(raw: Mapping[str, Any], path: Path) -> None:
    for key in REFUSED:
        if raw.get(key):
            raise XlrankError(f"{path}: '{key}' is {quoted(raw[key])}, which is not supported; expected false")
    known = {*UNSET, *REQUIRED, *REFUSED, *TRAINING, *FUSION, "architecture", "phm_layer"}  # these two: check_method
    for key, value in raw.items():
        if key not in known and value is not None and value is not False:
            raise XlrankError(f"{path}: unknown setting {quoted(key)}, which may change the results; made by a newer AdapterHub?")


def _flag(raw: Mapping[str, Any], key: str, path: Path) -> bool:
    if not isinstance(raw[key], bool):
        raise XlrankError(f"{path}: '{key}' must be true or false, found {quoted(raw[key])}")
    return bool(raw[key])


def _number(value: object, key: str, path: Path, least: float) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LARGEST:
        raise XlrankError(f"{path}: '{key}' must be a number from {least:g} to {LARGEST:g}, found {quoted(value)}")
    return int(value) if value == int(value) else value


def _activation(value: object, rename: Mapping[str, str], path: Path) -> str:
    name = value.lower() if isinstance(value, str) else ""
    name = rename.get(name, name)
    if name not in ACTIVATIONS:
        raise XlrankError(f"{path}: unknown 'non_linearity' {quoted(value)}; expected one of {', '.join(sorted(ACTIVATIONS))}")
    return name


def _leave_out(value: object, layers: int, path: Path) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in value):
        raise XlrankError(f"{path}: 'leave_out' must be a list of layer numbers, found {quoted(value)}")
    return tuple(sorted({i for i in value if 0 <= i < layers}))


def _reduction_factor(value: object, leave_out: tuple[int, ...], layers: int, path: Path) -> int | float | dict[str, int | float]:
    if not isinstance(value, dict):
        return _number(value, "reduction_factor", path, SMALLEST)
    kept = {key: value[key] for key in [*(str(i) for i in range(layers)), "default"] if key in value}
    for layer in range(layers):
        if layer not in leave_out and str(layer) not in kept and "default" not in kept:
            raise XlrankError(f"{path}: 'reduction_factor' has no value for layer {layer}; add one, or a 'default'")
    return {key: _number(factor, f"reduction_factor.{key}", path, SMALLEST) for key, factor in kept.items()}


def _residual(raw: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401 - true, false or "post_add"
    value = raw["residual_before_ln"]
    if isinstance(value, bool) or (value == "post_add" and (raw["original_ln_before"] or raw["is_parallel"])):
        return value
    raise XlrankError(
        f"{path}: 'residual_before_ln' must be true, false, or (with original_ln_before) 'post_add', found {quoted(value)}"
    )


def _invertible(raw: Mapping[str, Any], activation: str, rename: Mapping[str, str], path: Path) -> int | float | None:
    """The reduction factor of the invertible adapter, None if the configuration has none."""
    block, factor = raw["inv_adapter"], raw["inv_adapter_reduction_factor"]
    nested = raw["invertible_adapter"]  # version 1
    if nested:
        if not isinstance(nested, dict):
            raise XlrankError(f"{path}: 'invertible_adapter' must be an object, found {quoted(nested)}")
        block, factor = nested.get("block_type"), nested.get("reduction_factor")
        if "non_linearity" in nested and _activation(nested["non_linearity"], rename, path) != activation:
            raise XlrankError(f"{path}: 'invertible_adapter' with another 'non_linearity' than the adapter's is not supported")
    if not block:
        return None
    if block != "nice":
        raise XlrankError(f"{path}: invertible adapter {quoted(block)} is not supported; expected 'nice'")
    return _number(2 if factor is None else factor, "inv_adapter_reduction_factor", path, SMALLEST)
