"""Options of ``xlrank train ranking`` and ``train pairs``: what belongs to which interaction, sources, shares and licences."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import WORDS
from xlrank.cli.training_options import interaction_options, sources_from
from xlrank.errors import XlrankError


def test_options_of_the_other_interaction_are_refused() -> None:
    cross, late, training = {"pooling": None, "max_length": None}, {"dim": None}, {"neighbours": None}
    assert interaction_options("cross", cross | {"pooling": "mean"}, late, training) == {
        "interaction": "cross",
        "pooling": "mean",
    }
    options = interaction_options("late", cross, {"dim": 8}, {"neighbours": 0})
    assert (options["late"].dim, options["late_training"].neighbours, options["late"].query_length) == (8, 0, 256)
    with pytest.raises(XlrankError, match="--neighbours: belongs to --interaction late; leave it out with --interaction cross"):
        interaction_options("cross", cross, late, {"neighbours": 8})
    with pytest.raises(XlrankError, match="--length: belongs to --interaction cross; leave it out with --interaction late"):
        interaction_options("late", cross | {"max_length": 9}, late, training)


def test_sources_with_shares_and_licences() -> None:
    found = sources_from(["a", "b=c"], ["b=c=0.25"], ["CC0"], heldout=3)
    assert [(s.source, s.share, s.licence, s.heldout) for s in found] == [("a", None, "CC0", 3), ("b=c", 0.25, "CC0", 3)]
    assert [s.licence for s in sources_from(["a", "b"], None, ["CC0", "MIT"])] == ["CC0", "MIT"]
    with pytest.raises(XlrankError, match="--share 'c=0.5': 'c' is no --data; expected one of a, b"):
        sources_from(["a", "b"], ["c=0.5"], None)
    with pytest.raises(XlrankError, match="--share 'a=half': expected DATA=NUMBER"):
        sources_from(["a", "b"], ["a=half"], None)
    with pytest.raises(XlrankError, match="--licence: 2 for 3 --data"):
        sources_from(["a", "b", "c"], None, ["x", "y"])


def test_late_training_by_command(tiny_bert_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from xlrank.cli.train import app
    from xlrank.modules import Module

    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    rows = [{"query": f"the {word}", "positive": f"a {word}"} for word in WORDS]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = f"ranking --interaction late --data {path} --base {tiny_bert_folder} --out {tmp_path / 'm'} --steps 1 --batch 4"
    options = "--neighbours 2 --dim 8 --document-length 24 --temperature 0.1"
    result = CliRunner().invoke(app, [*command.split(), *options.split()])
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    losses = r"held-out loss \S+ before, \S+ after 1 step and \d+ s"
    assert re.fullmatch(rf"{tmp_path / 'm'}: adapter ranking module for en, 0\.\d MB; {losses}", first), first
    assert second == f'saved in {tmp_path / "m"}; its README.md and "xlrank module show {tmp_path / "m"}" say the rest'
    assert "training …\n" in result.stderr
    assert re.search(r"training: step 1 of 1, held-out loss \S+\n", result.stderr), result.stderr
    assert re.search(r"training: 1 done, held-out loss \S+, \d+ s\n", result.stderr), result.stderr
    module = Module.load(tmp_path / "m")
    assert (module.interaction, module.config["reduction_factor"]) == ("late", 8)
    assert (module.config["late"]["dim"], module.config["late"]["temperature"]) == (8, 0.1)
    assert (module.training["document_length"], module.training["query_length"]) == (24, 48)
    assert "late interaction" in (tmp_path / "m" / "README.md").read_text()
