"""Building in parts: what is kept of an interrupted build, who builds when several want to, and what is left of failures."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.retrieval import LuceneBM25, lucene_build
from xlrank.retrieval.index_files import DocumentIds

DOCUMENTS = [Document(f"d{i}", " " if i == 3 else f"plim {'zorb ' * i}") for i in range(7)]


class FakeJava:
    """Does what the worker does, as far as files go; fails at job number ``fails``."""

    def __init__(self, fails: int | None = None) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.fails, self.starts, self.waited = fails, 0, 0

    @contextmanager
    def __call__(self, _job: str, _blame: str, inherited: Sequence[int]) -> Iterator["FakeJava"]:
        assert inherited
        self.starts += 1
        yield self

    def give(self, job: str, **details: str) -> None:
        files = sorted(Path(details["source"]).iterdir()) if job == "index" else []
        lines = [line for file in files for line in file.read_text("ascii").splitlines()]
        assert details.get("documents", 0) == len(lines)
        self.jobs.append({"job": job, **details, "ids": sorted(json.loads(line)["id"] for line in lines)})

    def wait(self) -> None:
        if self.fails == self.waited:
            raise XlrankError("Java failed")
        job = self.jobs[self.waited]
        self.waited += 1
        Path(job["part"] if job["job"] == "index" else job["index"]).mkdir()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeJava], FakeJava]:
    monkeypatch.setattr(lucene_build, "PART_DOCUMENTS", 2)

    def use(java: FakeJava) -> FakeJava:
        monkeypatch.setattr(lucene_build, "worker", java)
        monkeypatch.setattr("xlrank.retrieval.lucene.anserini_jar", lambda: Path("anserini-1-fatjar.jar"))
        return java

    return use


def test_parts_follow_each_other_and_progress_is_told(tmp_path: Path, small_parts: Callable[[FakeJava], FakeJava]) -> None:
    java, told = small_parts(FakeJava()), list[tuple[int, int]]()
    index = LuceneBM25("so", threads=2).index(DOCUMENTS, tmp_path, lambda done, total: told.append((done, total)))
    assert [job["ids"] for job in java.jobs] == [["d0", "d1"], ["d2"], ["d4", "d5"], ["d6"], []]
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]
    assert [Path(part).name for part in java.jobs[-1]["parts"]] == [f"{a:09}-{b:09}" for a, b in ((0, 2), (2, 4), (4, 6), (6, 7))]
    assert json.loads((index / "xlrank.json").read_text())["documents"] == 7
    assert list(tmp_path.iterdir()) == [index]


def test_a_failed_build_goes_on_after_its_last_whole_part(tmp_path: Path, small_parts: Callable[[FakeJava], FakeJava]) -> None:
    small_parts(FakeJava(fails=2))
    with pytest.raises(XlrankError, match="Java failed"):
        LuceneBM25("so").index(DOCUMENTS, tmp_path)
    (work,) = tmp_path.iterdir()
    assert work.name.endswith(".building")
    (work / "parts" / "000000004-000000006.half").mkdir()
    (work / "parts" / "000000006-000000007").mkdir()  # of no use without the one before
    java, told = small_parts(FakeJava()), list[tuple[int, int]]()
    index = LuceneBM25("so").index(DOCUMENTS, tmp_path, lambda done, total: told.append((done, total)))
    assert [job["ids"] for job in java.jobs] == [["d4", "d5"], ["d6"], []]
    assert told[0] == (4, 7)
    assert list(tmp_path.iterdir()) == [index]


def test_nothing_is_left_of_a_build_without_a_whole_part(tmp_path: Path, small_parts: Callable[[FakeJava], FakeJava]) -> None:
    small_parts(FakeJava(fails=0))
    with pytest.raises(XlrankError, match="Java failed"):
        LuceneBM25("so").index(DOCUMENTS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line(
    tmp_path: Path, small_parts: Callable[[FakeJava], FakeJava], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(FakeJava())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FakeJava, "give", full)
    with pytest.raises(XlrankError, match=r"lucene-[0-9a-f]{16}: cannot be written \(No space left on device\)"):
        LuceneBM25("so").index(DOCUMENTS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_of_several_builders_one_builds_and_the_others_wait(tmp_path: Path, small_parts: Callable[[FakeJava], FakeJava]) -> None:
    java, found = small_parts(FakeJava()), list[Path]()
    builders = [threading.Thread(target=lambda: found.append(LuceneBM25("so").index(DOCUMENTS, tmp_path))) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert java.starts == 1
    assert len(found) == 4
    assert len(set(found)) == 1


def test_an_interrupted_build_ends_as_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(list[Document]):
        reads = 0

        def __iter__(self) -> Iterator[Document]:
            self.reads += 1
            for number, document in enumerate(super().__iter__()):
                if number == 5 and self.reads == 2:  # the first time is for the digest
                    raise KeyboardInterrupt
                yield document

    bm25, whole = LuceneBM25("so", threads=2), tmp_path / "whole"
    expected = bm25.search(bm25.index(DOCUMENTS, whole), {"t": "plim", "u": "zorb"}, 5)
    monkeypatch.setattr(lucene_build, "PART_DOCUMENTS", 2)
    with pytest.raises(KeyboardInterrupt):
        bm25.index(Interrupted(DOCUMENTS), tmp_path / "parts")
    told: list[tuple[int, int]] = []
    index = bm25.index(DOCUMENTS, tmp_path / "parts", lambda done, total: told.append((done, total)))
    assert told[0] in ((2, 7), (4, 7))  # the part that Java was at may be whole or not
    assert bm25.search(index, {"t": "plim", "u": "zorb"}, 5) == expected
    ids = DocumentIds(index / "ids.txt")
    assert sorted(ids.at(range(len(ids)))) == ["d0", "d1", "d2", "d4", "d5", "d6"]
    assert len(list(index.glob("*.si"))) == 1
