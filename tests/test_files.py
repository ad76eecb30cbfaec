"""Files are whole or absent, whatever interrupts the writing, and nothing else is touched."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from xlrank.collections import Document
from xlrank.collections.documents import Documents
from xlrank.errors import XlrankError
from xlrank.files import (
    build_lock,
    build_once,
    cache_folder,
    content_key,
    data_folder,
    file_hash,
    make_folder,
    read_json,
    replacing,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "сөз\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "сөз\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, XlrankError])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, interruption: type[BaseException]) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(interruption), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise interruption
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_an_exception_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert names(tmp_path) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with replacing(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(tmp_path / "folder") == ["second"]
    assert names(tmp_path) == ["folder"]


def test_an_exception_leaves_the_old_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        raise KeyboardInterrupt
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["old"]


@pytest.mark.parametrize("place", [".", "", "..", "./"])
def test_a_path_without_a_name_is_refused_and_nothing_is_deleted(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "parent" / "work"
    work.mkdir(parents=True)
    (work / "precious").write_text("mine")
    monkeypatch.chdir(work)
    with pytest.raises(XlrankError), replacing(Path(place)) as temporary:
        temporary.mkdir()
    assert (work / "precious").is_file()
    assert names(work) == ["precious"]


def test_a_full_disk_becomes_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(XlrankError, match=r"a\.txt: cannot be written \(No space left on device\)"):
        write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_becomes_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(XlrankError, match=r"file/a\.txt: cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_becomes_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(XlrankError, match=r"cannot be written \(Permission denied\)"):
        write_text(tmp_path / "a.txt", "x")


def test_a_file_is_not_put_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").touch()
    with pytest.raises(XlrankError, match="cannot be written"):
        write_text(tmp_path / "folder", "x")
    assert names(tmp_path / "folder") == ["precious"]


def test_files_that_a_library_kept_to_its_user_are_as_readable_as_others(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "kept").touch(mode=0o600)
    with replacing(tmp_path / "file") as temporary:
        temporary.touch(mode=0o600)
    assert {(tmp_path / name).stat().st_mode for name in ("usual", "file", "folder/kept")} == {
        (tmp_path / "usual").stat().st_mode
    }


def test_many_may_prove_a_folder_at_once(tmp_path: Path) -> None:
    def prove(_: int) -> None:
        for _ in range(50):
            make_folder(tmp_path / "a" / "b")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prove, range(8)))
    assert names(tmp_path / "a") == ["b"]
    assert not names(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(XlrankError, match="file: cannot be written"):
        make_folder(tmp_path / "file")


def test_read_json_names_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ключ": [1, None]})
    assert read_json(tmp_path / "a.json") == {"ключ": [1, None]}
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_bytes(b'"\xff"')
    for name, problem in (("b", "not valid JSON"), ("c", "not valid JSON"), ("d", "cannot be read")):
        with pytest.raises(XlrankError, match=rf"{name}\.json: {problem}"):
            read_json(tmp_path / f"{name}.json")


def test_content_keys_are_stable_and_depend_on_every_part() -> None:
    # A literal: keys name files that outlive the process.
    assert content_key("a", {"y": 1, "x": [None, 2.5]}, "ү") == "a48d06e39b3f1acc"
    assert content_key("a", {"x": [None, 2.5], "y": 1}, "ү") == "a48d06e39b3f1acc"
    assert len({content_key("a", "b"), content_key("ab"), content_key("b", "a"), content_key(["a", "b"])}) == 4


def test_file_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (data_folder() / "mini" / "qrels.txt").is_file()
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "somewhere"))
    assert cache_folder() == tmp_path / "somewhere"
    monkeypatch.setenv("XLRANK_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path / "you"))
    assert cache_folder() == tmp_path / "you/.cache/xlrank"


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with something in it, in which nobody, root included, can write."""
    cache = tmp_path / "cache"
    write_text(cache / "precision-1.json", '"fp32"')
    write_text(cache / "indexes" / "late-1" / "shard-0" / "ids.txt", "d1\n")
    write_text(cache / "translations" / "ky-en.tsv", "алма\tapple\n")
    write_text(cache / "indexes" / ".late-1.lock", "")
    os_open, mkdir = os.open, os.mkdir

    def refuse(path: object) -> None:
        if isinstance(path, str | Path) and Path(path).is_relative_to(cache):
            raise OSError(errno.EROFS, "Read-only file system", str(path))

    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:  # noqa: ANN401
        if flags & (os.O_WRONLY | os.O_RDWR):
            refuse(path)
        return os_open(path, flags, *arguments, **options)

    def made(path: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        refuse(path)
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "mkdir", made)
    monkeypatch.setenv("XLRANK_CACHE", str(cache))
    return cache


def test_a_read_only_cache_is_read_and_added_to_for_the_time_being(read_only: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = {path: path.read_bytes() for path in read_only.rglob("*") if path.is_file()}
    with pytest.raises(XlrankError, match="Read-only file system"):
        write_text(read_only / "documents" / "new.txt", "the cache is as this test needs it")
    folder = cache_folder()
    assert cache_folder() == folder != read_only
    assert [record.getMessage() for record in caplog.records] == [
        f"{read_only}: cannot be written (Read-only file system); what is made now is not kept in the cache "
        "(XLRANK_CACHE names another folder)"
    ]
    assert read_json(folder / "precision-1.json") == "fp32"
    assert (folder / "indexes" / "late-1" / "shard-0" / "ids.txt").read_text() == "d1\n"
    build_once(
        folder / "indexes" / "late-1" / "shard-1", lambda: False, lambda: write_text(folder / "indexes/late-1/shard-1", "d2")
    )
    write_text(folder / "documents" / "mini" / "facts.json", "{}")
    with (folder / "translations" / "ky-en.tsv").open("a") as stream:
        stream.write("суу\twater\n")
    assert len((folder / "translations" / "ky-en.tsv").read_text().splitlines()) == 2
    assert names(folder / "indexes" / "late-1") == ["shard-0", "shard-1"]
    assert {path: path.read_bytes() for path in read_only.rglob("*") if path.is_file()} == before


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "file" / "cache"))
    made = Documents.stored("mine", "identity", lambda: [Document("d1", "text")])
    assert [document.id for document in made] == ["d1"]
    assert Documents.stored("mine", "identity", list).facts == made.facts, "kept as long as the process runs"


def test_what_stands_in_for_a_cache_is_gone_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = "from xlrank.files import cache_folder; print(cache_folder())"
    environment = {**os.environ, "XLRANK_CACHE": str(tmp_path / "file" / "cache"), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path}/xlrank-cache-") and done.stderr.count("cannot be written") == 1
    assert names(tmp_path) == ["file"]


def test_an_interrupted_process_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    code = "import os, sys; from pathlib import Path; from xlrank.files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as t:\n    t.write_text('half'); os._exit(1)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.txt")], check=False)
    assert done.returncode == 1
    assert (tmp_path / "a.txt").read_text() == "old"


def test_of_several_processes_one_builds(tmp_path: Path) -> None:
    target, built = tmp_path / "a" / "index", list[int]()

    def build() -> None:
        built.append(1)
        write_text(target, "whole")

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(build_once, target, target.is_file, build) for _ in range(64)]:
            done.result()
    assert built == [1]
    assert names(tmp_path / "a") == ["index"], "no lock is left behind"


def test_a_lock_is_had_by_one_at_a_time(tmp_path: Path) -> None:
    inside, most = list[int](), list[int]()

    def work() -> None:
        for _ in range(40):
            with build_lock(tmp_path / "x"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor(12) as pool:
        for done in [pool.submit(work) for _ in range(12)]:
            done.result()
    assert max(most) == 1 and len(most) == 480
