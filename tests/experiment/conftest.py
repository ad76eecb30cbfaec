"""A plan on the small collection, with modules for a tiny base."""

from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from tests.experiment.plans import RANKERS, Options
from xlrank.bases import Base


@pytest.fixture(scope="module")
def modules(tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("modules")
    made = {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "tr", "en", "de"))}
    made |= {"cross": make_ranking(tiny_base, 8), "monobert": make_ranking(tiny_base, 9, "full")}
    return {name: str(module.save(folder / name)) for name, module in made.items()}


@pytest.fixture
def plan(
    small_collection: Path, tiny_bert_folder: Path, modules: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Options:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    return {
        "collection": f"folder:{small_collection}",
        "base": str(tiny_bert_folder),
        "precision": "fp32",
        "modules": modules,
        "systems": ["dense", *RANKERS],
        "depth": 4,
        "budget": {"latency_topics": 1},
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
