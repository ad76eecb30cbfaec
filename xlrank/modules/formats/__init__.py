"""Published module formats, read into :class:`Module` and written.

AdapterHub, composable-sft, peft and Hugging Face cross-encoders.
Foreign files are hostile until parsed: nothing is unpickled beyond tensors, sizes are bounded, links are not followed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError

if TYPE_CHECKING:
    from xlrank.bases import Base
    from xlrank.modules.module import Module, Role

FORMATS = ("adapterhub", "composable-sft", "peft", "hf")


def detect(folder: Path) -> str:
    """The format of a folder, told by its file names.

    Raises:
        XlrankError: none of the known formats.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "pytorch_diff.bin" in names:
        return "composable-sft"
    if names & {"adapter_model.safetensors", "adapter_model.bin"}:
        return "peft"
    if names & {"pytorch_adapter.bin", "adapter.safetensors"}:
        return "adapterhub"
    if "config.json" in names:
        return "hf"
    raise XlrankError(f"{folder}: not a module of a known format ({', '.join(FORMATS)})")


def read_module(
    folder: Path,
    base: "Base",
    *,
    role: "Role",
    language: str | None = None,
    name: str | None = None,
    format: str | None = None,
    head: bool = False,
) -> "Module":
    """Read a module that another library wrote.

    Args:
        folder: the module's folder.
        base: the base that it was made for; sizes and recorded names are held against it.
        role: what it is for.
        language: of its training data.
        name: what to call it (default: the folder's name).
        format: one of :data:`FORMATS` (default: told by the file names).
        head: also read the head that AdapterHub keeps in files of its own.

    Raises:
        XlrankError: the files are damaged, hostile, or made for another base.
    """
    from xlrank.modules.formats import adapterhub, composable_sft, cross_encoder, peft

    kind = format or detect(folder)
    if kind == "adapterhub":
        return adapterhub.read(folder, base, role=role, language=language, name=name, head=head)
    if kind == "composable-sft":
        return composable_sft.read(folder, base, role=role, language=language, name=name)
    if kind == "peft":
        return peft.read(folder, base, role=role, language=language, name=name)
    if kind == "hf":
        return cross_encoder.read(folder, base, name=name)
    raise XlrankError(f"unknown module format {kind!r}; expected one of {', '.join(FORMATS)}")
