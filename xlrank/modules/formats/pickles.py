"""A look into PyTorch's pickled checkpoints before anything is unpickled: which names they call for, and nothing more.

``torch.load(weights_only=True)`` runs no foreign code, but it would still build byte arrays, sparse or quantised tensors of any
declared size. So the pickle's operations are walked first, without executing them, and only plain dense tensors may pass.
"""

import re
from io import BytesIO
from struct import unpack_from
from zipfile import ZIP_STORED, ZipFile, ZipInfo

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file of the format before torch 1.6 opens: a pickled number (also rules out tar archives)."""
LEGACY_PICKLES = 5
"""Magic number, protocol, system, the object itself, names of its storages; raw storages follow."""
MAX_TUPLES = 20_000
"""Tuples in one pickle: deeper nesting would exhaust the stack when such a tuple is hashed."""

_STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
TENSOR_NAMES = frozenset(
    {
        "collections OrderedDict",
        "torch Size",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        *(f"torch {kind}Storage" for kind in _STORAGES),
    }
)
NUMPY_NAMES = frozenset({"numpy dtype", "numpy.core.multiarray scalar", "numpy._core.multiarray scalar", "_codecs encode"})

# Operations without or with fixed arguments, of those that torch's weights-only unpickler knows; the others are handled below.
_PLAIN = re.compile(rb"(?:[NRQabesu(\])}\x81\x88\x89]|\x80\x02|[Khq].|M..|[Jjr].{4}|G.{8})*+", re.DOTALL)
_GLOBAL = re.compile(rb"c([\w.]{1,100})\n([\w.]{1,100})\n")
_TUPLES = b"t\x85\x86\x87"


class PickleError(ValueError):
    """Why a checkpoint is not unpickled, in a few words on one line."""


def check_checkpoint(content: bytes, names: frozenset[str]) -> None:
    """Refuse a checkpoint that is no plain PyTorch file of tensors, or that calls for anything not among ``names``.

    Args:
        content: the whole file.
        names: allowed globals as ``module name``.

    Raises:
        PickleError: with the reason, a few words.
        zipfile.BadZipFile: the archive is damaged.
    """
    if content.startswith(ZIP_MAGIC):
        check_pickle(_object_of_archive(content), 0, names)
    elif content.startswith(LEGACY_MAGIC):
        start = 0
        for _ in range(LEGACY_PICKLES):
            start = check_pickle(content, start, names)
    else:
        raise PickleError("no PyTorch file")


def check_pickle(data: bytes, start: int, names: frozenset[str]) -> int:
    """Walk one pickle of protocol 2 from ``start`` without executing it, and return where it ends.

    Raises:
        PickleError: a name that is not allowed, an operation that plain tensors do not need, or a cut-off file.
    """
    at, tuples = start, 0
    while at < len(data):
        plain = _PLAIN.match(data, at)
        at = plain.end() if plain else at
        code = data[at : at + 1]
        if code == b".":
            return at + 1
        if code == b"c":
            found = _GLOBAL.match(data, at)
            name = b" ".join(found.groups()).decode("latin-1") if found else "a name"
            if found is None or name not in names:
                raise PickleError(f"it calls for {name.replace(' ', '.')}")
            at = found.end()
        elif code and code in _TUPLES:
            tuples, at = tuples + 1, at + 1
            if tuples > MAX_TUPLES:
                raise PickleError("too many tuples")
        else:
            at = _after_string(data, at, code)
    raise PickleError("its pickle is cut off")


def _after_string(data: bytes, at: int, code: bytes) -> int:
    """Skip an operation that is followed by its length and as many bytes."""
    if code == b"X" and at + 5 <= len(data):
        return at + 5 + int(unpack_from("<I", data, at + 1)[0])
    if code in (b"U", b"\x8a") and at + 2 <= len(data):
        return at + 2 + data[at + 1]
    raise PickleError("its pickle is cut off" if not code else "its pickle holds more than tensors")


def _object_of_archive(content: bytes) -> bytes:
    """The pickle inside a zip file whose entries are all stored as they are, so that none is larger than the file itself."""
    with ZipFile(BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(not _stored(entry) for entry in entries) or sum(entry.file_size for entry in entries) > len(content):
            raise PickleError("its archive is compressed")
        if len({entry.filename.lower() for entry in entries}) != len(entries):
            raise PickleError("its archive holds a name twice")
        pickles = [entry for entry in entries if entry.filename.lower().endswith("data.pkl")]
        if len(pickles) != 1:
            raise PickleError("its archive holds no single data.pkl")
        return archive.read(pickles[0])


def _stored(entry: ZipInfo) -> bool:
    return entry.compress_type == ZIP_STORED and entry.file_size == entry.compress_size
