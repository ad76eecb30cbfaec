"""Archives as strangers pack them: what is sound is unpacked byte for byte, everything else is refused whole."""

import io
import random
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from xlrank.errors import XlrankError
from xlrank.modules.conversion.archive_guard import Limits
from xlrank.modules.conversion.archives import is_archive, members, stem, unpack

ENDINGS = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"]
NOISE = random.Random(1).randbytes(200_000)
FILES = {"top/a/weights.bin": NOISE, "top/a/card.json": b"{}", "top/b/empty": b"", "top/größe.txt": "ө".encode()}
TAR_KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "pipe": tarfile.FIFOTYPE,
    "unknown": b"Z",
}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive with exactly these names, in this order."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
        return path
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(path.name.rsplit(".", 1)[1], "w:")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            add(tar, name, content)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(content))


@contextmanager
def refused(archive: Path, out: Path, *words: str) -> Iterator[None]:
    """One line that names the archive and holds the words; nothing is left behind."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(XlrankError) as caught:
        yield
    message = str(caught.value)
    assert message.startswith(f"{archive}: ")
    assert "\n" not in message
    assert all(word in message for word in words), message
    assert sorted(out.parent.iterdir()) == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_unpacked_is_what_was_packed(ending: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", FILES)
    assert members(archive) == [PurePosixPath(name) for name in FILES]
    assert unpack(archive, tmp_path / "out") == members(archive)
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == FILES
    assert is_archive(archive)
    assert stem(archive) == "x"


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_what_is_wanted_is_written(ending: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", FILES)
    assert unpack(archive, tmp_path / "out", wanted=lambda path: path.suffix == ".json") == [PurePosixPath("top/a/card.json")]
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["card.json"]


def test_the_format_is_told_by_content(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar", FILES).rename(tmp_path / "x.zip")
    assert len(unpack(archive, tmp_path / "out")) == len(FILES)


def test_folders_dots_and_permissions(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add(tar, ".", type=tarfile.DIRTYPE)
        add(tar, "./a", type=tarfile.DIRTYPE)
        add(tar, "./a/run", b"x", mode=0o6777)
        add(tar, "a", type=tarfile.DIRTYPE)
    unpack(tmp_path / "x.tar", tmp_path / "out")
    assert not stat.S_IMODE((tmp_path / "out/a/run").stat().st_mode) & 0o7111


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.zip", FILES)
    (tmp_path / "out").mkdir()
    with pytest.raises(XlrankError, match="exists already"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.xz"])
@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../out", "a/../../b", "a\\b", "C:/x", "c:x", "a//b", "a/./b", "a\nb", "a\x1b[2J", "x" * 256]
)
def test_names_that_lead_elsewhere(ending: str, name: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", {"good": b"1", name: b"2"})
    with refused(archive, tmp_path / "out", "member", "plain relative path", "pack it again"):
        unpack(archive, tmp_path / "out")
    with refused(archive, tmp_path / "out"):
        members(archive)


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    ("names", "word"),
    [
        (("a/x", "A/y"), "differ in case"),
        (("a/Weights", "a/weights"), "differ in case"),
        (("\u00e9", "e\u0301"), "Unicode"),
        (("stra\u00dfe", "STRASSE"), "differ in case"),
        (("a", "a/b"), "both a file and a folder"),
        (("a/b", "a"), "both a file and a folder"),
        (("a", "./a"), "twice"),
    ],
)
def test_names_that_others_would_confuse(ending: str, names: tuple[str, str], word: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", dict.fromkeys(names, b"1"))
    with refused(archive, tmp_path / "out", word):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", TAR_KINDS)
def test_tars_hold_files_and_folders_only(kind: str, tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w") as tar:
        add(tar, "good", b"1")
        add(tar, "bad", type=TAR_KINDS[kind], linkname="../../secret")
    with refused(archive, tmp_path / "out", "'bad'", kind):
        unpack(archive, tmp_path / "out")


def test_files_with_holes_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "bad", b"x", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50)})
    with refused(archive, tmp_path / "out", "'bad'", "holes"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_zips_hold_files_and_folders_only(mode: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("bad")
    info.external_attr = (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    with refused(tmp_path / "x.zip", tmp_path / "out", "'bad'", "link" if mode == stat.S_IFLNK else "device"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def patched(path: Path, change: Callable[[bytearray, int], None]) -> Path:
    """Change the header of a zip's last member: told where its entry in the directory begins."""
    content = bytearray(path.read_bytes())
    change(content, content.rindex(b"PK\x01\x02"))
    path.write_bytes(content)
    return path


def test_encrypted_zips(tmp_path: Path) -> None:
    def encrypt(content: bytearray, at: int) -> None:
        content[at + 8] |= 1

    archive = patched(pack(tmp_path / "x.zip", {"a": b"1"}), encrypt)
    with refused(archive, tmp_path / "out", "'a'", "encrypted", "without a password"):
        unpack(archive, tmp_path / "out")


def test_zips_of_methods_that_need_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as zipped:
        zipped.writestr("a", b"1")
    with refused(tmp_path / "x.zip", tmp_path / "out", "'a'", "method 14", "expected deflate"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_declared_sizes(tmp_path: Path) -> None:
    def enlarge(content: bytearray, at: int) -> None:
        content[at + 24 : at + 28] = (1 << 31).to_bytes(4, "little")

    archive = patched(pack(tmp_path / "x.zip", {"a": b"1"}), enlarge)
    with refused(archive, tmp_path / "out", "2,147,483,648 bytes", "'a'"):
        unpack(archive, tmp_path / "out")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("a")
        info.size = 1 << 60
        tar.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))
    with refused(tmp_path / "x.tar", tmp_path / "out", f"{1 << 60:,} bytes", "'a'"):
        unpack(tmp_path / "x.tar", tmp_path / "out")


def test_a_size_below_zero(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = -512
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with refused(tmp_path / "x.tar", tmp_path / "out"):
        unpack(tmp_path / "x.tar", tmp_path / "out")


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_compression_bombs(ending: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", {"zeros": bytes(3 << 20)})
    limits = Limits(small=1 << 20)
    with refused(archive, tmp_path / "out", "'zeros'", "bomb"):
        unpack(archive, tmp_path / "out", limits=limits)
    with refused(archive, tmp_path / "out", "bomb"):
        unpack(archive, tmp_path / "out", limits=Limits(bytes=1 << 20))


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_bytes_after_the_last_member_count(ending: str, tmp_path: Path) -> None:
    plain = pack(tmp_path / "x.tar", {"a": b"1"})
    with plain.open("ab") as file:
        file.write(bytes(3 << 20))
    packer = {"gz": "gzip", "bz2": "bz2", "xz": "lzma"}[ending.rsplit(".")[1]]
    archive = tmp_path / f"x.{ending}"
    archive.write_bytes(__import__(packer).compress(plain.read_bytes()))
    with refused(archive, tmp_path / "out", "bomb"):
        unpack(archive, tmp_path / "out", limits=Limits(small=1 << 20))


def test_too_many_and_too_deep(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.zip", {str(i): b"" for i in range(30)})
    with refused(archive, tmp_path / "out", "more than 20 members"):
        members(archive, Limits(members=20))
    archive = pack(tmp_path / "y.tar", {"a/" * 16 + "b": b""})
    with refused(archive, tmp_path / "out", "more than 16 folders"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_cut_off(ending: str, share: float, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", FILES | {"z": NOISE[::-1]})
    content = archive.read_bytes()
    end = len(content.rstrip(b"\0")) if ending == "tar" else len(content)
    archive.write_bytes(content[: int(end * share)])
    with refused(archive, tmp_path / "out", "get a whole copy"):
        unpack(archive, tmp_path / "out")


def test_cut_off_between_members(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar", {"a": b"1", "b": b"2"})
    archive.write_bytes(archive.read_bytes()[:1024])  # header and content of the first alone
    with refused(archive, tmp_path / "out", "ends before its last member"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_flipped_byte_is_noticed(ending: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", {"a": NOISE})
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    with refused(archive, tmp_path / "out", "is damaged"):
        unpack(archive, tmp_path / "out")


def test_rubbish(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(NOISE)
    with refused(archive, tmp_path / "out", "no archive"):
        unpack(archive, tmp_path / "out")


def test_long_headers_are_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar.xz", "w:xz", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "a", b"1", pax_headers={"comment": "0" * (8 << 20)})
    with refused(tmp_path / "x.tar.xz", tmp_path / "out", "header", "16,384"):
        unpack(tmp_path / "x.tar.xz", tmp_path / "out")


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_memory_is_bounded(ending: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"x.{ending}", {"zeros": bytes(40 << 20)})
    tracemalloc.start()
    try:
        unpack(archive, tmp_path / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "out/zeros").stat().st_size == 40 << 20
    assert peak < 12 << 20


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "x.zip").mkdir()
    (tmp_path / "x.bin").touch()
    assert not is_archive(tmp_path / "x.zip")
    assert not is_archive(tmp_path / "x.bin")
    assert not is_archive(tmp_path / "missing.tar")
