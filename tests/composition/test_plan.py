"""What a composition asks of an encoder, sorted by how it takes effect, and what has no meaning."""

import re
from dataclasses import replace

import pytest

from tests.conftest import changed_module, make_adapter, make_head, make_lora, make_mask, make_ranking
from xlrank.bases import Base
from xlrank.composition import Composition, Leaf, Stack, average, both, drop, parse, scale, split, subtract, without_invertible
from xlrank.composition.expression import as_composition
from xlrank.composition.functions import Part
from xlrank.composition.plan import Plan, plan
from xlrank.composition.rules import check_rules
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.arithmetic import averaged, scaled, subtracted

Modules = dict[str, Module]


@pytest.fixture
def modules(tiny_base: Base) -> Modules:
    full = make_ranking(tiny_base, 9, "full")
    made = {
        "ky": make_adapter(tiny_base, "ky", 1),
        "en": make_adapter(tiny_base, "en", 2),
        "plain": make_adapter(tiny_base, "tr", 3, invertible=False),
        "rank": make_ranking(tiny_base, 4),
        "mask": make_mask(tiny_base, "ky", 5),
        "mask2": make_mask(tiny_base, "en", 6),
        "lora": make_lora(tiny_base, "ky", 7),
        "lora2": make_lora(tiny_base, "en", 8),
        "full": full,
        "absolute": changed_module(full, full.tensors, {"values": "absolute"}),
        "head": make_head(tiny_base, 10),
    }
    return {name: changed_module(module, module.tensors, name=name) for name, module in made.items()}


def composition(text: str, modules: Modules) -> Composition:
    """The expression with its leaves resolved to the fixture's modules."""
    return parse(text).resolve(lambda name: Leaf(name, modules[name]))


def planned(text: str, modules: Modules, *, reference: bool = False) -> Plan:
    return plan(composition(text, modules), reference=reference)


def names(result: Plan) -> dict[str, list[str]]:
    """The plan's parts by name, the sides of a stage joined."""
    stages = {name: ["|".join(part.module.name for part in stage) for stage in getattr(result, name)] for name in STAGED}
    return {name: found for name, found in {"edits": [m.name for m in result.edits], **stages}.items() if found}


STAGED = ("adapters", "updates")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rank", {"adapters": ["rank"]}),
        ("ky+rank", {"adapters": ["ky", "rank"]}),
        ("split(ky,en)+rank", {"adapters": ["ky|en", "rank"]}),
        ("ky+split(plain,rank)", {"adapters": ["ky", "plain|rank"]}),
        ("mask+rank", {"edits": ["mask"], "adapters": ["rank"]}),
        ("lora+rank", {"edits": ["lora"], "adapters": ["rank"]}),
        ("ky+full", {"edits": ["full"], "adapters": ["ky"]}),
        ("full+rank", {"edits": ["full"], "adapters": ["rank"]}),
        ("full+full", {"edits": ["full", "full"]}),
        ("absolute+mask+lora", {"edits": ["absolute", "mask", "lora"]}),
        ("ky+absolute", {"edits": ["absolute"], "adapters": ["ky"]}),
        ("split(lora,lora2)+rank", {"updates": ["lora|lora2"], "adapters": ["rank"]}),
        (
            "mask+split(lora,lora2)+split(ky,en)+rank+full",
            {"edits": ["mask", "full"], "adapters": ["ky|en", "rank"], "updates": ["lora|lora2"]},
        ),
        ("both(mask,mask2)+rank", {"edits": ["mask", "mask2"], "adapters": ["rank"]}),
        ("both(lora,mask)", {"edits": ["lora", "mask"]}),
        ("both(mask,mask)+rank", {"edits": ["mask"], "adapters": ["rank"]}),
        ("mask+mask", {"edits": ["mask", "mask"]}),
        ("average(ky,en)+rank", {"adapters": ["average(ky,en)", "rank"]}),
        ("split(average(ky,en),scale(en,0.5))+rank", {"adapters": ["average(ky,en)|scale(en,0.5)", "rank"]}),
        ("subtract(mask,mask2)", {"edits": ["subtract(mask,mask2)"]}),
        ("scale(average(lora,lora2),2)", {"edits": ["scale(average(lora,lora2),2)"]}),
        ("both(scale(mask,2),mask)", {"edits": ["scale(mask,2)", "mask"]}),
        ("noinv(ky+rank)", {"adapters": ["ky", "rank"]}),
        ("noinv(mask)", {"edits": ["mask"]}),
        ("scale(ky+rank,2)", {"adapters": ["scale(ky,2)", "scale(rank,2)"]}),
        ("scale(split(ky,en),0.5)", {"adapters": ["scale(ky,0.5)|scale(en,0.5)"]}),
        ("scale(both(mask,mask2),2)", {"edits": ["scale(mask,2)", "scale(mask2,2)"]}),
    ],
)
def test_stages_are_sorted_by_how_they_take_effect(text: str, expected: dict[str, list[str]], modules: Modules) -> None:
    assert names(planned(text, modules)) == expected


def test_all_modules_are_listed_in_order(modules: Modules) -> None:
    found = planned("mask+split(lora,lora2)+split(ky,en)+rank", modules).modules
    assert [module.name for module in found] == ["mask", "lora", "lora2", "ky", "en", "rank"]
    assert [module.name for module in planned("both(mask,mask)+rank", modules).modules] == ["mask", "rank"]


def test_one_mask_on_both_sides_counts_twice_only_as_in_the_original(modules: Modules) -> None:
    assert names(planned("both(mask,mask)", modules, reference=True)) == {"edits": ["mask", "mask"]}
    assert names(planned("both(mask,mask2)", modules, reference=True)) == {"edits": ["mask", "mask2"]}
    renamed = changed_module(modules["mask"], modules["mask"].tensors, name="renamed")
    assert len(plan(both(query=modules["mask"], document=renamed)).edits) == 1, "modules are equal by content"


def test_arithmetic_makes_one_module(modules: Modules) -> None:
    ky, en, mask, mask2 = (modules[name] for name in ("ky", "en", "mask", "mask2"))
    for node, expected in (
        (average(ky, en), averaged([ky, en])),
        (scale(ky, -0.25), scaled(ky, -0.25)),
        (subtract(mask, mask2), subtracted(mask, mask2)),
        (subtract(average(mask, mask2), scale(mask, 3)), subtracted(averaged([mask, mask2]), scaled(mask, 3))),
    ):
        assert plan(node).modules == [expected]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ky", [(True, set())]),
        ("noinv(ky)", [(False, set())]),
        ("drop(ky,0)", [(True, {0})]),
        ("drop(drop(ky,1),0,1)", [(True, {0, 1})]),
        ("noinv(drop(ky,1))", [(False, {1})]),
        ("drop(noinv(ky),1)", [(False, {1})]),
        ("scale(drop(noinv(ky),1),2)", [(False, {1})]),
        ("split(noinv(ky),drop(en,0))", [(False, set()), (True, {0})]),
        ("drop(split(ky,noinv(en)),1)", [(True, {1}), (False, {1})]),
        ("noinv(split(ky,en))", [(False, set()), (False, set())]),
        ("noinv(average(ky,en))", [(False, set())]),
        ("average(noinv(ky),noinv(en))", [(False, set())]),
        ("average(drop(ky,0),drop(en,0))", [(True, {0})]),
    ],
)
def test_what_is_left_out(text: str, parts: list[tuple[bool, set[int]]], modules: Modules) -> None:
    found = [part for part in planned(text, modules).adapters[0] if part is not None]
    assert [(part.invertible, set(part.dropped)) for part in found] == parts


def test_dropping_from_a_stack_drops_from_every_stage(modules: Modules) -> None:
    def dropped(text: str) -> list[frozenset[int]]:
        return [part.dropped for stage in planned(text, modules).adapters for part in stage if part is not None]

    assert dropped("drop(ky+rank,1)") == [{1}, {1}]
    assert dropped("ky+drop(rank,1)") == [set(), {1}]


def test_functions_build_what_expressions_parse_to(modules: Modules) -> None:
    ky, en, mask, mask2, rank = (modules[name] for name in ("ky", "en", "mask", "mask2", "rank"))
    for built, text in (
        (split(query=without_invertible(ky), document=drop(en, 0, 1)) + rank, "split(noinv(ky),drop(en,0,1))+rank"),
        (both(query=mask, document=mask2) + rank, "both(mask,mask2)+rank"),
        (average(ky, en) + rank, "average(ky,en)+rank"),
        (subtract(mask, scale(mask2, 0.5)) + rank, "subtract(mask,scale(mask2,0.5))+rank"),
    ):
        assert str(built) == text
        assert built == composition(text, modules)
        assert plan(built) == planned(text, modules)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("head", "composition head: 'head' is a head, which changes no layer; leave it out"),
        ("ky+head", "composition ky+head: 'head' is a head, which changes no layer; leave it out"),
        ("split(ky,mask)", "composition split(ky,mask): the two sides of a split must be of one kind, they are ['adapter', "),
        ("split(full,lora)", "the two sides of a split must be of one kind, they are ['full', 'lora']"),
        (
            "split(mask,mask2)",
            "a split needs adapters or LoRAs; a mask module changes the weights that all tokens share (both(…)",
        ),
        ("split(full,full)", "a split needs adapters or LoRAs; a full module changes the weights that all tokens share"),
        ("both(ky,en)", "both(ky,en): only masks and LoRAs can be added up; adapters of two languages are combined by split(…)"),
        ("both(full,mask)", "both(full,mask): only masks and LoRAs can be added up"),
        ("rank+ky", "composition: 'ky' has an invertible adapter, which works on the embeddings; put it lowest"),
        ("noinv(ky)+en", "composition: 'en' has an invertible adapter, which works on the embeddings; put it lowest"),
        ("ky+split(plain,en)", "composition: 'en' has an invertible adapter"),
        ("mask+absolute", "composition: 'absolute' replaces the encoder's weights and would undo 'mask' below it"),
        ("full+absolute", "composition: 'absolute' replaces the encoder's weights and would undo 'full' below it"),
        ("drop(mask,0)", "drop(mask,0): only adapters can be left out of single layers, 'mask' is a mask module"),
        ("drop(split(lora,lora2),1)+rank", "'lora' is a lora module"),
        ("drop(ky+full,0)", "'full' is a full module"),
        ("split(split(ky,en),plain)", "composition: split(ky,en) stands where one module is needed"),
        ("split(ky+en,plain)", "composition: ky+en stands where one module is needed"),
        ("both(both(mask,mask2),mask)", "composition: both(mask,mask2) stands where one module is needed"),
        ("average(split(ky,en),plain)", "composition: split(ky,en) stands where one module is needed"),
        ("subtract(ky,en)", "subtract(ky,en): only masks and LoRAs are differences to a base; these are adapter and adapter"),
        ("average(ky,plain)", "average(ky,plain): adapters must have the same configuration to have a mean"),
        ("average(mask,lora)", "average(mask,lora): the modules must be of one kind and one base"),
        ("average(full,full)", "full modules have no mean here; expected adapters, masks or LoRAs"),
        ("scale(full,0.5)", "scale: 'full' is a full module; expected an adapter, a mask or a LoRA"),
        ("scale(mask,nan)", "scale: the factor of 'mask' is nan; expected a finite number"),
        ("average(noinv(ky),en)", "average(noinv(ky),en): noinv and drop must hold for all parts alike; put them around it"),
        ("average(drop(ky,0),drop(en,1))", "average(drop(ky,0),drop(en,1)): noinv and drop must hold for all parts alike"),
    ],
)
def test_what_has_no_meaning_is_refused(text: str, problem: str, modules: Modules) -> None:
    with pytest.raises(XlrankError, match=re.escape(problem)) as caught:
        planned(text, modules)
    assert "\n" not in str(caught.value)


def test_the_original_takes_invertible_adapters_anywhere(modules: Modules) -> None:
    assert names(planned("rank+ky", modules, reference=True)) == {"adapters": ["rank", "ky"]}


def test_without_its_invertible_block_an_adapter_stands_anywhere(modules: Modules) -> None:
    assert names(planned("rank+noinv(ky)", modules)) == {"adapters": ["rank", "ky"]}
    assert names(planned("mask+ky+rank", modules))["adapters"] == ["ky", "rank"], "a mask is no stage of adapters"


def test_leaves_must_be_resolved() -> None:
    with pytest.raises(XlrankError, match="'ky' was not resolved to a module"):
        plan(parse("ky+rank"))


def test_an_empty_stack_asks_nothing() -> None:
    assert plan(Stack(())) == Plan(Stack(()))


def test_parts_are_values(modules: Modules) -> None:
    part = Part(modules["ky"])
    assert replace(part, invertible=False) == planned("noinv(ky)", modules).adapters[0][0]
    assert len({part, Part(modules["ky"]), Part(modules["en"])}) == 2


@pytest.mark.parametrize(
    "text", ["rank", "ky+rank", "split(ky,en)+rank", "full", "mask+rank", "rank+plain", "average(rank,rank)"]
)
def test_compositions_that_score(text: str, modules: Modules) -> None:
    check_rules(composition(text, modules))


@pytest.mark.parametrize("text", ["ky", "split(ky,en)", "mask+lora", "average(ky,en)"])
def test_a_ranking_module_must_be_in_it(text: str, modules: Modules) -> None:
    with pytest.raises(
        XlrankError, match=re.escape(f"composition {text!r}: it needs a ranking module to give scores, e.g. {text}+rank")
    ):
        check_rules(composition(text, modules))


def test_the_rules_refuse_what_has_no_meaning(modules: Modules) -> None:
    with pytest.raises(XlrankError, match="the two sides of a split must be of one kind"):
        check_rules(composition("split(full,ky)+rank", modules))
    with pytest.raises(XlrankError, match="needs a ranking module"):
        check_rules(as_composition(modules["ky"]))
