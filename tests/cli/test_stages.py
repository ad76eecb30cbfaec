"""``xlrank rerank`` as it is typed."""

import sys
from pathlib import Path

import pytest

from tests.conftest import make_ranking
from xlrank.bases import Base
from xlrank.cli.main import main
from xlrank.runs import Run


def test_rerank_cuts_to_the_length_asked_for_and_says_how_many(
    tiny_base: Base, small_collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run.of("first", {"1": {"d1": 2.0, "d2": 1.0}, "2": {"d3": 1.0}}).write(tmp_path / "first.trec")
    module = make_ranking(tiny_base, 3).save(tmp_path / "rank")
    where = ["--run", run, "--base", tiny_base.name, "--collection", f"folder:{small_collection}", "--lang", "ky"]
    command = ["xlrank", "rerank", *map(str, where), "--compose", str(module), "--precision", "fp32"]
    said: dict[str, str] = {}
    found: dict[str, Run] = {}
    for length in ("12", "60"):
        monkeypatch.setattr(sys, "argv", [*command, "--max-length", length, "--out", str(tmp_path / f"{length}.trec")])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 0
        said[length], found[length] = capsys.readouterr().out, Run.read(tmp_path / f"{length}.trec")
    note = "cross-encoder: 2 of 3 pairs are longer than 12 word pieces and were cut to that"
    assert said["12"].count(f"note: {note}\n") == 1 and "note:" not in said["60"]
    assert found["12"].metadata["notes"] == [note] and found["12"].metadata["max_length"] == 12
    assert found["12"].scores() != found["60"].scores()
