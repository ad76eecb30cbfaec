"""What one side of a composition goes through when query and document are encoded apart, and how the two sides meet."""

import pytest
import torch

from tests.conftest import (
    changed_module,
    composed_states,
    make_adapter,
    make_batch,
    make_late_ranking,
    make_lora,
    make_mask,
    make_ranking,
)
from xlrank.bases import Base
from xlrank.composition import Composition, Leaf, Stack, average, late, parse, split
from xlrank.composition.expression import Plain, StandIn
from xlrank.composition.rules import check_rules, check_sides
from xlrank.composition.sides import NOTHING, meeting_of, side_of
from xlrank.errors import XlrankError
from xlrank.modules import Module

PAIRS = [("дарыя", "the river and the bridge"), ("мектеп жана суу", "a school"), ("кыш", "the winter market")]


def expected(text: str) -> Composition:
    """A side as it is written; nothing is the plain base."""
    if not text:
        return NOTHING
    found = parse(text)
    return found.stages()[0] if len(found.stages()) == 1 else found


@pytest.mark.parametrize(
    ("composition", "query", "document"),
    [
        ("rank", "rank", "rank"),
        ("ky+rank", "ky+rank", "ky+rank"),
        ("query+rank", "query+rank", "query+rank"),
        ("split(ky,en)", "ky", "en"),
        ("split(ky,en)+rank", "ky+rank", "en+rank"),
        ("split(query,document)+rank", "query+rank", "document+rank"),
        ("split(ky,en)+split(a,b)+rank", "ky+a+rank", "en+b+rank"),
        ("split(split(ky,tr),en)+rank", "ky+rank", "en+rank"),
        ("split(ky,none)+rank", "ky+rank", "rank"),
        ("split(none,ky)+rank", "rank", "ky+rank"),
        ("split(none,none)", "", ""),
        ("none+rank", "rank", "rank"),
        ("none", "", ""),
        ("both(ky,en)+rank", "both(ky,en)+rank", "both(ky,en)+rank"),
        ("both(ky,none)+rank", "ky+rank", "ky+rank"),
        ("both(none,ky)+rank", "ky+rank", "ky+rank"),
        ("both(none,none)+rank", "rank", "rank"),
        ("average(ky,tr)+rank", "average(ky,tr)+rank", "average(ky,tr)+rank"),
        ("average(ky,split(tr,en))+rank", "average(ky,tr)+rank", "average(ky,en)+rank"),
        ("split(average(ky,tr),en)+rank", "average(ky,tr)+rank", "en+rank"),
        ("scale(split(ky,en),0.5)+rank", "scale(ky,0.5)+rank", "scale(en,0.5)+rank"),
        ("scale(split(ky,none),0.5)+rank", "scale(ky,0.5)+rank", "rank"),
        ("subtract(ky,en)+rank", "subtract(ky,en)+rank", "subtract(ky,en)+rank"),
        ("subtract(split(ky,tr),en)", "subtract(ky,en)", "subtract(tr,en)"),
        ("drop(split(ky,en)+rank,0,1)", "drop(ky+rank,0,1)", "drop(en+rank,0,1)"),
        ("drop(split(ky,none),0)+rank", "drop(ky,0)+rank", "rank"),
        ("noinv(split(ky,none))+rank", "noinv(ky)+rank", "rank"),
        ("split(noinv(ky),en)+rank", "noinv(ky)+rank", "en+rank"),
        ("split(ug~ky,en)+rank", "ug~ky+rank", "en+rank"),
        ("split(ug~average(ky,tr),none)+rank", "ug~average(ky,tr)+rank", "rank"),
        ("split(ug~none,en)+rank", "rank", "en+rank"),
        ("late()", "", ""),
        ("split(ky,en)+late()", "ky", "en"),
        ("split(ky,none)+late()", "ky", ""),
        ("split(ky,en)+late()+rank", "ky+rank", "en+rank"),
    ],
)
def test_what_a_side_goes_through(composition: str, query: str, document: str) -> None:
    assert side_of(parse(composition), "query") == expected(query)
    assert side_of(parse(composition), "document") == expected(document)


def test_the_pivot_is_plain_on_its_side(tiny_base: Base) -> None:
    ky, rank = make_adapter(tiny_base, "ky", 1), make_late_ranking(tiny_base, 2)
    composition = Stack((split(query=ky, document=Plain("en")), Leaf("rank", rank)))
    assert str(composition) == "split(language/ky,en)+rank"
    assert side_of(composition, "query") == ky + Leaf("rank", rank)
    assert side_of(composition, "document") == Leaf("rank", rank)
    assert side_of(StandIn("fy", Plain("en")), "document") == NOTHING


@pytest.mark.parametrize(
    ("text", "side", "node"),
    [
        ("average(ky,none)+rank", "query", "average(ky,none)"),
        ("average(ky,split(tr,none))+rank", "document", "average(ky,split(tr,none))"),
        ("subtract(ky,none)+rank", "query", "subtract(ky,none)"),
        ("subtract(none,ky)+rank", "document", "subtract(none,ky)"),
    ],
)
def test_a_mean_or_difference_with_nothing_is_refused(text: str, side: str, node: str) -> None:
    with pytest.raises(XlrankError) as caught:
        side_of(parse(text), side)  # type: ignore[arg-type]
    assert str(caught.value) == f"composition: {node} mixes a module with none; leave the plain part out"


def test_how_the_sides_meet(tiny_base: Base) -> None:
    ky, cross, ranking = make_adapter(tiny_base, "ky", 1), make_ranking(tiny_base, 2), make_late_ranking(tiny_base, 3)
    other = changed_module(ranking, ranking.tensors, {"late": {"pooled": 0.5}}, name="other")
    assert meeting_of(parse("query+none")) is None
    assert meeting_of(Stack((Leaf("ky", ky),))) is None
    for composition, interaction, module in (
        (ky + cross, "cross", cross),
        (ky + ranking, "late", ranking),
        (split(query="query", document="none") + ranking, "late", ranking),
        (average(cross, cross) + ky, "cross", cross),
        (ranking + other, "late", other),
        (split(query=ranking, document="none") + ky, "late", ranking),
        (late(), "late", None),
        (ky + late(), "late", None),
        (ranking + late(), "late", ranking),
        (late() + ranking, "late", ranking),
    ):
        found = meeting_of(composition)
        assert found is not None
        assert (found.interaction, found.module) == (interaction, module)


def test_a_cross_encoders_module_beside_a_late_one_is_refused(tiny_base: Base) -> None:
    cross, ranking = make_ranking(tiny_base, 2), make_late_ranking(tiny_base, 3)
    for composition in (cross + ranking, ranking + cross, split(query="none", document=cross) + ranking):
        with pytest.raises(XlrankError) as caught:
            meeting_of(composition)
        assert str(caught.value) == (
            f"composition {composition}: ranking/late is for late interaction, ranking/en for a cross-encoder; use one of them"
        )
    with pytest.raises(XlrankError, match=r"late\(\) is for late interaction, ranking/en for a cross-encoder; use one of them$"):
        check_sides(cross + late())


def test_nothing_that_ranks_is_refused(tiny_base: Base) -> None:
    ky = Leaf("ky", make_adapter(tiny_base, "ky", 1))
    check_sides(ky)
    with pytest.raises(XlrankError) as caught:
        check_rules(ky)
    assert str(caught.value) == "composition 'ky': it needs a ranking module to give scores, e.g. ky+rank, or late()"
    check_rules(ky + late())


def test_reference_mode_is_refused_for_late_interaction(tiny_base: Base) -> None:
    ky, ranking = make_adapter(tiny_base, "ky", 1), make_late_ranking(tiny_base, 3)
    for composition, name in ((ky + ranking, "ranking/late"), (ky + late(), "late()")):
        check_rules(composition)
        with pytest.raises(XlrankError) as caught:
            check_rules(composition, reference=True)
        assert str(caught.value) == (
            f"reference mode repeats quirks of the original's cross-encoder; {name} is late interaction, which the original does "
            "not have: leave reference out, or use a cross-encoder's ranking module"
        )


def test_each_side_is_planned_alone(tiny_base: Base) -> None:
    ky, ranking = make_adapter(tiny_base, "ky", 1), make_late_ranking(tiny_base, 3)
    mask = make_mask(tiny_base, "ky", 4)
    for composition in (split(query=ky, document=mask) + ranking, split(query=mask, document=mask) + ranking):
        check_rules(composition)  # each side is encoded with weights of its own
    for composition, problem in (
        (split(query="none", document=ranking) + ky, "put it lowest"),
        (split(query="none", document=average(ky, mask)) + ranking, "the modules must be of one kind"),
    ):
        with pytest.raises(XlrankError, match=problem):
            check_rules(composition)


def test_a_plain_pivot_is_refused_in_a_cross_encoder_and_none_is_not(tiny_base: Base) -> None:
    ky, cross = make_adapter(tiny_base, "ky", 1), make_ranking(tiny_base, 2)
    check_rules(split(query=ky, document="none") + cross)
    check_rules(split(query=ky, document=Plain("en")) + make_late_ranking(tiny_base, 3))
    for plain in (Plain("en"), StandIn("fy", Plain("en"))):
        composition = split(query=ky, document=plain) + cross
        with pytest.raises(XlrankError) as caught:
            check_rules(composition)
        assert str(caught.value) == (
            f"composition {composition}: en is plain for late interaction only, since the shipped language modules were aligned "
            "with it; a cross-encoder needs a module of en: name one, or write none to leave it out"
        )


def test_none_on_one_side_of_a_cross_encoder_is_the_other_sides_adapter_alone(tiny_base: Base) -> None:
    ky, cross = make_adapter(tiny_base, "ky", 1), make_ranking(tiny_base, 2)
    # Without a way up, an adapter changes nothing.
    nothing = _silent(make_adapter(tiny_base, "en", 3, invertible=False))
    for one, other in (
        (split(query=ky, document="none"), split(query=ky, document=nothing)),
        (split(query="none", document=ky), split(query=nothing, document=ky)),
    ):
        found = composed_states(tiny_base, one + cross, PAIRS)
        mask = make_batch(tiny_base, PAIRS).attention_mask == 1
        torch.testing.assert_close(found[mask], composed_states(tiny_base, other + cross, PAIRS)[mask], atol=1e-5, rtol=0)
        assert (found - composed_states(tiny_base, ky + cross, PAIRS)).abs().max() > 0.1
        assert (found - composed_states(tiny_base, Stack((Leaf("rank", cross),)), PAIRS)).abs().max() > 0.1


def test_none_on_one_side_leaves_loras_to_the_other(tiny_base: Base) -> None:
    ky = make_lora(tiny_base, "ky", 1)
    nothing = changed_module(ky, {n: t * 0 for n, t in ky.tensors.items()})
    found = composed_states(tiny_base, split(query=ky, document="none"), PAIRS)
    torch.testing.assert_close(found, composed_states(tiny_base, split(query=ky, document=nothing), PAIRS), atol=1e-5, rtol=0)
    assert (found - composed_states(tiny_base, Stack((Leaf("ky", ky),)), PAIRS)).abs().max() > 0.1


def _silent(adapter: Module) -> Module:
    """The adapter with a way up of zeros."""
    return changed_module(adapter, {n: t * 0 if ".up." in n else t for n, t in adapter.tensors.items()})
