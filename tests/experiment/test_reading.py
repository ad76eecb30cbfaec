"""Experiment files: what they become, and that all that is wrong is said at once with its line."""

from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.experiment.model import Data, Experiment, System
from xlrank.experiment.reading import read_experiment

FOLDER = Path(__file__).parents[2] / "experiments"
GOOD = """
collections:
  - id: mini
    pairs: [kg-en, tr-de]
  - mini
first_stage: rrf(dense, bm25)
systems:
  - first
  - split
  - ens(split)
  - {name: mine, label: Mine, compose: "query+rank", modules: {rank: my/rank}, series: sizes, x: 16}
"""
BAD = """
name: x
collections:
  - id: mini
    pairs: [ky-en, kyen, xx-en]
    colour: red
systems:
  - dense
  - split(ky
  - {name: a, compose: rank, retrieve: dense}
depth: 0
depth: 5
tests: {method: anova}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "paper.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_file_becomes(tmp_path: Path) -> None:
    experiment, _ = read_experiment(written(tmp_path, GOOD))
    assert experiment.name == "paper"
    assert experiment.collections == (Data(id="mini", pairs=("ky-en", "tr-de")), Data(id="mini"))
    assert experiment.systems[0] == System(name="first", label="first stage", retrieve="first")
    assert experiment.systems[1].compose == "split(query,document)+cross"
    assert experiment.systems[2].ensemble == ("first", "split")
    assert experiment.systems[3] == System(
        name="mine", label="Mine", compose="query+rank", modules={"rank": "my/rank"}, series="sizes", x=16
    )
    assert Experiment.model_validate(experiment.plain()) == experiment


def test_everything_wrong_is_said_at_once_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, BAD)
    with pytest.raises(XlrankError) as caught:
        read_experiment(path)
    lines = str(caught.value).splitlines()
    places = [int(line.removeprefix(f"{path}, line ").partition(":")[0]) for line in lines]
    for line, said in (
        (5, "'kyen': expected QUERY-DOCUMENT"),
        (6, "unknown key 'colour'"),
        (9, "system 'split(ky'"),
        (10, "expected one of compose, retrieve and ensemble"),
        (12, "'depth' stands twice"),
        (13, "'t-test', 'randomisation' or 'bootstrap'"),
    ):
        assert any(place == line and said in text for place, text in zip(places, lines, strict=True)), (line, said, lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "expected keys and values"),
        ("name: x\n", "collections is missing"),
        ("collection: mini\n", "line 1: write collections:"),
        ("collections: []\n", "line 1: collections"),
        ("collections: [mini]\nmetrics: []\n", "line 2: metrics"),
    ],
)
def test_what_is_no_experiment(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(XlrankError) as caught:
        read_experiment(written(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: path.stem)
def test_the_experiments_that_come_with_the_project(path: Path) -> None:
    experiment, _ = read_experiment(path)
    assert experiment.title
    assert experiment.systems
    names = [system.name for system in experiment.systems]
    assert len(set(names)) == len(names)


def test_the_paper_has_29_pairs() -> None:
    tables = [read_experiment(FOLDER / "paper" / f"table{number}.yaml")[0] for number in (1, 2, 3)]
    assert [sum(len(data.pairs) for data in table.collections) for table in tables] == [14, 7, 8]


def test_an_experiment_can_be_narrowed(tmp_path: Path) -> None:
    experiment, _ = read_experiment(written(tmp_path, GOOD))
    narrow = experiment.narrowed(["tr"], ["split"])
    assert [data.pairs for data in narrow.collections] == [("tr-de",), ("tr-en",)]
    assert [system.name for system in narrow.systems] == ["split"]
