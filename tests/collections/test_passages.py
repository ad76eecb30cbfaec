"""Passages by id: found without reading the others, indexed once, and indexed again when something is wrong."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.marco import write_tar
from xlrank.collections import passages
from xlrank.collections.passages import PassageFile, unpacked
from xlrank.errors import XlrankError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


def indexes(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.npy"))


def test_every_passage_is_found_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "collection.tsv"
    texts = {str(i): f"passage {i} дарыя" for i in range(500)} | {"D-7": "a\tb", "кат": "last, without a line end"}
    path.write_text("\n\n".join(f"{id_}\t{text}" for id_, text in texts.items()), encoding="utf-8")
    found = PassageFile(path)
    assert {id_: found.get(id_) for id_ in texts} == texts
    assert [found.get(id_) for id_ in ("500", "", "1\t", "passage")] == [None] * 4
    assert list(found.items()) == list(texts.items())
    assert len(found) == 502


def test_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_bytes(b"1\tone\r\n2\ttwo\r\n")
    assert dict(PassageFile(tmp_path / "c.tsv").items()) == {"1": "one", "2": "two"}


def test_ids_of_equal_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "_hash", lambda id_: len(id_))
    (tmp_path / "c.tsv").write_text("11\ta\n22\tb\n3\tc\n33\td\n")
    found = PassageFile(tmp_path / "c.tsv")
    assert [found.get(id_) for id_ in ("11", "22", "33", "3", "44")] == ["a", "b", "d", "c", None]


def test_the_index_is_built_once_and_again_for_another_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("1\tone\n")
    assert PassageFile(path).get("1") == "one"
    with monkeypatch.context() as patch:
        patch.setattr(PassageFile, "_built", lambda _: pytest.fail("indexed a second time"))
        assert PassageFile(path).get("1") == "one"
        assert pickle.loads(pickle.dumps(PassageFile(path))).get("1") == "one"
    path.write_text("0\tzero\n1\tother\n")
    assert PassageFile(path).get("1") == "other"
    assert len(indexes(tmp_path)) == 2


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00", b"no index"])
def test_a_damaged_index_is_built_again(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "c.tsv").write_text("1\tone\n2\ttwo\n")
    PassageFile(tmp_path / "c.tsv")
    (index,) = indexes(tmp_path)
    whole = index.read_bytes()
    index.write_bytes(damage or whole[:-8])
    assert PassageFile(tmp_path / "c.tsv").get("2") == "two"
    assert index.read_bytes() == whole


def test_an_index_of_another_shape_is_built_again(tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_text("1\tone\n")
    PassageFile(tmp_path / "c.tsv")
    np.save(indexes(tmp_path)[0], np.zeros(3, np.uint64))
    assert PassageFile(tmp_path / "c.tsv").get("1") == "one"


def test_an_interrupted_build_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.tsv").write_text("1\tone\n")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "save", interrupted)
        PassageFile(tmp_path / "c.tsv")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert PassageFile(tmp_path / "c.tsv").get("1") == "one"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1\tone\n\ntwo\n", r"c\.tsv, line 3: no TAB"),
        (b"1\tone\n2\tcaf\xe9\n", r"c\.tsv, line 2: not UTF-8"),
        (b"1\tone\n2\ttwo\n1\tthree\n", r"c\.tsv: the id '1' stands in the file twice"),
        (b"\n", r"c\.tsv: is empty"),
        (b"", r"c\.tsv: is empty"),
    ],
)
def test_malformed_files_are_refused_each_time(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "c.tsv").write_bytes(content)
    for _ in range(2):
        with pytest.raises(XlrankError, match=problem):
            PassageFile(tmp_path / "c.tsv")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"none\.tsv: cannot be read"):
        PassageFile(tmp_path / "none.tsv")


def test_archives_are_unpacked_once_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "queries.tar.gz"
    write_tar(path, {"../../queries.dev.tsv": "1\ta", "queries.train.tsv": "2\tb\n", "other.tsv": "3\tc\n"})
    found = unpacked(path, "queries*.tsv")
    assert found.read_text() == "1\ta\n2\tb\n"
    assert found.is_relative_to(tmp_path / "cache")
    assert not list(tmp_path.parent.glob("queries*"))
    monkeypatch.setattr(passages, "_unpack", lambda *_: pytest.fail("unpacked a second time"))
    assert unpacked(path, "queries*.tsv") == found


def test_archives_without_the_file_or_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "collection.tar.gz"
    write_tar(path, {"other.tsv": "1\ta\n" * 5000})
    with pytest.raises(XlrankError, match=r"collection\.tar\.gz: holds no file collection\*\.tsv"):
        unpacked(path, "collection*.tsv")
    whole = path.read_bytes()
    for damage in (whole[: len(whole) // 2], b"no archive", b""):
        path.write_bytes(damage)
        with pytest.raises(XlrankError, match=r"collection\.tar\.gz: cannot be unpacked"):
            unpacked(path, "other*.tsv")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
