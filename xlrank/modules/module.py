"""The one type for everything that is learned on top of a base: language modules, ranking modules, heads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from xlrank.errors import XlrankError
from xlrank.files import data_folder, read_json, replacing, write_json

if TYPE_CHECKING:
    import torch

    from xlrank.bases import Base
    from xlrank.composition import Composition

Kind = Literal["adapter", "mask", "lora", "full", "head"]
Role = Literal["language", "ranking", "head"]
KINDS: tuple[Kind, ...] = ("adapter", "mask", "lora", "full", "head")
ROLES: tuple[Role, ...] = ("language", "ranking", "head")
FORMAT = 1
CARD, TENSORS = "module.json", "module.safetensors"
REQUIRED = ("format", "kind", "role", "base", "sha256")


@dataclass(frozen=True)
class BaseReference:
    """Which base a module was learned for: its fingerprint decides, its name is for people."""

    name: str
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Module:
    """Learned tensors with what they are for. Immutable; equal and hashed by content.

    Attributes:
        name: the id or path it was loaded from, as printed in compositions.
        kind: how it changes the encoder: ``adapter``, ``mask``, ``lora``, ``full``; or ``head``.
        role: ``language``, ``ranking`` or ``head``.
        language: the language it was trained on (ISO 639-1), or None.
        base: the base it belongs to.
        config: the kind's own settings, such as the reduction factor.
        training: provenance: command, data with licences and hashes, steps, seed, curves, versions.
        source: folder that the tensors are read from when first needed.
    """

    name: str
    kind: Kind
    role: Role
    language: str | None
    base: BaseReference
    config: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = None
    sha256: str = ""

    @classmethod
    def create(cls, tensors: Mapping[str, torch.Tensor], **fields: Any) -> Module:  # noqa: ANN401 - the attributes
        """A module from tensors in memory; the other arguments are the attributes above."""
        from safetensors.torch import save

        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
        fields["config"] = dict(fields["config"])
        module = cls(**fields, sha256=hashlib.sha256(save(tensors)).hexdigest())
        module.__dict__["tensors"] = MappingProxyType(tensors)
        return module

    @classmethod
    def load(cls, id_or_path: str | Path) -> Module:
        """Load a shipped module (``language/ky``) or a folder with ``module.json`` and ``module.safetensors``.

        Raises:
            XlrankError: no such module, or its files are damaged.
        """
        folder = _find(str(id_or_path))
        card = read_json(folder / CARD)
        missing = [key for key in REQUIRED if key not in card] if isinstance(card, dict) else REQUIRED
        if missing:
            raise XlrankError(f"{folder / CARD}: not a module's description (no {missing[0]!r})")
        if card["format"] != FORMAT or card["kind"] not in KINDS or card["role"] not in ROLES:
            raise XlrankError(f"{folder / CARD}: unknown format, kind or role; made by a newer xlrank? update the package")
        try:
            base = BaseReference(str(card["base"]["name"]), str(card["base"]["fingerprint"]))
        except (TypeError, KeyError):
            raise XlrankError(f"{folder / CARD}: 'base' must hold 'name' and 'fingerprint'") from None
        return cls(
            name=str(id_or_path),
            kind=card["kind"],
            role=card["role"],
            language=card.get("language"),
            base=base,
            config=card.get("config", {}),
            training=card.get("training", {}),
            source=folder,
            sha256=str(card["sha256"]),
        )

    @cached_property
    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Tensor by name, float32 or as stored.

        Raises:
            XlrankError: the file is missing, does not match its checksum, or holds NaN or infinite values.
        """
        from safetensors.torch import load

        if self.source is None:
            raise XlrankError(f"module {self.name!r} has neither tensors nor a folder to read them from")
        path = self.source / TENSORS
        try:
            content = path.read_bytes()
        except OSError as error:
            raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise XlrankError(f"{path}: damaged (its checksum is not the one in {CARD}); restore or retrain the module")
        tensors = load(content)
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise XlrankError(f"{path}: tensor {name!r} holds NaN or infinite values")
        return MappingProxyType(tensors)

    def save(self, folder: str | Path) -> Path:
        """Write ``module.json`` and ``module.safetensors`` into ``folder``, whole or not at all."""
        from safetensors.torch import save_file

        folder = Path(folder)
        if folder.is_dir() and any(folder.iterdir()) and not (folder / CARD).is_file():
            raise XlrankError(f"{folder}: holds other things than a module, which saving would delete; name a new folder")
        with replacing(folder) as temporary:
            temporary.mkdir()
            save_file(dict(self.tensors), temporary / TENSORS)
            write_json(temporary / CARD, self.card())
        return folder

    def card(self) -> dict[str, Any]:
        """What ``module.json`` holds."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "role": self.role,
            "language": self.language,
            "base": {"name": self.base.name, "fingerprint": self.base.fingerprint},
            "config": dict(self.config),
            "sha256": self.sha256,
            "training": dict(self.training),
        }

    def describe(self) -> str:
        """The card as readable lines, with sizes (bytes) and parameter count; long curves are left out."""
        training = {key: value for key, value in self.training.items() if key != "curve"}
        lines = [f"{self.name}: {self.kind} {self.role} module" + (f" for {self.language}" if self.language else "")]
        lines.append(f"base: {self.base.name} ({self.base.fingerprint})")
        lines += [f"{key}: {value}" for key, value in self.config.items()]
        lines.append(f"parameters: {sum(t.numel() for t in self.tensors.values()):,} ({self.bytes:,} bytes)")
        lines += [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in training.items()]
        return "\n".join([*lines, f"sha256: {self.sha256}"])

    @property
    def bytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    @cached_property
    def digest(self) -> str:
        """16 digits for content: two modules that act alike have the same one, whatever their names."""
        text = json.dumps([self.kind, self.role, self.base.fingerprint, dict(self.config), self.sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def check_base(self, base: Base) -> None:
        """Refuse to be used on another base than the one it was learned for.

        Raises:
            XlrankError: the fingerprints differ.
        """
        if self.base.fingerprint != base.fingerprint:
            raise XlrankError(
                f"module {self.name!r} was made for base {self.base.name!r} ({self.base.fingerprint}), "
                f"not for {base.name!r} ({base.fingerprint}); use that base or train the module for this one"
            )

    def __add__(self, other: Composition | Module) -> Composition:
        from xlrank.composition import as_composition

        return as_composition(self) + other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Module) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Module({self.name!r})"


def shipped_modules() -> list[str]:
    """Ids of the modules shipped with the package, sorted."""
    root = data_folder() / "modules"
    return sorted(str(card.parent.relative_to(root)) for card in root.rglob(CARD))


def _find(id_or_path: str) -> Path:
    shipped = data_folder() / "modules" / id_or_path
    for folder in (Path(id_or_path), shipped):
        if (folder / CARD).is_file():
            return folder
    known = ", ".join(shipped_modules()) or "none"
    raise XlrankError(f"module {id_or_path!r}: no such folder with {CARD}, and not among the shipped ones ({known})")
