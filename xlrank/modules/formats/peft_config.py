"""The settings of a LoRA in peft's ``adapter_config.json``: which are honoured, which change nothing, which are refused."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError
from xlrank.modules.formats.patterns import full_match

HONOURED = frozenset(
    "peft_type r lora_alpha rank_pattern alpha_pattern use_rslora target_modules exclude_modules layers_to_transform bias".split()
)
NEUTRAL = frozenset(
    "auto_mapping base_model_name_or_path revision inference_mode task_type peft_version modules_to_save layers_pattern "
    "lora_dropout init_lora_weights eva_config loftq_config corda_config lora_ga_config qalora_group_size megatron_core".split()
)
"""What only training or initialisation needs; every other setting changes the maths once it is set."""
PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva", None)
"""Initialisations that leave the base's weights alone; the others (PiSSA, OLoRA, CorDA, LoftQ, ...) change them."""
MAX_PATTERNS = 1000


@dataclass(frozen=True)
class LoraSettings:
    """What decides a LoRA's scaling and modules, as peft 0.21 reads it."""

    path: Path
    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    rank_stabilised: bool
    target: str | tuple[str, ...] | None
    exclude: str | tuple[str, ...] | None
    layers: tuple[int, ...]

    @classmethod
    def of(cls, config: Mapping[str, Any], path: Path) -> "LoraSettings":
        """The settings of a configuration.

        Raises:
            XlrankError: it is no LoRA, is one that changes more than ``B A x`` (DoRA, biases, ...), or a value is out of place.
        """
        _refuse_variants(config, path)
        layers = config.get("layers_to_transform")
        layers = [] if layers is None else layers if isinstance(layers, list) else [layers]
        if any(type(layer) is not int for layer in layers):
            raise _wrong(path, "layers_to_transform", "layer numbers")
        return cls(
            path=path,
            rank=_rank(config.get("r", 8), "r", path),
            alpha=_alpha(config.get("lora_alpha", 8), "lora_alpha", path),
            rank_pattern={key: _rank(value, "rank_pattern", path) for key, value in _mapping(config, "rank_pattern", path)},
            alpha_pattern={key: _alpha(value, "alpha_pattern", path) for key, value in _mapping(config, "alpha_pattern", path)},
            rank_stabilised=config.get("use_rslora") is True,
            target=_selection(config, "target_modules", path),
            exclude=_selection(config, "exclude_modules", path),
            layers=tuple(layers),
        )

    def rank_of(self, module: str) -> int:
        """The rank that the settings give to a module, named as in the file."""
        return self._by_pattern(self.rank_pattern, module) or self.rank

    def scaling_of(self, module: str) -> float:
        """What ``B A x`` is multiplied with: alpha / rank, or alpha / sqrt(rank) if rank-stabilised."""
        alpha = self._by_pattern(self.alpha_pattern, module)
        rank = self.rank_of(module)
        return (self.alpha if alpha is None else alpha) / (math.sqrt(rank) if self.rank_stabilised else rank)

    def selects(self, module: str) -> bool:
        """Whether peft would put a LoRA on a module; patterns that cannot be followed leave it to the weights."""
        if self.exclude and self._named(self.exclude, module, unknown=False):
            return False
        if self.target is None or (isinstance(self.target, str) and self.target.lower() == "all-linear"):
            return True
        number = re.search(r"\.(\d+)\.", module)
        if self.layers and not isinstance(self.target, str) and (number is None or int(number.group(1)) not in self.layers):
            return False
        return self._named(self.target, module, unknown=True)

    def _by_pattern(self, patterns: Mapping[str, Any], module: str) -> Any:  # noqa: ANN401 - rank or alpha
        """The value of the first pattern that matches the module's name or an end of it, after a dot."""
        for pattern, value in patterns.items():
            try:
                if full_match(rf"(.*\.)?({pattern})", module):
                    return value
            except ValueError as error:
                raise XlrankError(
                    f"{self.path}: cannot follow the pattern {pattern[:80]!r} ({error}); name the modules in plain words"
                ) from None
        return None

    @staticmethod
    def _named(selection: str | tuple[str, ...], module: str, unknown: bool) -> bool:
        if not isinstance(selection, str):
            return any(module == name or module.endswith(f".{name}") for name in selection)
        try:
            return full_match(selection, module)
        except ValueError:
            return unknown


def _refuse_variants(config: Mapping[str, Any], path: Path) -> None:
    if config.get("peft_type") != "LORA":
        raise XlrankError(f"{path}: peft_type is {str(config.get('peft_type'))[:40]!r}; only 'LORA' can be read")
    for key, value in config.items():
        if key not in HONOURED | NEUTRAL and value not in (None, False, {}, []):
            raise XlrankError(f"{path}: {key[:40]!r} is set, which changes the maths of LoRA; only plain LoRA can be read")
    if config.get("bias", "none") != "none":
        raise XlrankError(f"{path}: 'bias' is not 'none': trained biases cannot be read; merge them into a full model")
    start = config.get("init_lora_weights")
    if isinstance(start, list | dict) or start not in PLAIN_STARTS:
        raise XlrankError(
            f"{path}: init_lora_weights {str(start)[:40]!r} changes the base's weights; only plain LoRA can be read"
        )


def _rank(value: object, key: str, path: Path) -> int:
    if type(value) is not int or value < 1:
        raise _wrong(path, key, "a positive whole number")
    return value


def _alpha(value: object, key: str, path: Path) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise _wrong(path, key, "a number")
    return float(value)  # type: ignore[arg-type]


def _mapping(config: Mapping[str, Any], key: str, path: Path) -> list[tuple[str, Any]]:
    value = config.get(key) or {}
    if not isinstance(value, dict) or len(value) > MAX_PATTERNS:
        raise _wrong(path, key, f"a mapping of at most {MAX_PATTERNS} patterns to numbers")
    return list(value.items())


def _selection(config: Mapping[str, Any], key: str, path: Path) -> str | tuple[str, ...] | None:
    value = config.get(key)
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list) or len(value) > MAX_PATTERNS or not all(isinstance(name, str) for name in value):
        raise _wrong(path, key, "a list of module names, or a pattern")
    return tuple(value)


def _wrong(path: Path, key: str, expected: str) -> XlrankError:
    return XlrankError(f"{path}: {key!r} is not {expected}; restore the file as it was published")
