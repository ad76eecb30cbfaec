"""Modules from one format to another: other libraries' into ours, one by one or a whole release, and ours into theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.languages import language_code
from xlrank.modules.conversion.release import FoundModule, LeftOut
from xlrank.modules.conversion.sources import Source, errors_name
from xlrank.modules.conversion.target import TARGETS, Target, is_present, key_at, put
from xlrank.modules.conversion.wish import Wish
from xlrank.modules.formats.layout import OWN, check_names
from xlrank.modules.module import Module, Role
from xlrank.progress import Progress

if TYPE_CHECKING:
    from xlrank.bases import Base


@dataclass
class Conversion:
    """What became of the modules of a source.

    Attributes:
        written: folder by id of what was written now.
        present: folder by id of what was there already, made from the same bytes in the same way or equal to what was asked for.
        left_out: modules that were passed over, with the reason.
        failed: reason by id.
    """

    written: dict[str, Path] = field(default_factory=dict)
    present: dict[str, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, module: FoundModule, error: XlrankError, alone: bool) -> None:
        """Take note of a module that cannot be converted.

        Raises:
            XlrankError: the error, if the module is the only one.
        """
        if alone:
            raise error
        self.failed[module.id] = str(error)


def convert(
    source: str | Path,
    out: str | Path,
    *,
    base: Base | str,
    role: Role | None = None,
    language: str | None = None,
    to: Target = "xlrank",
    name: str | None = None,
    head: bool | None = None,
    licence: str | None = None,
    same_base: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Convert a module, or all modules of a folder or archive.

    Several modules go into ``out/ID``, one alone into ``out`` itself. What was converted from the same bytes in the same way is
    left as it is, so an interrupted conversion continues; anything else that is in the way is never overwritten.

    Args:
        source: a folder or archive (zip, tar, tar.gz, tar.bz2, tar.xz), or whatever :meth:`Module.load` takes.
        out: where the result shall be.
        base: the base that the modules were made for.
        role: ``language`` or ``ranking``; of several modules, of those whose path does not say it.
        language: code or English name; of a single module.
        to: the format to write.
        name: what a single adapter shall be called in AdapterHub's format.
        head: read the heads of AdapterHub's adapters (True), drop all heads (False); by default ranking modules keep theirs.
        licence: recorded as that of the modules.
        same_base: the model that the files name is ``base`` under another name.
        progress: is told how many modules are done, and of how many.

    Returns:
        What was written. A module of several that cannot be converted is among ``failed``, the others are converted.

    Raises:
        XlrankError: the source holds no module, the only one cannot be converted, or the arguments do not go together.
    """
    wish = _wish(base, to, role, language, name, head, licence, same_base)
    target, opened, conversion = Path(out), Source.at(Path(source)), Conversion()
    if opened is None:
        _convert_loaded(str(source), target, target.name, wish, conversion, wish.role, wish.language)
        return conversion
    findings = opened.find(wish.role, out=target)
    alone = len(findings.modules) == 1
    if not alone and (wish.language or wish.name):
        raise XlrankError(
            f"{source}: holds {len(findings.modules)} modules, which cannot all have one language or name; convert one's folder"
        )
    conversion.left_out.extend(findings.left_out)
    work = {target if alone else target.joinpath(*module.id.split("/")): module for module in findings.modules}
    _convert_all(opened, target, work, wish, conversion, progress or (lambda done, total: None))
    return conversion


def _wish(
    base: Base | str,
    to: Target,
    role: Role | None,
    language: str | None,
    name: str | None,
    head: bool | None,
    licence: str | None,
    same_base: bool,
) -> Wish:
    from xlrank.bases import Base as Encoder

    if to not in TARGETS:
        raise XlrankError(f"unknown module format {to!r} to convert to; expected one of {', '.join(TARGETS)}")
    if role not in (None, "language", "ranking"):
        raise XlrankError(f"unknown role {role!r}; expected language or ranking")
    if name and to != "adapterhub":
        raise XlrankError(f"name {name!r}: only AdapterHub's format gives modules a name; leave it out")
    code = language_code(language) if language else None
    encoder = Encoder(base) if isinstance(base, str) else base
    return Wish(encoder, encoder.fingerprint, to, role, code, name, head, licence, same_base)


@dataclass(frozen=True)
class _Job:
    """One module of a source, what it is made from, and the key by which its conversion is known again."""

    found: FoundModule
    target: Path
    record: Mapping[str, Any]
    key: str


def _convert_all(
    source: Source,
    out: Path,
    work: Mapping[Path, FoundModule],
    wish: Wish,
    conversion: Conversion,
    progress: Progress,
) -> None:
    jobs: list[_Job] = []
    alone = len(work) == 1
    for target, found in work.items():
        try:
            job = _job(source, target, wish.settled(found, source.path / found.path, alone), wish)
            if job.key and key_at(target) == job.key:
                conversion.present[found.id] = target
            else:
                jobs.append(job)
        except XlrankError as error:
            conversion.fail(found, error, alone)
    done = len(work) - len(jobs)
    progress(done, len(work))
    files = {job.found.path / name for job in jobs for name in wish.files(job.found)}
    with source.folder(files, out) as folder:
        for done, job in enumerate(jobs, done + 1):
            try:
                with errors_name(source.path, folder):
                    _convert_one(job, folder / job.found.path, wish, conversion)
            except XlrankError as error:
                conversion.fail(job.found, error, alone)
            progress(done, len(work))


def _job(source: Source, target: Path, found: FoundModule, wish: Wish) -> _Job:
    if found.format == OWN:
        return _Job(found, target, {}, "")  # compared by its content, once it is loaded
    record = source.record(found, wish.files(found))
    return _Job(found, target, record, wish.key(record, found.role, found.language))


def _convert_one(job: _Job, folder: Path, wish: Wish, conversion: Conversion) -> None:
    from xlrank.modules.formats import read_module

    found = job.found
    if found.format == OWN:
        _convert_loaded(str(folder), job.target, found.id, wish, conversion, found.role, found.language)
        return
    check_names([path.name for path in folder.iterdir()], str(folder))
    head = wish.reads_head(found) if found.format == "adapterhub" else None
    module = read_module(
        folder,
        wish.base,
        role=found.role,
        language=found.language,
        name=found.id,
        format=found.format,
        head=head,
        same_base=wish.same_base,
    )
    adapted = wish.adapted(module, {"source": job.record, "conversion": job.key})
    _write(adapted, job.target, found.id, wish, job.key, conversion)


def _convert_loaded(
    id: str, target: Path, name: str, wish: Wish, conversion: Conversion, role: Role | None, language: str | None
) -> None:
    """Convert what :meth:`Module.load` can load, which records its origin itself where that is not this machine."""
    module = Module.load(id, base=wish.base, role=role, language=language, head=wish.head, same_base=wish.same_base)
    key = wish.key(module.digest, module.role, module.language)
    _write(wish.adapted(module, {}), target, name, wish, key, conversion)


def _write(module: Module, target: Path, id: str, wish: Wish, key: str, conversion: Conversion) -> None:
    if is_present(module, target, wish.to, key):
        conversion.present[id] = target
    else:
        put(module, target, wish.to, wish.base, wish.name, key)
        conversion.written[id] = target
