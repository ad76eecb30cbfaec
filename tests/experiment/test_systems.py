"""Systems by name and by expression, and lists of them."""

import pytest

from xlrank.experiment.model import System
from xlrank.experiment.systems import DEFAULT_SYSTEMS, split_systems


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("bm25", {"label": "translated query + BM25", "retrieve": "bm25"}),
        (" dense ", {"name": "dense", "label": "dense retrieval", "retrieve": "dense"}),
        ("first", {"retrieve": "first"}),
        ("monobert", {"label": "monoBERT", "compose": "monobert"}),
        ("split", {"label": "RA + LA^Split", "compose": "split(query,document)+cross"}),
        ("split( ky , query ) + rank", {"name": "split(ky,query)+rank", "compose": "split(ky,query)+rank"}),
        ("rrf( dense ,bm25(psq) )", {"name": "rrf(dense, bm25(psq))", "retrieve": "rrf(dense, bm25(psq))"}),
        ("dense(max_length=64)", {"retrieve": "dense(max_length=64)"}),
        ("ens(split)", {"name": "ens(split)", "ensemble": ("first", "split")}),
        ("ens(dense, split(ky,en)+rank)", {"ensemble": ("dense", "split(ky,en)+rank")}),
    ],
)
def test_systems_from_text(text: str, fields: dict[str, object]) -> None:
    system = System.model_validate(text)
    assert {name: getattr(system, name) for name in fields} == fields
    assert sum(map(bool, (system.compose, system.retrieve, system.ensemble))) == 1


@pytest.mark.parametrize("name", ["", "split(ky", "dense,split", "a b"])
def test_what_is_neither_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not one of bm25, psq, dense") as caught:
        System.model_validate(name)
    assert repr(name) in str(caught.value)


def test_a_system_is_made_in_one_way() -> None:
    with pytest.raises(ValueError, match="got compose and retrieve"):
        System(name="a", compose="rank", retrieve="dense")
    with pytest.raises(ValueError, match="got none"):
        System(name="a")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("dense", ["dense"]),
        ("dense, split ,,query", ["dense", "split", "query"]),
        ("split(ky,en)+rank,both(a,average(b,c)),bm25", ["split(ky,en)+rank", "both(a,average(b,c))", "bm25"]),
        ("", []),
    ],
)
def test_lists_of_systems(text: str, names: list[str]) -> None:
    assert split_systems(text) == names


def test_the_default_systems_are_known() -> None:
    assert [System.model_validate(name).name for name in DEFAULT_SYSTEMS] == list(DEFAULT_SYSTEMS)
