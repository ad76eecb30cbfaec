"""Systems by name and by expression, and lists of them."""

from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.experiment.systems import DEFAULT_SYSTEMS, System, split_systems, system


@pytest.fixture
def modules(tiny_base: Base, tmp_path: Path) -> dict[str, str]:
    made = {"ky": make_adapter(tiny_base, "ky", 1), "en": make_adapter(tiny_base, "en", 2), "rank": make_ranking(tiny_base, 3)}
    made["monobert"] = make_ranking(tiny_base, 4, "full")
    return {name: str(module.save(tmp_path / name)) for name, module in made.items()}


@pytest.mark.parametrize("name", ["bm25", "dense"])
def test_first_stages_have_no_composition(name: str) -> None:
    assert system(f" {name} ").template is None
    with pytest.raises(XlrankError, match=f"system '{name}' is a first stage and has no composition"):
        system(name).composition("ky", "en")


@pytest.mark.parametrize(
    ("name", "label", "composition"),
    [
        ("monobert", "monoBERT", "monobert"),
        ("query", "RA + LA^Query", "ky+rank"),
        ("document", "RA + LA^Doc", "en+rank"),
        ("split", "RA + LA^Split", "split(ky,en)+rank"),
        ("split( ky , query ) + rank", "split(ky,query)+rank", "split(ky,ky)+rank"),
        ("rank", "rank", "rank"),
    ],
)
def test_rankers(name: str, label: str, composition: str, modules: dict[str, str]) -> None:
    assert system(name).label == label
    assert str(system(name).composition("ky", "en", modules)) == composition


def test_an_expression_is_its_own_name() -> None:
    assert system("query + rank") == System("query+rank", "query+rank", "query+rank")


@pytest.mark.parametrize("name", ["", "split(ky", "dense,split", "a b"])
def test_what_is_neither_is_refused(name: str) -> None:
    with pytest.raises(
        XlrankError, match=r"not one of bm25, dense, monobert, query, document, split, nor an expression"
    ) as caught:
        system(name)
    assert repr(name) in str(caught.value)


def test_a_module_that_is_missing_is_refused(modules: dict[str, str]) -> None:
    with pytest.raises(XlrankError, match="module 'nothing': no such folder"):
        system("nothing").composition("ky", "en", modules)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("dense", ["dense"]),
        (" dense, split ,", ["dense", "split"]),
        ("dense,split(ky,en)+rank,split(query, document)+rank", ["dense", "split(ky,en)+rank", "split(query, document)+rank"]),
    ],
)
def test_lists_of_systems(text: str, names: list[str]) -> None:
    assert split_systems(text) == names


def test_all_systems_are_known() -> None:
    assert [system(name).name for name in DEFAULT_SYSTEMS] == ["bm25", "dense", "monobert", "query", "document", "split"]
