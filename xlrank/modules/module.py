"""The one type for everything that is learned on top of a base: language modules, ranking modules, heads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from xlrank.errors import XlrankError
from xlrank.files import replacing, write_json
from xlrank.modules.card import CARD, FORMAT, ROLES, TENSORS, BaseReference, Role, read_card
from xlrank.modules.formats.layout import OWN, WEIGHTS
from xlrank.modules.locate import Place, locate, shipped_modules

if TYPE_CHECKING:
    import torch

    from xlrank.bases import Base
    from xlrank.composition import Composition

__all__ = ["CARD", "LATE", "ROLES", "TENSORS", "BaseReference", "Interaction", "Module", "Role", "shipped_modules"]

FLOAT16_MOST = 65504.0
"""The largest float16."""

LATE = "late"
"""Key in a ranking module's config that holds its settings of late interaction; without it, it is a cross-encoder's."""

Interaction = Literal["cross", "late"]
"""How a ranking module lets query and document meet: encoded together (the paper), or each alone (MaxSim)."""


@dataclass(frozen=True, eq=False)
class Module:
    """Learned tensors with what they are for. Immutable; equal and hashed by content.

    Attributes:
        name: the id or path it was loaded from, as printed in compositions.
        kind: how it changes the encoder: ``adapter``, ``mask``, ``lora``, ``full``; or ``head`` (:mod:`xlrank.modules.kinds`).
        role: ``language``, ``ranking`` or ``head``.
        language: the language it was trained on (ISO 639-1), or None.
        base: the base it belongs to.
        config: the kind's own settings, such as the reduction factor.
        training: provenance: command, data with licences and hashes, steps, seed, curves, versions.
        source: folder that the tensors are read from when first needed.
    """

    name: str
    kind: str
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
    def load(
        cls,
        id_or_path: str | Path,
        *,
        base: Base | None = None,
        role: Role | None = None,
        language: str | None = None,
        format: str | None = None,
        head: bool | None = None,
        same_base: bool = False,
    ) -> Module:
        """Load a module by id, from wherever it is.

        Args:
            id_or_path: the name of a shipped module (``language/ky``); a folder; or a repository of the Hugging Face Hub,
                ``hub:ORG/NAME[/FOLDER][@REVISION][#sha256=HEX]``, whose checksum is that of the file with the weights.
            base: the base that a module of another library was made for. This and the next two are needed for those only,
                and held against what ``module.json`` says otherwise.
            role: what it is for: ``language`` or ``ranking``.
            language: code of the language it was trained on.
            format: of the other library's files, one of :data:`xlrank.modules.formats.FORMATS`; by default told by their names.
            head: whether to read the head beside an AdapterHub adapter; by default that of a ranking module.
            same_base: say that the model which another library's files name is ``base`` under another name; without it, a
                module that names another base is refused.

        Raises:
            XlrankError: no such module, it cannot be downloaded, its files are damaged, or they are not what was asked for.
        """
        name, place = str(id_or_path), locate(str(id_or_path), format)
        if place.format == OWN:
            module = cls(name=name, source=place.folder, **read_card(place.folder / CARD))
            module._check_asked(place.sha256, base, role, language)
        else:
            module = _read_foreign(name, place, base, role=role, language=language, head=head, same_base=same_base)
        return module.with_training(hub=dict(place.origin)) if place.origin else module

    @cached_property
    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Tensor by name, float32 or as stored.

        Raises:
            XlrankError: the file is missing, a link that leaves its folder, does not match its checksum, or holds NaN or
                infinite values.
        """
        from xlrank.modules.formats.files import parse_safetensors, read_bytes

        if self.source is None:
            raise XlrankError(f"module {self.name!r} has neither tensors nor a folder to read them from")
        path = self.source / TENSORS
        content = read_bytes(path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise XlrankError(f"{path}: damaged (its checksum is not the one in {CARD}); restore or retrain the module")
        return MappingProxyType(parse_safetensors(content, path))

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

    def halved(self) -> Module:
        """The same module with its weights in float16: half the size, each value kept to 11 binary digits.

        Raises:
            XlrankError: a value is too large for float16.
        """
        wide = [name for name, tensor in self.tensors.items() if tensor.is_floating_point() and tensor.abs().max() > FLOAT16_MOST]
        if wide:
            raise XlrankError(f"module {self.name!r}: {wide[0]} holds values above {FLOAT16_MOST:,.0f}; keep it in float32")
        halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in self.tensors.items()}
        fields = {name: getattr(self, name) for name in ("name", "kind", "role", "language", "base", "config", "training")}
        return Module.create(halves, **fields)

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
        lines = [self.title]
        lines.append(f"base: {self.base.name} ({self.base.fingerprint})")
        lines += [f"{key}: {value}" for key, value in self.config.items()]
        lines.append(f"parameters: {sum(t.numel() for t in self.tensors.values()):,} ({self.bytes:,} bytes)")
        lines += [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in training.items()]
        return "\n".join([*lines, f"sha256: {self.sha256}"])

    @property
    def title(self) -> str:
        """What it is, on one line."""
        return f"{self.name}: {self.kind} {self.role} module" + (f" for {self.language}" if self.language else "")

    @property
    def bytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    @property
    def interaction(self) -> Interaction | None:
        """How query and document meet under a ranking module; None of other modules."""
        if self.role != "ranking":
            return None
        return "late" if LATE in self.config else "cross"

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

    def _check_asked(self, sha256: str | None, base: Base | None, role: Role | None, language: str | None) -> None:
        """Refuse to be another module than the caller asked for. The weights are held against the card's checksum when read."""
        for key, asked in (("sha256", sha256), ("role", role), ("language", language)):
            found = getattr(self, key)
            if asked not in (None, found):
                raise XlrankError(f"module {self.name!r}: its {key} is {found!r}, not {asked!r}; is it the one that you meant?")
        if base is not None:
            self.check_base(base)

    def with_training(self, **more: Any) -> Module:  # noqa: ANN401 - JSON values
        """The same module with more of its provenance known."""
        module = replace(self, training={**self.training, **more})
        if "tensors" in self.__dict__:
            module.__dict__["tensors"] = self.tensors
        return module

    def __add__(self, other: Composition | Module) -> Composition:
        from xlrank.composition import as_composition

        return as_composition(self) + other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Module) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Module({self.name!r})"


def _read_foreign(name: str, place: Place, base: Base | None, **options: Any) -> Module:  # noqa: ANN401 - read_module's
    from xlrank.modules.formats import read_module
    from xlrank.modules.formats.files import check_sha256, first_file

    if base is None:
        raise XlrankError(
            f"module {name!r}: is of format {place.format!r}, which does not say enough; give base= and role=, "
            "or convert it once with `xlrank module convert`"
        )
    if place.sha256 is not None:
        check_sha256(first_file(place.folder, WEIGHTS[place.format]), place.sha256)
    return read_module(place.folder, base, name=name, format=place.format, **options)
