"""One rule for runs with topics that a collection lacks, whichever command reads them: left out, and said in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.cli.main import main
from xlrank.runs import Run

Command = Callable[..., str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Run.of("theirs", {"1": {"d1": 2.0, "d2": 1.0}, "2": {"d3": 1.0}, "C9": {"d1": 1.0}}).write("theirs.trec")

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["xlrank", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        assert not ended.value.code, shown.err
        return shown.out

    return run


NOTE = "note: topics that are not in the collection, left out: 1 (C9)"


def test_search_and_rerank(command: Command, small_collection: Path, tiny_bert_folder: Path, tiny_base: Base) -> None:
    ky, cross = make_adapter(tiny_base, "ky", 1).save(Path("ky")), make_ranking(tiny_base, 2).save(Path("cross"))
    common = ["--collection", f"folder:{small_collection}", "--lang", "ky", "--base", str(tiny_bert_folder)]
    shown = command("search", *common, "--method", "run(theirs.trec)", "--out", "found.trec")
    assert NOTE in shown.splitlines() and list(Run.read("found.trec").rankings) == ["1", "2"]
    modules = ["--module", f"ky={ky}", "--module", f"cross={cross}", "--precision", "fp32"]
    shown = command("rerank", *common, *modules, "--run", "theirs.trec", "--compose", "ky+cross", "--out", "new.trec")
    assert shown.splitlines().count(NOTE) == 1
    found = Run.read("new.trec")
    assert list(found.rankings) == ["1", "2"] and found.metadata["notes"] == [NOTE.removeprefix("note: ")]
    assert found.metadata["candidates"] == "theirs.trec"


def test_evaluate(command: Command, small_collection: Path) -> None:
    shown = command("evaluate", "--collection", f"folder:{small_collection}", "--run", "theirs.trec")
    assert "note: theirs.trec: topics of the run that are not judged, left out: 1 (C9)" in shown.splitlines()


def test_a_run_that_was_changed_is_said_to_have_lost_its_metadata(command: Command, small_collection: Path) -> None:
    path = Run.of("x", {"1": {"d1": 2.0}}, {"key": "1"}).write("changed.trec")
    path.write_text("1 Q0 d2 1 1.0 x\n")
    shown = command("evaluate", "--collection", f"folder:{small_collection}", "--run", "changed.trec")
    assert shown.count("changed.trec.meta.yaml was written for another content of the run") == 1
