"""Where modules to convert come from: a folder, or an archive of which only what is needed is unpacked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from xlrank.errors import XlrankError
from xlrank.files import file_hash, make_folder
from xlrank.modules.card import Role
from xlrank.modules.conversion.archives import SUFFIXES, is_archive, members, stem, unpack
from xlrank.modules.conversion.release import Findings, FoundModule, find_modules

MAX_FILES = 100_000
"""Files in a folder that is searched for modules; more are a mistake, such as a home folder."""


@dataclass(frozen=True)
class Source:
    """A folder or archive with modules, from whoever.

    Attributes:
        path: the folder or archive.
    """

    path: Path

    @classmethod
    def at(cls, path: Path) -> Source | None:
        """The folder or archive at a path; None if nothing is there.

        Raises:
            XlrankError: a file of another kind is there.
        """
        if path.exists() and not path.is_dir() and not is_archive(path):
            raise XlrankError(f"{path}: is no archive ({' '.join(SUFFIXES)}); give the folder that the module was saved in")
        return cls(path) if path.exists() else None

    @cached_property
    def is_archive(self) -> bool:
        """Whether it is an archive."""
        return is_archive(self.path)

    def find(self, role: Role | None = None, out: Path | None = None) -> Findings:
        """Its modules; see :func:`xlrank.modules.conversion.release.find_modules`.

        Args:
            role: of modules whose path does not say it.
            out: a folder in it that does not count: where its own modules are converted to.

        Raises:
            XlrankError: there is none, the archive is damaged or hostile, or the folder holds far too many files.
        """
        within = PurePosixPath(stem(self.path)) if self.is_archive else PurePosixPath(self.path.resolve())
        findings = find_modules(members(self.path) if self.is_archive else _files(self.path, out), within, role)
        if not findings.modules and findings.left_out:
            first = findings.left_out[0]
            raise XlrankError(f"{self.path / first.path}: is {first.reason}")
        if not findings.modules:
            raise XlrankError(
                f"{self.path}: holds no module of a known format (xlrank, AdapterHub, composable-sft, peft, Hugging Face "
                "cross-encoder); give the folder or archive that one was saved in"
            )
        return findings

    @contextmanager
    def folder(self, files: Collection[PurePosixPath], beside: Path) -> Iterator[Path]:
        """A folder with some of its files: itself, or what is unpacked from it for the time being.

        Args:
            files: what is wanted.
            beside: the result's folder, on whose disk there is room.
        """
        if not self.is_archive or not files:
            yield self.path
            return
        make_folder(beside.parent)
        with tempfile.TemporaryDirectory(prefix=f".{beside.name}.", dir=beside.parent) as holder:
            folder = Path(holder) / "unpacked"
            unpack(self.path, folder, wanted=files.__contains__)
            yield folder

    def record(self, module: FoundModule, names: Iterable[str]) -> Mapping[str, Any]:
        """What a module is made from: the source's name, the path in it, and SHA-256 by file.

        Args:
            module: one of its modules.
            names: the files that are read of it; of an archive, the archive itself is recorded instead.
        """
        if self.is_archive:
            files = {self.path.name: self._hash}
        else:
            folder = self.path.joinpath(*module.path.parts)
            files = {name: _hash_of(folder / name) for name in names if (folder / name).is_file()}
        return {"name": self.path.resolve().name, "path": str(module.path), "files": files}

    @cached_property
    def _hash(self) -> str:
        return _hash_of(self.path)


@contextmanager
def errors_name(shown: Path, folder: Path) -> Iterator[None]:
    """Let errors name what the user knows instead of the folder that its files lie in for the moment."""
    try:
        yield
    except XlrankError as error:
        raise XlrankError(str(error).replace(str(folder), str(shown))) from None


def _files(folder: Path, out: Path | None) -> Iterator[PurePosixPath]:
    """The files below a folder, relative to it; hidden folders and links to folders are not entered."""
    count, left_out = 0, out and out.resolve()
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(parent, name).resolve() != left_out)
        count += len(names)
        if count > MAX_FILES:
            raise XlrankError(f"{folder}: holds more than {MAX_FILES:,} files; give the folder that the modules were saved in")
        yield from (PurePosixPath(Path(parent, name).relative_to(folder)) for name in sorted(names))


def _hash_of(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
