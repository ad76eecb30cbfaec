"""What a composition does, as text: the same for compositions that act alike, another for all others."""

import itertools

import pytest

from tests.conftest import changed_module, make_adapter, make_late_ranking
from xlrank.bases import Base
from xlrank.composition import Composition, Leaf, Stack, average, drop, late, parse, scale, split, without_invertible
from xlrank.composition.expression import Plain, StandIn
from xlrank.composition.identity import identity_of
from xlrank.composition.sides import NOTHING
from xlrank.errors import XlrankError


def test_names_do_not_matter(tiny_base: Base) -> None:
    ky, rank = make_adapter(tiny_base, "ky", 1), make_late_ranking(tiny_base, 2)
    copy = changed_module(ky, ky.tensors, name="my/copy")
    for one, other in (
        (ky + rank, copy + rank),
        (Leaf("ky", ky), Leaf("kyrgyz", copy)),
        (Leaf("ky", ky), StandIn("ug", Leaf("ky", copy))),
        (split(query=ky, document="none"), split(query=copy, document=Plain("en"))),
        (split(query=ky, document=Plain("en")), split(query=copy, document=StandIn("fy", Plain("en")))),
        (scale(ky, 0.5), scale(copy, 0.50)),
    ):
        assert identity_of(one) == identity_of(other)
    assert identity_of(ky + rank) == f"{ky.digest}+{rank.digest}"


def test_all_that_acts_differently_differs(tiny_base: Base) -> None:
    ky, tr, rank = make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "tr", 2), make_late_ranking(tiny_base, 3)
    pooled = changed_module(rank, rank.tensors, {"late": {**rank.config["late"], "pooled": 0.5}})
    different: list[Composition] = [
        NOTHING,
        late(),
        Stack((Leaf("ky", ky),)),
        Leaf("tr", tr),
        ky + tr,
        tr + ky,
        split(query=ky, document=tr),
        split(query=tr, document=ky),
        split(query=ky, document="none"),
        split(query="none", document=ky),
        average(ky, tr),
        scale(ky, 0.5),
        scale(ky, 0.25),
        without_invertible(ky),
        drop(ky, 0),
        drop(ky, 1),
        drop(ky, 0, 1),
        ky + late(),
        ky + rank,
        ky + pooled,
    ]
    for one, other in itertools.combinations(different, 2):
        assert identity_of(one) != identity_of(other), (str(one), str(other))


def test_what_was_not_resolved_has_none() -> None:
    with pytest.raises(XlrankError, match="'ky' was not resolved to a module"):
        identity_of(parse("split(ky,none)+late()"))
