"""Which files a module consists of in each format, so that a format is told, and its files are chosen, by names alone."""

from collections.abc import Collection, Iterable

from xlrank.errors import XlrankError

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
SETTINGS: dict[str, tuple[str, ...]] = {
    OWN: (CARD,),
    "composable-sft": (),
    "peft": ("adapter_config.json",),
    "adapterhub": ("adapter_config.json", HEAD_CARD),
    "hf": ("config.json",),
}
"""JSON files beside the weights."""
MARKS = {**{format: WEIGHTS[format] for format in ("composable-sft", "peft", "adapterhub")}, "hf": SETTINGS["hf"]}
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


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse a folder in which names differ in case only: which of the files is read would depend on the file system.

    Raises:
        XlrankError: there are two such names.
    """
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise XlrankError(f"{where}: {other[:80]!r} and {name[:80]!r} differ in case only; remove the one that is not meant")
