"""The paper's experiments on files in the layouts of CLEF and HC4: all 29 pairs, all systems, a tiny random base."""

from pathlib import Path

import pytest
import torch

from tests.collections.clef.files import write_clef_home
from tests.collections.hc4_files import write_hc4_home
from tests.conftest import HIDDEN, changed_module, make_adapter, make_mask, make_ranking
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.errors import XlrankError
from xlrank.experiment import Experiment, read_experiment, run_experiment
from xlrank.experiment.check import check
from xlrank.modules import Module
from xlrank.modules.kinds.head.layers import PREFIX, RankingHead
from xlrank.progress import silent

PAPER = Path(__file__).parents[2] / "experiments" / "paper"
LANGUAGES = ("en", "de", "it", "fi", "ru", "fa", "zh", "sw", "so", "ky", "ug", "tr")


@pytest.fixture(scope="module")
def modules(tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What converting the paper's release gives: names as there, weights at random."""
    folder = tmp_path_factory.mktemp("release")
    for seed, language in enumerate(LANGUAGES):
        make_adapter(tiny_base, language, seed).save(folder / "language" / language)
        make_mask(tiny_base, language, seed).save(folder / "language" / f"{language}-mask")
    for factor in (1, 2, 4, 8, 16, 32):
        make_ranking(tiny_base, 100 + factor).save(folder / "ranking" / f"en-rf{factor}")
        ranking_mask(tiny_base, 200 + factor).save(folder / "ranking" / f"en-rf{factor}-mask")
    make_ranking(tiny_base, 300, "full").save(folder / "ranking" / "monobert")
    return folder


def ranking_mask(base: Base, seed: int) -> Module:
    torch.manual_seed(seed)
    head = {PREFIX + name: value for name, value in RankingHead(HIDDEN).state_dict().items()}
    mask = make_mask(base, "en", seed, role="ranking")
    return changed_module(mask, {**mask.tensors, **head}, {"pooling": "cls"})


@pytest.fixture
def homes(tmp_path: Path, modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clef = write_clef_home(tmp_path / "clef")
    write_hc4_home(tmp_path / "hc4")
    monkeypatch.setenv("CLEF_HOME", str(clef))
    monkeypatch.setenv("HC4_HOME", str(tmp_path / "hc4"))
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("XLRANK_MODULES", str(modules))
    english = Collection("clef/2003").topics("en")
    (clef / "translations").mkdir()
    for language in ("sw", "so", "ky", "ug"):
        lines = [f"{topic.id}\t{topic.title}\t{topic.description}\n" for topic in english]
        (clef / "translations" / f"{language}-en.tsv").write_text("".join(lines), encoding="utf-8")


def tiny(name: str, base: Base) -> Experiment:
    """The experiment as it is shipped, but for the base, and the bi-encoder that is made of the same weights."""
    experiment, _ = read_experiment(PAPER / f"{name}.yaml")
    changes: dict[str, object] = {"base": base.name, "precision": "fp32", "budget": {"latency_topics": 0, "topics": 6}}
    if experiment.first_stage.startswith("dense("):
        changes["first_stage"] = "dense"
    layers = tuple(system for system in experiment.systems if not system.name.startswith("drop-") or system.x == 1)
    return Experiment.model_validate(experiment.model_dump() | changes | {"systems": layers})


@pytest.mark.parametrize(("name", "pairs"), [("table1", 14), ("table2", 7), ("table3", 8)])
def test_the_tables_run_on_all_their_pairs(name: str, pairs: int, homes: None, tiny_base: Base, tmp_path: Path) -> None:
    experiment = tiny(name, tiny_base)
    results = run_experiment(experiment, tmp_path / "out", silent)
    rows = results["rows"]
    assert len(rows) == pairs * len(experiment.systems)
    for row in rows:
        assert (tmp_path / "out" / row["run"]).is_file()
        assert 0 <= row["metrics"]["map"] <= 1
        assert (row["comparison"] is None) == (row["system"] == "monobert")
    first = [row for row in rows if row["system"] == "first"]
    assert sum(row["metrics"]["recall@100"] for row in first) / pairs > 0.5, "the first stage finds hardly anything"
    published = {(row["system"], f"{row['language']}-{row['documents']}") for row in rows if row["published"]}
    assert bool(published) == (name != "table3"), "what is known of the paper stands beside ours, nothing else does"


def test_published_figures_stand_beside_the_rows_they_belong_to(homes: None, tiny_base: Base, tmp_path: Path) -> None:
    experiment = tiny("table1", tiny_base).narrowed(["tr"], ["first", "monobert", "split", "lm-both"])
    rows = run_experiment(experiment, tmp_path / "out", silent)["rows"]
    values = {row["system"]: row["published"] and row["published"]["value"] for row in rows if row["documents"] == "en"}
    assert values["monobert"] == 0.235
    assert values["split"] == 0.269
    assert values["lm-both"] == 0.229


@pytest.mark.parametrize("name", ["reduction-factors", "ablations"])
def test_the_curves_run(name: str, homes: None, tiny_base: Base, tmp_path: Path) -> None:
    experiment = tiny(name, tiny_base).narrowed(["fi"])
    rows = run_experiment(experiment, tmp_path / "out", silent)["rows"]
    assert len(rows) == 2 * len(experiment.systems)
    curve = {(row["series"], row["x"]) for row in rows if row["series"]}
    assert len(curve) == (12 if name == "reduction-factors" else 1)


def test_without_data_and_modules_everything_missing_is_named(
    tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CLEF_HOME", "HC4_HOME", "IR_DATASETS_HOME", "XLRANK_MODULES"):
        monkeypatch.setenv(name, str(tmp_path / name))
    path = PAPER / "table2.yaml"
    experiment, lines = read_experiment(path)
    with pytest.raises(XlrankError) as caught:
        check(experiment.model_copy(update={"base": tiny_base.name}), lambda place: f"{path.name}, line {lines.line(place)}: ")
    said = str(caught.value)
    assert all(line.startswith("table2.yaml, line ") for line in said.splitlines())
    for part in ("ELRA-E0008", "github.com/hltcoe/HC4", str(tmp_path / "CLEF_HOME"), str(tmp_path / "HC4_HOME")):
        assert part in said
