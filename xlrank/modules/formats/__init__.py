"""Published module formats, read into :class:`Module` and written.

AdapterHub, composable-sft, peft and Hugging Face cross-encoders.
Foreign files are hostile until parsed: nothing is unpickled beyond tensors, sizes are bounded, no link is followed out of a
folder (but for those that the Hub's cache consists of).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError
from xlrank.modules.formats.layout import FORMATS, HEAD_CARD, check_names, detect_foreign

if TYPE_CHECKING:
    from xlrank.bases import Base
    from xlrank.modules.module import Module, Role

__all__ = ["FORMATS", "detect", "read_module"]


def detect(folder: Path) -> str:
    """The format of a folder, told by its file names.

    Raises:
        XlrankError: none of the known formats, or files that contradict each other.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set[str]()
    check_names(names, str(folder))
    found = detect_foreign(names)
    if found is None:
        raise XlrankError(f"{folder}: not a module of a known format ({', '.join(FORMATS)})")
    return found


def read_module(
    folder: Path,
    base: "Base",
    *,
    role: "Role | None" = None,
    language: str | None = None,
    name: str | None = None,
    format: str | None = None,
    head: bool | None = None,
    same_base: bool = False,
) -> "Module":
    """Read a module that another library wrote.

    Args:
        folder: the module's folder.
        base: the base that it was made for; sizes and recorded names are held against it.
        role: what it is for; a cross-encoder needs none, it can only be a ranking module.
        language: of its training data.
        name: what to call it (default: the folder's name).
        format: one of :data:`FORMATS` (default: told by the file names).
        head: also read the head that AdapterHub keeps in files of its own (default: that of a ranking module, if there is one).
        same_base: the model that the files name is this base under another name (:mod:`xlrank.modules.formats.named_base`).

    Raises:
        XlrankError: the files are damaged, hostile, or made for another base, or the role is missing or impossible.
    """
    from xlrank.modules.formats import adapterhub, composable_sft, cross_encoder, peft

    kind = format or detect(folder)
    if kind not in FORMATS:
        raise XlrankError(f"unknown module format {kind!r}; expected one of {', '.join(FORMATS)}")
    if kind == "hf":
        if role not in (None, "ranking"):
            raise XlrankError(f"{folder}: is a whole model, which can only be a ranking module; leave out role={role!r}")
        return cross_encoder.read(folder, base, name=name)
    if role is None:
        raise XlrankError(f"{folder}: format {kind!r} does not say what a module is for; give role='language' or role='ranking'")
    if kind == "composable-sft":
        return composable_sft.read(folder, base, role=role, language=language, name=name)
    if kind == "peft":
        return peft.read(folder, base, role=role, language=language, name=name, same_base=same_base)
    # A language adapter's head would be the whole one of masked language modelling.
    own_head = role == "ranking" and (folder / HEAD_CARD).is_file() if head is None else head
    return adapterhub.read(folder, base, role=role, language=language, name=name, head=own_head, same_base=same_base)
