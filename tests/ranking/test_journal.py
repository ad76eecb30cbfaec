"""The journal: scores survive an interruption, and a line that was cut off does not count."""

import os
from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.ranking import Journal


def test_scores_are_read_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key.jsonl"
    journal = Journal(path)
    assert journal.done == {}
    journal.add(0, [0.1 + 0.2, -1e-30])
    journal.add(3, [2.0])
    assert journal.done == Journal(path).done == {0: [0.1 + 0.2, -1e-30], 3: [2.0]}


@pytest.mark.parametrize("rest", [b"[", b"[1, [2.0", b"[1, [2.0]]"])
def test_a_cut_off_line_is_dropped_and_the_next_is_whole(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "key.jsonl"
    Journal(path).add(0, [1.0])
    with path.open("ab") as stream:
        stream.write(rest)
    journal = Journal(path)
    assert journal.done == {0: [1.0]}
    journal.add(1, [5.0])
    assert Journal(path).done == {0: [1.0], 1: [5.0]}


def test_a_journal_that_is_none_is_refused_or_ignored(tmp_path: Path) -> None:
    # What a crash of the machine may leave: a whole line of nonsense.
    for content in (b"\0\0\0\n", b"half a line\n[0, [1.0]]\n"):
        (tmp_path / "key.jsonl").write_bytes(content)
        try:
            done = Journal(tmp_path / "key.jsonl").done
        except XlrankError:
            continue
        assert done in ({}, {0: [1.0]})


def test_removing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "key.jsonl")
    journal.remove()
    journal.add(0, [1.0])
    journal.remove()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(XlrankError, match=r"file/key\.jsonl: cannot be written"):
        Journal(tmp_path / "file" / "key.jsonl").add(0, [1.0])
