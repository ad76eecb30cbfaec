"""Files that are either whole or absent, content hashes, and the folder of data shipped with the package."""

import fcntl
import gzip
import hashlib
import json
import logging
import lzma
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from xlrank.errors import XlrankError

LOG = logging.getLogger("xlrank")

GROWING = ("journals", "translations")
"""Folders of the cache whose files are appended to."""

_STAND_INS: list[tempfile.TemporaryDirectory[str]] = []
"""Keeps the folders that stand in for caches until the process ends."""


def data_folder() -> Path:
    """The shipped ``data`` folder: inside the installed package, or beside it in a checkout.

    Raises:
        XlrankError: neither exists (a broken installation).
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "data", package.parent / "data"):
        if folder.is_dir():
            return folder
    raise XlrankError(f"{package / 'data'}: the data shipped with xlrank is missing; reinstall the package")


def cache_folder() -> Path:
    """Where derived files (indexes, embeddings) are kept: ``XLRANK_CACHE`` or ``~/.cache/xlrank``.

    Where nothing can be written there, a folder for the time of this process takes its place, after one warning. What the cache
    holds is read from there all the same.
    """
    return _writable(Path(os.environ.get("XLRANK_CACHE") or Path.home() / ".cache" / "xlrank"))


@lru_cache(maxsize=8)
def _writable(cache: Path) -> Path:
    try:
        for folder in (cache, *(path for path in cache.glob("*") if path.is_dir())):
            make_folder(folder)
    except XlrankError as error:
        problem = str(error).rpartition(";")[0]
        LOG.warning("%s; what is made now is not kept in the cache (XLRANK_CACHE names another folder)", problem)
        return _stand_in(cache)
    return cache


def _stand_in(cache: Path) -> Path:
    """A folder that is gone when the process ends, and into which new files go beside links to those of the cache."""
    try:
        holder = tempfile.TemporaryDirectory(prefix="xlrank-cache-", ignore_cleanup_errors=True)
    except OSError as error:
        raise unwritable(cache, error) from None
    _STAND_INS.append(holder)
    folder = Path(holder.name)
    for depth, pattern in enumerate(("*", "*/*", "*/*/*"), 1):
        for path in cache.glob(pattern):
            place = folder / path.relative_to(cache)
            with suppress(OSError):
                if path.is_dir() and depth < 3:  # folders that something may be added to
                    place.mkdir()
                elif path.parent.name in GROWING:
                    shutil.copyfile(path, place)
                elif not path.name.startswith("."):
                    place.symlink_to(path.resolve())
    return folder


def unwritable(path: Path, error: OSError) -> XlrankError:
    """What to raise where a file or folder could not be written."""
    return XlrankError(f"{path}: cannot be written ({error.strerror or error}); check permissions and space")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path``; on success it takes ``path``'s name, on failure it vanishes.

    Works for files and folders. An operating-system error (no permission, disk full) becomes an :class:`XlrankError`.
    """
    temporary: Path | None = None
    if path.name in ("", ".."):
        raise XlrankError(f"{path}: not the name of a file or folder to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        temporary = holder / path.name
        yield temporary
        _open_up(temporary)
        if temporary.is_dir() and path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary.parent, ignore_errors=True)


@contextmanager
def build_lock(target: Path) -> Iterator[int]:
    """Hold the right to build ``target``, waiting for a process that has it; yields the open lock file's number.

    The system lets go of the lock when the last process that has the file open ends, however it ends.

    Raises:
        XlrankError: the folder cannot be written.
    """
    path = target.parent / f".{target.name}.lock"
    number = _lock(path)
    try:
        yield number
    finally:
        path.unlink(missing_ok=True)
        os.close(number)


def build_once(target: Path, whole: Callable[[], bool], build: Callable[[], None]) -> None:
    """Build ``target`` unless it is ``whole`` already; of several processes one builds, and the others wait.

    Raises:
        XlrankError: the folder cannot be written; or whatever ``build`` raises.
    """
    if whole():
        return
    with build_lock(target):
        if not whole():
            build()


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(number, fcntl.LOCK_EX)
            # Whoever had it before has removed the file: then this lock is of a file that nobody else will open.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(number), path.stat()):
                    return number
            os.close(number)
    except OSError as error:
        raise unwritable(path.parent, error) from None


def _open_up(path: Path) -> None:
    """Give files that a library made for its user alone (safetensors does) the permissions that other new files have."""
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file() and stat.S_IMODE(file.stat().st_mode) == 0o600:
            mask = os.umask(0)
            os.umask(mask)
            file.chmod(0o666 & ~mask)


def make_folder(path: Path) -> None:
    """Create ``path`` and prove that files can be written in it, so that long work does not fail at its end.

    Raises:
        XlrankError: it cannot be created, is a file, or is not writable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Without a name of its own: several processes may prove the same folder at once.
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise unwritable(path, error) from None


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 so that ``path`` is never half-written."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write ``value`` as indented JSON so that ``path`` is never half-written."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file.

    Raises:
        XlrankError: the file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise XlrankError(f"{path}: not valid JSON ({error})") from None


HASHED_BYTES = 256 * 2**20
"""Files up to this size are identified by their hash, larger ones by size and time of change."""

DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a missing, cut or damaged file raises, packed or not."""


def open_packed(path: Path) -> IO[bytes]:
    """The unpacked bytes of a file, by its name: ``.gz``, ``.xz``, else as it is."""
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
    return cast("IO[bytes]", openers.get(path.suffix, open)(path, "rb"))


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def file_record(path: Path) -> dict[str, Any]:
    """Name and SHA-256 of a file; of one larger than ``HASHED_BYTES`` name, size in bytes and time of change.

    Raises:
        XlrankError: the file cannot be read.
    """
    try:
        status = path.stat()
        if status.st_size <= HASHED_BYTES:
            return {"name": path.name, "sha256": file_hash(path)}
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    changed = datetime.fromtimestamp(status.st_mtime, UTC).isoformat()
    return {"name": path.name, "bytes": status.st_size, "changed": changed}


def content_key(*parts: Any) -> str:  # noqa: ANN401 - any JSON values
    """A 16-digit key of any JSON-able values: equal parts give equal keys, across processes and machines."""
    text = json.dumps(parts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
