"""The base that another library's module names, held against the one that it is to be loaded for.

Sizes alone do not tell two bases apart: a cased and an uncased model may have equal ones. Other libraries record a name only, and
one base has many: with its organisation or without, a folder that it was copied to, a snapshot in the Hub's cache. So the last
part of a name must agree, whatever its case, and the organisations too where both names have one.
"""

from os.path import isdir
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from xlrank.errors import XlrankError

if TYPE_CHECKING:
    from xlrank.bases import Base

CACHED = "models--"
"""How the folder of a repository begins in the Hub's cache; ``--`` stands for the slashes of its name."""


def check_named_base(named: object, path: Path, base: "Base", *, same_base: bool) -> None:
    """Refuse a module that names another base.

    Args:
        named: what its file says; anything but a name says nothing.
        path: the file, for messages.
        base: what the module is to be loaded for.
        same_base: the caller says that the two are one base, under whatever names.

    Raises:
        XlrankError: the names are of different bases.
    """
    if same_base or not isinstance(named, str) or not named.strip():
        return
    theirs = _parts(named)
    if not any(_agree(theirs, _parts(name)) for name in _names(base.name)):
        raise XlrankError(
            f"{path}: was trained on base {named[:120]!r}, not on {base.name!r}; use that base, or, if these are two names "
            "of one base, say so with same_base=True (--same-base)"
        )


def _names(name: str) -> list[str]:
    """A base's name; of a folder also where links lead to."""
    return [name, str(Path(name).resolve())] if Path(name).is_dir() else [name]


def _parts(name: str) -> tuple[str, str]:
    """Organisation and last part of a name, in lower case; no organisation of a path."""
    parts = PurePosixPath(name.strip().casefold().replace("\\", "/")).parts
    cached = next((part for part in parts if part.startswith(CACHED)), None)
    if cached is not None:
        parts = tuple(cached.removeprefix(CACHED).split("--"))
    elif len(parts) != 2 or not parts[0].strip("./~") or isdir(name):  # unlike pathlib's, it takes whatever a file holds
        parts = parts[-1:]
    return (parts[0] if len(parts) == 2 else ""), parts[-1] if parts else ""


def _agree(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[1] == other[1] and (one[0] == other[0] or not (one[0] and other[0]))
