"""Archives made by others (zip, tar and compressed tar), unpacked without trusting a byte of them.

An archive is refused as a whole for one bad member: what else is in it cannot be meant well either. Nothing is half-unpacked.
"""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from xlrank.errors import XlrankError
from xlrank.files import replacing
from xlrank.modules.conversion.archive_guard import LIMITS, Guard, Limits
from xlrank.modules.conversion.archive_streams import CHUNK, CarefulFile, ForwardStream, decompressed

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ENCRYPTED = 0x1 | 0x40


Wanted = Callable[[PurePosixPath], bool]


def is_archive(path: Path) -> bool:
    """Whether a path is a file with the name of an archive."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """The name of an archive without its ending."""
    return next((path.name[: -len(end)] for end in sorted(SUFFIXES, key=len)[::-1] if path.name.lower().endswith(end)), path.name)


def members(archive: Path, limits: Limits = LIMITS) -> list[PurePosixPath]:
    """The files in an archive, all their names checked, none unpacked.

    Raises:
        XlrankError: as :func:`unpack`.
    """
    return [path for path, is_folder, _ in _walk(archive, limits) if not is_folder]


def unpack(archive: Path, folder: Path, *, wanted: Wanted | None = None, limits: Limits = LIMITS) -> list[PurePosixPath]:
    """Unpack an archive into a new folder, whole or not at all; it takes a few MB of memory, tar.xz up to 160.

    Args:
        archive: what it is (zip, tar, gzip, bzip2, xz) is told by its first bytes.
        folder: must not exist yet.
        wanted: which files to write; the others are checked all the same.
        limits: what the archive may ask for.

    Returns:
        The files that were written, relative to the folder. Links, permissions and owners are never taken over.

    Raises:
        XlrankError: it is damaged, cut off, encrypted or too large, or a member is no plain file or folder, has a name that leads
            out of the folder, or one that other systems would take for another member's.
    """
    if folder.exists() or folder.is_symlink():
        raise XlrankError(f"{folder}: exists already; archives are unpacked into new folders only")
    written: list[PurePosixPath] = []
    with replacing(folder) as temporary:
        temporary.mkdir()
        for path, is_folder, chunks in _walk(archive, limits):
            if is_folder or not (wanted is None or wanted(path)):
                continue
            target = temporary.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
            written.append(path)
    return written


Entry = tuple[PurePosixPath, bool, Iterator[bytes]]
"""Path, whether it is a folder, and its content, to be read before the next entry is asked for."""


def _walk(archive: Path, limits: Limits) -> Iterator[Entry]:
    with _one_line(archive), CarefulFile(archive) as file:
        guard = Guard(archive, limits)
        entries = _zip_entries(file, guard) if file.peek(4)[:4] == b"PK\x03\x04" else _tar_entries(file, guard)
        for path, is_folder, chunks in entries:
            yield path, is_folder, _read(archive, chunks)


def _read(archive: Path, chunks: Iterator[bytes]) -> Iterator[bytes]:
    with _one_line(archive):
        yield from chunks


def _zip_entries(file: CarefulFile, guard: Guard) -> Iterator[Entry]:
    with ZipFile(cast(IO[bytes], file)) as zipped:
        admitted = [(_admit_zipped(info, guard), info) for info in zipped.infolist()]
        for path, info in admitted:
            if path is not None:
                yield path, info.is_dir(), _zip_content(zipped, info, guard)


def _admit_zipped(info: ZipInfo, guard: Guard) -> PurePosixPath | None:
    name, mode = info.orig_filename, info.external_attr >> 16
    if info.flag_bits & ENCRYPTED:
        raise guard.error(f"member {name[:80]!r} is encrypted; expected plain files: pack it again without a password")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise guard.error(f"member {name[:80]!r} is a {_kind(mode)}; expected files and folders: pack what it stands for")
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):  # of the others, zipfile decompresses more than it is asked for
        raise guard.error(f"member {name[:80]!r} is compressed by method {info.compress_type}; expected deflate: pack it again")
    return guard.admit(name, info.file_size, info.is_dir())


def _zip_content(zipped: ZipFile, info: ZipInfo, guard: Guard) -> Iterator[bytes]:
    left = info.file_size
    with zipped.open(info) as stream:
        while chunk := stream.read(CHUNK):
            guard.add(len(chunk))
            left -= len(chunk)
            yield chunk
    if left:
        raise EOFError(f"member {info.filename[:80]!r} is shorter than declared")


def _tar_entries(file: CarefulFile, guard: Guard) -> Iterator[Entry]:
    stream = ForwardStream(decompressed(file), guard.add)
    with tarfile.open(fileobj=cast(Any, stream), mode="r:", encoding="utf-8") as tar:
        while (info := tar.next()) is not None:
            cast(Any, tar).members.clear()  # it would keep every header
            if not info.isdir() and (not info.isreg() or info.issparse()):
                raise guard.error(
                    f"member {info.name[:80]!r} is a {_tar_kind(info)}; expected files and folders: pack what it stands for"
                )
            path = guard.admit(info.name, 0 if info.isdir() else info.size, info.isdir())
            if path is not None:
                yield path, info.isdir(), _tar_content(stream, info)
    if stream.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes the end of the file, or rubbish, for the end of the archive
        raise EOFError("it ends before its last member")
    stream.drain()


def _tar_content(stream: ForwardStream, info: tarfile.TarInfo) -> Iterator[bytes]:
    stream.seek(info.offset_data)
    left = info.size
    while left:
        chunk = stream.read(min(CHUNK, left))
        if not chunk:
            raise EOFError(f"member {info.name[:80]!r} is shorter than declared")
        left -= len(chunk)
        yield chunk


def _kind(mode: int) -> str:
    return "symbolic link" if stat.S_ISLNK(mode) else "device, pipe or socket"


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "symbolic link" if info.issym() else "hard link"
    return "file with holes" if info.issparse() else "device, pipe or something unknown"


@contextmanager
def _one_line(archive: Path) -> Iterator[None]:
    """Turn the many errors of damaged archives into one."""
    try:
        yield
    except XlrankError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise XlrankError(f"{archive}: is damaged, cut off or no archive ({lines[0][:120]}); get a whole copy") from None
