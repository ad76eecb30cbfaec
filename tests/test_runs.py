"""Runs as TREC files: what is written is read back exactly, and what is malformed is named by line."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlrank.errors import XlrankError
from xlrank.runs import Run

SCORES = {
    "q1": {"d1": 0.1 + 0.2, "d2": 1e-300, "документ": -1 / 3, "d4": 12345678.87654321},
    "2": {"d9": math.pi, "d10": math.nextafter(math.pi, 4)},
}


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_scores_keep_full_precision(tmp_path: Path) -> None:
    run = Run.of("mine", SCORES)
    read = Run.read(run.write(tmp_path / "a.trec"))
    assert read == run
    assert read.scores() == SCORES
    assert [d for d, _ in read.rankings["2"]] == ["d10", "d9"]


def test_lines_have_the_six_columns_of_trec(tmp_path: Path) -> None:
    path = Run.of("my system", {"1": {"b": 0.5, "a": 2.0}}).write(tmp_path / "a.trec")
    assert path.read_text() == "1 Q0 a 1 2.0 mysystem\n1 Q0 b 2 0.5 mysystem\n"


def test_numpy_scores_can_be_read_back(tmp_path: Path) -> None:
    path = Run.of("mine", {"1": {"a": np.float64(0.25)}}).write(tmp_path / "a.trec")
    assert Run.read(path).scores() == {"1": {"a": 0.25}}


def test_equal_scores_are_ordered_by_document_id(tmp_path: Path) -> None:
    path = written(tmp_path / "a.trec", "1 Q0 b 1 0.5 x\n1 Q0 c 2 0.7 x\n1 Q0 a 3 0.5 x\n1 Q0 a10 4 0.5 x\n1 Q0 a9 5 0.5 x\n")
    assert [d for d, _ in Run.read(path).rankings["1"]] == ["c", "a", "a10", "a9", "b"]


def test_metadata_round_trip(tmp_path: Path) -> None:
    metadata: dict[str, Any] = {
        "key": "0123",
        "seconds": 1.25,
        "precision": None,
        "platform.software": "xlrank: 0.1",
        "nested": {"список": [1, "a: b\n"]},
        "odd": "a\u2028b\x85c\x0bd\x1ee",
    }
    run = Run.of("mine", SCORES, metadata)
    path = run.write(tmp_path / "a.trec")
    assert path.read_text(encoding="utf-8").startswith('# ir_metadata.key: "0123"\n')
    assert Run.read(path).metadata == metadata


def test_foreign_comments_and_metadata_are_kept_or_skipped(tmp_path: Path) -> None:
    path = written(tmp_path / "a.trec", "# ir_metadata.method: plain words\n# anything else\n\n1\tQ0\ta\t1\t2\tx\n")
    run = Run.read(path)
    assert run.metadata == {"method": "plain words"}
    assert run.rankings == {"1": (("a", 2.0),)}
    assert run.name == "x"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 Q0 b 2 0.5", "5 columns; expected 6"),
        ("1 Q0 b 2 0.5 x y", "7 columns; expected 6"),
        ("1 Q0 b 2 half x", "the score 'half' is not a finite number"),
        ("1 Q0 b 2 nan x", "the score 'nan' is not a finite number"),
        ("1 Q0 b 2 inf x", "the score 'inf' is not a finite number"),
        ("1 Q0 a 2 0.5 x", "document 'a' stands twice in topic '1'"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = written(tmp_path / "a.trec", f"# comment\n1 Q0 a 1 1 x\n\n{line}\n1 Q0 z 9 0 x\n")
    with pytest.raises(XlrankError) as caught:
        Run.read(path)
    assert str(caught.value).startswith(f"{path}, line 4: {problem}")
    assert "\n" not in str(caught.value)


def test_the_same_document_may_stand_in_two_topics(tmp_path: Path) -> None:
    assert len(Run.read(written(tmp_path / "a.trec", "1 Q0 a 1 1 x\n2 Q0 a 1 1 x\n")).rankings) == 2


@pytest.mark.parametrize("text", ["", "\n\n", "# ir_metadata.key: 1\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(XlrankError, match=r"a\.trec: holds no results"):
        Run.read(written(tmp_path / "a.trec", text))


def test_a_missing_file_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match=r"none\.trec: cannot be read \(No such file"):
        Run.read(tmp_path / "none.trec")
    (tmp_path / "b.trec").write_bytes(b"1 Q0 \xff 1 1 x\n")
    with pytest.raises(XlrankError, match="not UTF-8"):
        Run.read(tmp_path / "b.trec")


def test_top_pairs_and_scores() -> None:
    run = Run.of("mine", {"2": {"a": 1.0, "b": 2.0, "c": 3.0}, "1": {"a": 1.0}}, {"k": 1})
    assert list(run.top(2).pairs()) == [("2", "c"), ("2", "b"), ("1", "a")]
    assert run.top(2).metadata == {"k": 1}
    assert len(list(run.pairs())) == 4
    assert run.scores() == {"2": {"c": 3.0, "b": 2.0, "a": 1.0}, "1": {"a": 1.0}}


def test_a_failed_write_leaves_the_old_run(tmp_path: Path) -> None:
    path = Run.of("mine", {"1": {"a": 1.0}}).write(tmp_path / "a.trec")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        Run.of("mine", {"1": {"b": 1.0}}, {"bad": object()}).write(path)
    assert path.read_bytes() == before
