"""Which files a module consists of in each format, so that a format is told, and its files are chosen, by names alone."""

from collections.abc import Collection, Iterable

from xlrank.errors import XlrankError
from xlrank.lengths import LENGTH_FILES

CARD, TENSORS = "module.json", "module.safetensors"
OWN = "xlrank"
FORMATS = ("adapterhub", "composable-sft", "peft", "hf")
"""The formats of other libraries."""
WEIGHTS: dict[str, tuple[str, ...]] = {
    OWN: (TENSORS,),
    "composable-sft": ("pytorch_diff.bin",),
    "peft": ("adapter_model.safetensors", "adapter_model.bin"),
    "adapterhub": ("adapter.safetensors", "pytorch_adapter.bin"),
    "hf": ("model.safetensors", "pytorch_model.bin"),
}
"""What the weights may be called, the file that is read first where there are several."""
HEAD_WEIGHTS = ("model_head.safetensors", "pytorch_model_head.bin")
HEAD_CARD = "head_config.json"
FUSION = ("adapter_fusion_config.json", "pytorch_model_adapter_fusion.bin", "model_adapter_fusion.safetensors")
"""What AdapterHub saves of an AdapterFusion, which composes adapters that are saved elsewhere."""
FUSION_PROBLEM = "an AdapterFusion of AdapterHub, which cannot be read; save its adapters one by one, and give their folders"
SETTINGS: dict[str, tuple[str, ...]] = {
    OWN: (CARD,),
    "composable-sft": (),
    "peft": ("adapter_config.json",),
    "adapterhub": ("adapter_config.json", HEAD_CARD),
    "hf": ("config.json", *LENGTH_FILES),
}
"""JSON files beside the weights, if they are there."""
MARKS = {**{format: WEIGHTS[format] for format in ("composable-sft", "peft", "adapterhub")}, "hf": SETTINGS["hf"][:1]}
"""By what names a format is told, the most telling ones first: adapters are often saved beside their model."""


def detect_names(names: Collection[str]) -> str | None:
    """The format of a folder with files of these names, ours before others'; None if it is no module."""
    if CARD in names:
        return OWN
    return detect_foreign(names)


def detect_foreign(names: Collection[str]) -> str | None:
    """The format of another library that a folder with files of these names is in; None if it is in none."""
    return next((format for format, marks in MARKS.items() if any(mark in names for mark in marks)), None)


def module_files(format: str, names: Collection[str]) -> tuple[list[str], list[str]]:
    """What is read of a folder with files of these names.

    Returns:
        Names of the files beside the weights, and of the weights (none if the folder has no weights of the format).
    """
    beside = [name for name in SETTINGS[format] if name in names]
    if HEAD_CARD in beside:
        beside += [name for name in HEAD_WEIGHTS if name in names][:1]
    return beside, [name for name in WEIGHTS[format] if name in names][:1]


def shard_index(weights: Iterable[str], names: Collection[str]) -> str | None:
    """The index of weights that were saved in several files, which are not read; None if there is none among the names."""
    return next((index for index in (f"{file}.index.json" for file in weights) if index in names), None)


def is_fusion(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names holds an AdapterFusion, alone or beside an adapter."""
    return not set(FUSION).isdisjoint(names)


def check_names(names: Collection[str], where: str) -> None:
    """Refuse a folder that cannot be read as one module, whatever its files hold.

    Raises:
        XlrankError: it holds an AdapterFusion, or names that differ in case only, so that which of the files is read would
            depend on the file system.
    """
    if is_fusion(names):
        raise XlrankError(f"{where}: is {FUSION_PROBLEM}")
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise XlrankError(f"{where}: {other[:80]!r} and {name[:80]!r} differ in case only; remove the one that is not meant")
