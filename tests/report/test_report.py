"""Writing a report: all files, the same again, nothing from bad input, several folders in one."""

import json
import sys
from pathlib import Path

import pytest

from tests.report.samples import format_1, ranker, results, row, with_evidence, written
from xlrank.errors import XlrankError
from xlrank.report import write_report

TEXTS = ["leaderboard.html", "leaderboard.md", "leaderboard.tex", "leaderboard.csv", "leaderboard.json"]
PLOTS = ["plot-pairs", "plot-resources", "plot-topics"]


def test_files_are_written_and_the_same_again(tmp_path: Path) -> None:
    folder = with_evidence(tmp_path, results())
    paths = write_report(folder)
    assert [path.name for path in paths] == [*TEXTS, *(f"{name}.svg" for name in PLOTS), *(f"{name}.png" for name in PLOTS)]
    assert all(path.parent == folder for path in paths)
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_report([folder])] == first


def test_format_1(tmp_path: Path) -> None:
    write_report(written(tmp_path, format_1()))
    assert "| SPLIT | – | **0.530**\\* |" in (tmp_path / "leaderboard.md").read_text(encoding="utf-8")


def test_stale_plots_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "plot-series.svg").write_text("old", encoding="utf-8")
    (tmp_path / "plot-mine.svg").write_text("mine", encoding="utf-8")
    write_report(written(tmp_path, results()))
    assert not (tmp_path / "plot-series.svg").exists() and (tmp_path / "plot-mine.svg").exists()


def test_several_folders(tmp_path: Path) -> None:
    one = written(tmp_path / "one", results(rows=[row("dense", "ky-en", 0.4), ranker("split", "ky-en", 0.5, 0.01)]))
    two = written(tmp_path / "two", results(date="2026-11-24", rows=[row("dense", "ky-en", 0.45), row("bm25", "tr-en", 0.3)]))
    out = tmp_path / "reports" / "all"
    write_report([one, two], out)
    markdown = (out / "leaderboard.md").read_text(encoding="utf-8")
    assert (
        "[run](./../../one/runs/mini/ky-en.split.trec)" in markdown and "[run](./../../two/runs/mini/tr-en.bm25.trec)" in markdown
    )
    assert "DENSE (small)" in markdown and "DENSE (two)" in markdown  # experiments of one name go by their folders
    records = json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))["records"]
    assert {(record["experiment"], record["date"]) for record in records} == {
        ("small", "2026-11-23T17:00:00+00:00"),
        ("two", "2026-11-24"),
    }
    assert sorted(path.name for path in one.iterdir()) == ["results.json"]


@pytest.mark.parametrize(
    ("names", "out", "message"),
    [
        (["one", "two"], None, "--out DIR"),
        (["one", "one"], "out", "one: named twice"),
        ([], None, "no results folder"),
        (["one", "none"], "out", r"none/results\.json: not found"),
    ],
)
def test_folders_that_make_no_report(tmp_path: Path, names: list[str], out: str | None, message: str) -> None:
    for name in ("one", "two"):
        written(tmp_path / name, results())
    with pytest.raises(XlrankError, match=message):
        write_report([tmp_path / name for name in names], tmp_path / out if out else None)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["results.json", "results.json"]


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(XlrankError, match=f"{library}.*xlrank.eval"):
        write_report(written(tmp_path, results()))
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_nothing_is_written_from_malformed_files(tmp_path: Path) -> None:
    folder = with_evidence(tmp_path, results())
    (folder / "runs/mini/ky-en.split.trec").write_text("x\n", encoding="utf-8")
    with pytest.raises(XlrankError, match="line 1"):
        write_report(folder)
    assert not list(folder.glob("leaderboard.*"))
