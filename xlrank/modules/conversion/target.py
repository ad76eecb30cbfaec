"""Where a converted module is put: never over anything else, whole or not at all, and so that it is known again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xlrank.errors import XlrankError
from xlrank.files import read_json, replacing, write_json
from xlrank.modules.conversion.sources import errors_name
from xlrank.modules.module import CARD, Module

if TYPE_CHECKING:
    from xlrank.bases import Base

Target = Literal["xlrank", "adapterhub", "composable-sft", "peft"]
TARGETS: tuple[Target, ...] = ("xlrank", "adapterhub", "composable-sft", "peft")
RECORD = "xlrank.json"
"""What is written beside a module in another library's format: what it was made from."""


def key_at(target: Path) -> str | None:
    """The key of the conversion that made what is in a folder; None if there is nothing, or something else."""
    for file, path in ((CARD, ("training", "imported", "conversion")), (RECORD, ("conversion",))):
        if (target / file).is_file():
            value: Any = read_json(target / file)
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            return value if isinstance(value, str) else None
    return None


def is_present(module: Module, target: Path, to: Target, key: str) -> bool:
    """Whether a folder holds a module already.

    Raises:
        XlrankError: it holds anything else.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if key_at(target) == key:
        return True
    if to == "xlrank" and (target / CARD).is_file():
        existing = Module.load(target)
        licences = [_licence(existing), _licence(module)]
        if existing == module and existing.language == module.language and licences[0] == (licences[1] or licences[0]):
            return True
        raise XlrankError(f"{target}: holds another module already; remove it, or choose another folder to write to")
    raise XlrankError(f"{target}: is not empty; choose another folder to write to")


def put(module: Module, target: Path, to: Target, base: Base, name: str | None, key: str) -> None:
    """Write a module into a folder that does not exist or is empty.

    Args:
        module: what to write.
        target: the folder.
        to: the format.
        base: the base that the module belongs to.
        name: what an adapter shall be called in AdapterHub's format.
        key: of the conversion, by which it is known again.

    Raises:
        XlrankError: the format cannot hold the module, or the folder cannot be written.
    """
    if to == "xlrank":
        module.save(target)
        return
    with replacing(target) as temporary, errors_name(target, temporary):
        _write(module, temporary, to, base, name)
        write_json(temporary / RECORD, {"conversion": key, **module.card()})


def _write(module: Module, folder: Path, to: Target, base: Base, name: str | None) -> None:
    from xlrank.modules.formats import adapterhub_writer, composable_sft, peft

    if to == "adapterhub":
        adapterhub_writer.write(module, folder, base, name=name)
    elif to == "composable-sft":
        composable_sft.write(module, folder, base)
    else:
        peft.write(module, folder, base)


def _licence(module: Module) -> object:
    return module.training.get("imported", {}).get("licence")
