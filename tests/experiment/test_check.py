"""What is found wrong with an experiment before anything runs: all of it, each with its line."""

from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.experiment.check import check
from xlrank.experiment.modules import filled
from xlrank.experiment.reading import read_experiment

BROKEN = """
collections:
  - {{id: "{collection}", pairs: [ky-en, xx-en]}}
  - {{id: "{collection}", pairs: [ky-en, en-en]}}
  - {{id: "{collection}", pairs: [ky-en], first_stage: bm25}}
  - nonsense
base: {base}
modules: {{cross: "{modules}/cross", language: "{modules}/{{language}}"}}
systems:
  - dense
  - dense
  - monobert
  - ens(other)
  - {{name: ky+cross, compose: ky+cross}}
  - {{name: odd, compose: cross+ky}}
  - {{name: unset, compose: cross, modules: {{cross: "${{XLRANK_NOT_SET}}/cross"}}}}
metrics: [map, accuracy]
tests: {{baseline: none}}
"""


@pytest.fixture
def modules(tiny_base: Base, tmp_path: Path) -> Path:
    make_adapter(tiny_base, "ky", 1).save(tmp_path / "modules" / "ky")
    make_adapter(tiny_base, "en", 2).save(tmp_path / "modules" / "en")
    make_ranking(tiny_base, 3).save(tmp_path / "modules" / "cross")
    return tmp_path / "modules"


def written(folder: Path, text: str, **values: object) -> Path:
    path = folder / "e.yaml"
    path.write_text(text.format(**values), encoding="utf-8")
    return path


def test_all_problems_at_once_with_their_lines(
    small_collection: Path, tiny_bert_folder: Path, modules: Path, tmp_path: Path
) -> None:
    values = {"collection": f"folder:{small_collection}", "base": tiny_bert_folder, "modules": modules}
    path = written(tmp_path, BROKEN.replace("xx-en", "tr-en"), **values)
    experiment, lines = read_experiment(path)
    with pytest.raises(XlrankError) as caught:
        check(experiment, lambda place: f"line {lines.line(place)}: ")
    problems = str(caught.value).splitlines()
    for expected in (
        "line 4: collection",  # no topics in en
        "line 5: bm25 searches with translated topics",
        "line 6: unknown collection 'nonsense'",
        "line 11: system 'dense' stands twice",
        "line 13: system 'ens(other)': its member 'other' is no system",
        "line 15: composition",
        "line 16: modules: cross: the environment variable XLRANK_NOT_SET is not set",
        "line 17: unknown metric 'accuracy'",
        "line 18: baseline 'none' is none of the systems",
    ):
        assert any(line.startswith(expected) for line in problems), (expected, problems)
    assert any(line.startswith("line 12: ") and "was made for base" in line for line in problems), "the shipped monoBERT"
    assert [line for line in problems if line.startswith("line 14:")] == [], "nothing is wrong with ky+cross"


def test_what_a_good_experiment_gives(small_collection: Path, tiny_bert_folder: Path, modules: Path, tmp_path: Path) -> None:
    text = """
collections: [{{id: "{collection}", pairs: [ky-en]}}]
base: {base}
modules: {{cross: "{modules}/cross", language: "{modules}/{{language}}"}}
systems: [first, split, {{name: de-only, compose: cross, pairs: [ky-de]}}]
"""
    values = {"collection": f"folder:{small_collection}", "base": tiny_bert_folder, "modules": modules}
    checked = check(read_experiment(written(tmp_path, text, **values))[0])
    (pair,) = checked.pairs
    assert str(pair).endswith("small ky-en")
    assert [system.name for system in checked.systems(pair)] == ["first", "split"]
    assert str(checked.compositions["split", str(pair)]) == "split(ky,en)+cross"
    assert str(checked.stage(checked.experiment.systems[0], pair)) == "dense"


def test_modules_for_every_language_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_TEST_MODULES", "/m")
    wanted = {"language": "${XLRANK_TEST_MODULES}/language/{language}", "rank": "r", "tr": "own"}
    assert filled(wanted, {"ky", "en", "tr"}) == {"ky": "/m/language/ky", "en": "/m/language/en", "tr": "own", "rank": "r"}
    with pytest.raises(XlrankError, match=r"has no \{language\} in it"):
        filled({"language": "my/ky"}, {"ky"})
