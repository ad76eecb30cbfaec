"""``module.json``: what a module says of itself, checked field by field before anything else believes it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlrank.errors import XlrankError
from xlrank.modules.formats.files import read_config
from xlrank.modules.formats.layout import CARD, TENSORS
from xlrank.modules.kinds import HOMES

__all__ = ["CARD", "FORMAT", "ROLES", "TENSORS", "BaseReference", "Role", "read_card"]

Role = Literal["language", "ranking", "head"]
ROLES: tuple[Role, ...] = ("language", "ranking", "head")
FORMAT = 1
REQUIRED = ("format", "kind", "role", "base", "sha256")
MAX_TEXT = 300
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BaseReference:
    """Which base a module was learned for: its fingerprint decides, its name is for people."""

    name: str
    fingerprint: str


def read_card(path: Path) -> dict[str, Any]:
    """The fields of a module's description, by the names of :class:`~xlrank.modules.Module`'s attributes.

    Raises:
        XlrankError: the file is missing, too large, a link out of its folder, or a field is missing or of the wrong type.
    """
    card = read_config(path)
    missing = [key for key in REQUIRED if key not in card]
    if missing:
        raise XlrankError(f"{path}: not a module's description (no {missing[0]!r})")
    known = type(card["format"]) is int and card["format"] == FORMAT
    if not known or card["kind"] not in [*HOMES] or card["role"] not in ROLES:
        raise XlrankError(f"{path}: unknown format, kind or role; made by a newer xlrank? update the package")
    language = card.get("language")
    if language is not None and not _is_text(language):
        raise _wrong(path, "language", "a language's code or null")
    if not isinstance(card["sha256"], str) or not SHA256.fullmatch(card["sha256"]):
        raise _wrong(path, "sha256", "64 hexadecimal digits in lower case")
    return {
        "kind": card["kind"],
        "role": card["role"],
        "language": language,
        "base": _base(card["base"], path),
        "config": _object(card, "config", path),
        "training": _object(card, "training", path),
        "sha256": card["sha256"],
    }


def _base(value: object, path: Path) -> BaseReference:
    fields = value if isinstance(value, dict) else {}
    name, fingerprint = fields.get("name"), fields.get("fingerprint")
    if not _is_text(name) or not _is_text(fingerprint):
        raise XlrankError(f"{path}: 'base' must hold 'name' and 'fingerprint', both text; restore the file")
    return BaseReference(str(name), str(fingerprint))


def _object(card: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    value = card.get(key, {})
    if not isinstance(value, dict):
        raise _wrong(path, key, "an object")
    return value


def _is_text(value: object) -> bool:
    """Text that may stand in a message: not empty, not endless, on one line and without control characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _wrong(path: Path, key: str, expected: str) -> XlrankError:
    return XlrankError(f"{path}: {key!r} must be {expected}; restore the file")
