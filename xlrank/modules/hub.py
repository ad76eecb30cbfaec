"""Modules from the Hugging Face Hub, through its own cache: the files of one module only, and none before its size is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from xlrank.errors import XlrankError
from xlrank.modules.formats.files import COMMIT, MAX_BYTES, MAX_CONFIG_BYTES, sharded
from xlrank.modules.formats.layout import CARD, TENSORS, WEIGHTS, check_names, detect_names, module_files, shard_index
from xlrank.reach import offline_variable

if TYPE_CHECKING:
    from xlrank.modules.locate import HubId

TIMEOUT = 20.0
"""Seconds to wait for the list of a repository's files."""
MAX_NAMED = 5
"""Folders with modules that are named in a message."""


class Snapshot(NamedTuple):
    """A module's folder in the cache, and the commit that the revision meant."""

    folder: Path
    commit: str


class _Unreachable(XlrankError):
    """The Hub did not answer: what the cache holds may do."""


def fetch(id: HubId, format: str | None = None) -> Snapshot:
    """The module's files at its revision, out of the cache if they are there.

    Without a connection, or with one of the variables that keep the libraries from the network (:mod:`xlrank.reach`), the
    cache's last known commit of the revision is what counts. A whole module of ours named by a commit needs no connection at all
    once it is in the cache.

    Args:
        id: what to fetch.
        format: of the files, where their names would suggest another one.

    Raises:
        XlrankError: no such repository, revision or module; no access or connection; a file is too large.
    """
    cached, variable = _in_cache(id, format), offline_variable()
    if variable:
        if cached is None:
            raise XlrankError(f"{id}: is not in the cache, and {variable} is set; unset it to download the module")
        return cached
    if cached and format is None and COMMIT.fullmatch(id.revision) and _is_own(cached.folder):
        return cached
    try:
        commit, sizes = _list_files(id)
    except _Unreachable:
        if cached is None:
            raise
        return cached
    wanted = _choose(id, format, sizes)
    if cached and cached.commit == commit and all((cached.folder / name).is_file() for part in wanted for name in part):
        return cached
    return _download(id, commit, wanted)


def _in_cache(id: HubId, format: str | None) -> Snapshot | None:
    """What the cache holds of the revision, whole: the weights are what :func:`_download` gets last."""
    from huggingface_hub import try_to_load_from_cache

    for name in (name for kind in ([format] if format else WEIGHTS) for name in WEIGHTS[kind]):
        found = try_to_load_from_cache(id.repository, id.inside(name), revision=id.revision)
        if isinstance(found, str):
            path = Path(found)
            return Snapshot(path.parent, path.parents[id.inside(name).count("/")].name)
    return None


def _is_own(folder: Path) -> bool:
    return (folder / CARD).is_file() and (folder / TENSORS).is_file()


def _list_files(id: HubId) -> tuple[str, dict[str, int | None]]:
    """The commit that the revision means, and the size in bytes of each of the repository's files."""
    from huggingface_hub import HfApi

    with _one_line_errors(id):
        found = HfApi().model_info(id.repository, revision=id.revision, files_metadata=True, timeout=TIMEOUT)
    if found.sha is None or not COMMIT.fullmatch(found.sha):
        raise XlrankError(f"{id}: the Hub names no commit for {id.revision!r}; give another revision")
    return found.sha, {file.rfilename: file.size for file in found.siblings or []}


def _choose(id: HubId, format: str | None, sizes: Mapping[str, int | None]) -> tuple[list[str], list[str]]:
    """Names of the module's files beside its weights, and of its weights, all of a size that can be read."""
    start = id.inside("")
    inside = [name.removeprefix(start) for name in sizes if name.startswith(start) and "/" not in name.removeprefix(start)]
    check_names(inside, str(id))
    found = format or detect_names(inside)
    beside, weights = module_files(found, inside) if found else ([], [])
    if found and not weights and (index := shard_index(WEIGHTS[found], inside)):
        raise XlrankError(f"{id}: {sharded(index)}")
    if not found or not weights:
        raise XlrankError(f"{id}: {f'has no weights of format {found!r}' if found else 'holds no module'}{_elsewhere(sizes)}")
    for name in (*beside, *weights):
        size, limit = sizes[id.inside(name)], MAX_CONFIG_BYTES if name in beside and name.endswith(".json") else MAX_BYTES
        if size is None or size > limit:
            known = "is of unknown size" if size is None else f"has {size:,} bytes"
            raise XlrankError(f"{id}: {name} {known}, expected at most {limit:,}; it was not downloaded")
    return beside, weights


def _elsewhere(sizes: Mapping[str, int | None]) -> str:
    """The end of a message: where in the repository there are modules."""
    folders: dict[str, list[str]] = {}
    for path in sizes:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    modules = sorted(folder for folder, names in folders.items() if folder and detect_names(names))
    if not modules:
        return "; give a repository of modules"
    return f"; modules are in its folders {', '.join(modules[:MAX_NAMED])}{' …' if len(modules) > MAX_NAMED else ''}"


def _download(id: HubId, commit: str, wanted: tuple[list[str], list[str]]) -> Snapshot:
    """Get the files; the weights last, so that a module whose weights are in the cache is whole even after an interruption."""
    from huggingface_hub import snapshot_download

    for names in filter(None, wanted):
        patterns = [id.inside(name) for name in names]
        with _one_line_errors(id):
            # By the revision's name, not the commit: this is what makes the cache remember what the name means.
            root = Path(snapshot_download(id.repository, revision=id.revision, allow_patterns=patterns))
        if root.name != commit:
            raise XlrankError(f"{id}: has changed while it was downloaded; try again")
        if not all((root / pattern).is_file() for pattern in patterns):
            raise XlrankError(f"{id}: the connection broke before {', '.join(names)} arrived; try again")
    return Snapshot(root / id.folder, commit)


@contextmanager
def _one_line_errors(id: HubId) -> Iterator[None]:
    """Say in one line what went wrong, whichever of its many errors the library raises."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        problem = "its owner grants access to those who ask for it; ask on its page, and log in with `hf auth login`"
    except errors.RepositoryNotFoundError:
        problem = "no such repository on the Hub, or a private one; check the name, or log in with `hf auth login`"
    except errors.RevisionNotFoundError:
        problem = f"the repository has no revision {id.revision!r}; give a branch, tag or commit that it has"
    except Exception as error:
        raise _other_error(id, error) from None
    else:
        return
    raise XlrankError(f"{id}: {problem}")


def _other_error(id: HubId, error: Exception) -> XlrankError:
    """Of a server, a disk, or a connection: for these every version of the library has types of its own."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int) and 400 <= status < 500:
        return XlrankError(
            f"{id}: the Hub refused it (HTTP {status}); check the access token, if there is one, and try again later"
        )
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError | TimeoutError):
        return XlrankError(f"{id}: cannot be stored in the cache ({error.strerror}); check HF_HOME, permissions and space")
    reason = f"HTTP {status}" if status else type(error).__name__
    return _Unreachable(
        f"{id}: is not in the cache, and the Hub cannot be reached ({reason}); check the connection, then try again"
    )
