"""How modules shall be converted, and what that means for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.files import content_key
from xlrank.modules.conversion.release import FoundModule
from xlrank.modules.conversion.target import Target
from xlrank.modules.formats.layout import HEAD_CARD, HEAD_WEIGHTS, OWN
from xlrank.modules.module import Module, Role

if TYPE_CHECKING:
    from xlrank.bases import Base

HEAD = "head."
HEAD_FILES = (HEAD_CARD, *HEAD_WEIGHTS)


@dataclass(frozen=True)
class Wish:
    """The arguments of :func:`xlrank.modules.conversion.convert.convert`, checked.

    Attributes:
        fingerprint: of the base. Asked for first, as a base that cannot be loaded is no module's fault.
    """

    base: Base
    fingerprint: str
    to: Target
    role: Role | None
    language: str | None
    name: str | None
    head: bool | None
    licence: str | None
    same_base: bool = False

    def settled(self, found: FoundModule, where: Path, alone: bool) -> FoundModule:
        """A found module with its role and language decided.

        Args:
            found: what its path says.
            where: its folder, for messages.
            alone: whether it is the only one, so that what was asked for goes before what the path says.

        Raises:
            XlrankError: role or language are still open.
        """
        if found.format == OWN:  # its card says both; what was asked for is held against it
            return replace(found, role=self.role if alone else None, language=self.language if alone else None)
        role = (self.role or found.role) if alone else (found.role or self.role)
        language = self.language or found.language
        if role is None:
            raise XlrankError(f"{where}: nothing says what it is for; give the role, language or ranking (--role)")
        if found.format == "hf" and role != "ranking":
            raise XlrankError(f"{where}: is a whole model, which can only be a ranking module; leave the role out")
        if role == "language" and language is None:
            raise XlrankError(f"{where}: {found.problem or 'nothing says its language; give it (--lang)'}")
        return replace(found, role=role, language=language)

    def reads_head(self, found: FoundModule) -> bool:
        """Whether the files beside an AdapterHub adapter that hold its head are read."""
        if found.format != "adapterhub" or self.head is not None:
            return found.format == "adapterhub" and bool(self.head)
        return found.role == "ranking" and HEAD_CARD in found.files

    def files(self, found: FoundModule) -> list[str]:
        """The names of the files that are read of a module."""
        return [name for name in found.files if name not in HEAD_FILES or self.reads_head(found)]

    def key(self, *parts: Any) -> str:  # noqa: ANN401 - JSON values
        """16 digits for what is converted (``parts``) and how."""
        return content_key(*parts, self.to, self.fingerprint, self.name, self.head, self.licence)

    def adapted(self, module: Module, record: Mapping[str, Any]) -> Module:
        """A module as it shall be written: with what is known of its origin, and without its head if that is not wanted.

        Args:
            module: as it was read.
            record: goes under ``imported`` in its training, beside its licence.

        Raises:
            XlrankError: a head was asked for, but the module has none.
        """
        tensors, config, training = dict(module.tensors), dict(module.config), dict(module.training)
        kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(HEAD)}
        if self.head and len(kept) == len(tensors):
            raise XlrankError(f"module {module.name!r} has no head; leave out the wish for one (--head)")
        if self.head is False and kept and len(kept) < len(tensors):
            tensors = kept
            config.pop("pooling", None)
        added = {**record, **({"licence": self.licence} if self.licence else {})}
        if added:
            training["imported"] = {**training.get("imported", {}), **added}
        elif len(tensors) == len(module.tensors):
            return module
        fields = {key: getattr(module, key) for key in ("name", "kind", "role", "language", "base")}
        return Module.create(tensors, **fields, config=config, training=training)
