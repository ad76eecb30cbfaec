"""Means, factors and differences of modules against the same arithmetic on dense weights."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.conftest import (
    HIDDEN,
    LAYERS,
    MASKED,
    UPDATED,
    changed_module,
    make_adapter,
    make_head,
    make_lora,
    make_mask,
    make_ranking,
)
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import BaseReference, Module
from xlrank.modules.arithmetic import averaged, scaled, subtracted
from xlrank.modules.kinds.adapter.layers import Bottleneck, build_adapter
from xlrank.modules.weights import edited_parameters

OTHERS = (MASKED[0], MASKED[2], "encoder.layer.0.output.dense.weight")
"""Parameters of a mask that shares some with others."""


def differences(base: Base, module: Module) -> dict[str, Tensor]:
    """What a module adds to each of the base's parameters, dense and in double precision."""
    result = {name: torch.zeros(parameter.shape, dtype=torch.float64) for name, parameter in base.encoder.named_parameters()}
    for key, tensor in module.tensors.items():
        letter, _, name = key.partition(".")
        if letter == "index":
            result[name].view(-1)[tensor] = module.tensors[f"value.{name}"].double()
        elif letter == "A":
            scaling = module.config["scaling"]
            factor = scaling if isinstance(scaling, float) else scaling[name]
            result[f"{name}.weight"] = factor * module.tensors[f"B.{name}"].double() @ tensor.double()
    return result


def assert_differences(base: Base, module: Module, expected: Callable[[str], Tensor]) -> None:
    found = differences(base, module)
    for name, value in found.items():
        torch.testing.assert_close(value, expected(name), atol=1e-6, rtol=1e-5, msg=name)
    edited = edited_parameters([module], base)
    own = dict(base.encoder.named_parameters())
    for name, value in found.items():
        torch.testing.assert_close(edited.get(name, own[name]), own[name] + value.float(), atol=1e-5, rtol=1e-5, msg=name)


@pytest.fixture
def masks(tiny_base: Base) -> tuple[Module, Module, Module]:
    """Three masks whose parameters and positions overlap in part."""
    return make_mask(tiny_base, "ky", 1), make_mask(tiny_base, "en", 2, OTHERS), make_mask(tiny_base, "tr", 3, MASKED[:1])


@pytest.fixture
def loras(tiny_base: Base) -> tuple[Module, Module, Module]:
    """Three LoRAs of different ranks and scalings, one of them of other layers."""
    others = (UPDATED[0], "encoder.layer.1.intermediate.dense")
    return make_lora(tiny_base, "ky", 1), make_lora(tiny_base, "en", 2, 5, others), make_lora(tiny_base, "tr", 3, 1)


@pytest.mark.parametrize("factor", [0.5, -1.0, 0.0, 3])
@pytest.mark.parametrize("kind", ["masks", "loras"])
def test_scaled_differences(tiny_base: Base, kind: str, factor: float, request: pytest.FixtureRequest) -> None:
    module = request.getfixturevalue(kind)[0]
    one = differences(tiny_base, module)
    assert_differences(tiny_base, scaled(module, factor), lambda name: factor * one[name])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", ["masks", "loras"])
def test_the_mean_of_differences(tiny_base: Base, kind: str, count: int, request: pytest.FixtureRequest) -> None:
    modules = request.getfixturevalue(kind)[:count]
    each = [differences(tiny_base, module) for module in modules]
    assert_differences(tiny_base, averaged(modules), lambda name: torch.stack([one[name] for one in each]).mean(0))


@pytest.mark.parametrize("kind", ["masks", "loras"])
def test_one_modules_differences_less_anothers(tiny_base: Base, kind: str, request: pytest.FixtureRequest) -> None:
    module, less, _ = request.getfixturevalue(kind)
    one, other = differences(tiny_base, module), differences(tiny_base, less)
    assert_differences(tiny_base, subtracted(module, less), lambda name: one[name] - other[name])
    assert_differences(tiny_base, subtracted(module, module), lambda name: 0 * one[name])


def test_arithmetic_nests(tiny_base: Base, masks: tuple[Module, Module, Module], loras: tuple[Module, Module, Module]) -> None:
    for modules in (masks, loras):
        one, two, three = (differences(tiny_base, module) for module in modules)
        result = subtracted(averaged(modules[:2]), scaled(averaged(modules[1:]), 4))
        assert_differences(
            tiny_base,
            result,
            lambda name, one=one, two=two, three=three: (one[name] + two[name]) / 2 - 2 * (two[name] + three[name]),  # type: ignore[misc]
        )


def test_a_masks_positions_stay_sorted_and_distinct(masks: tuple[Module, Module, Module]) -> None:
    for result in (averaged(masks), subtracted(*masks[:2])):
        for name, index in result.tensors.items():
            if name.startswith("index."):
                assert index.tolist() == sorted(set(index.tolist()))
                assert len(index) == len(result.tensors["value." + name.removeprefix("index.")])


def test_half_precision_is_widened(tiny_base: Base, loras: tuple[Module, Module, Module]) -> None:
    halves = [changed_module(lora, {name: tensor.half() for name, tensor in lora.tensors.items()}) for lora in loras]
    assert {tensor.dtype for tensor in averaged(halves).tensors.values()} == {torch.float32}


def through(module: Module, x: Tensor) -> list[Tensor]:
    """What each bottleneck and the invertible block of an adapter add to x."""
    adapter = build_adapter(module, (HIDDEN, LAYERS))
    blocks = [adapter.at("layer", i) for i in range(LAYERS)]
    added = [block(x, x, torch.nn.Identity()) - x for block in blocks if isinstance(block, Bottleneck)]
    assert len(added) == LAYERS
    return added


@pytest.mark.parametrize("factor", [0.5, -2.0, 0.0])
def test_a_scaled_adapter_adds_as_much_more(tiny_base: Base, factor: float) -> None:
    module = make_ranking(tiny_base, 1)
    x = torch.randn(5, HIDDEN, generator=torch.Generator().manual_seed(1))
    for one, more in zip(through(module, x), through(scaled(module, factor), x), strict=True):
        torch.testing.assert_close(more, factor * one, atol=1e-5, rtol=1e-5)
    heads = [name for name in module.tensors if name.startswith("head.")]
    assert len(heads) == 4
    assert all(torch.equal(scaled(module, factor).tensors[name], module.tensors[name]) for name in heads)


def test_a_scaled_invertible_block_adds_as_much_more_and_stays_invertible(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    half = build_adapter(scaled(module, 0.5), (HIDDEN, LAYERS)).invertible
    whole = build_adapter(module, (HIDDEN, LAYERS)).invertible
    assert half is not None
    assert whole is not None
    x = torch.randn(5, HIDDEN, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(half.F(x[:, 16:]), 0.5 * whole.F(x[:, 16:]))
    torch.testing.assert_close(half.G(x[:, 16:]), 0.5 * whole.G(x[:, 16:]))
    torch.testing.assert_close(half.inverse(half(x)), x, atol=1e-5, rtol=0)
    nothing = build_adapter(scaled(module, 0), (HIDDEN, LAYERS)).invertible
    assert nothing is not None
    assert torch.equal(nothing(x), x)


def test_the_mean_of_adapters_is_that_of_their_weights(tiny_base: Base) -> None:
    modules = [make_ranking(tiny_base, seed) for seed in (1, 2, 3)]
    mean = averaged(modules)
    assert set(mean.tensors) == set(modules[0].tensors)
    for name, tensor in mean.tensors.items():
        torch.testing.assert_close(tensor, sum(module.tensors[name] for module in modules) / 3)
    assert averaged(modules[:1]).tensors.keys() == modules[0].tensors.keys()
    assert all(torch.equal(tensor, modules[0].tensors[name]) for name, tensor in averaged(modules[:1]).tensors.items())


def test_what_is_made_is_a_module_of_the_first_ones_kind(tiny_base: Base) -> None:
    ranking, language = (make_mask(tiny_base, "en", 1, role="ranking"), make_mask(tiny_base, "ky", 2))
    for made, name in (
        (scaled(ranking, 0.25), "scale(language/en,0.25)"),
        (averaged([ranking, language]), "average(language/en,language/ky)"),
        (subtracted(ranking, language), "subtract(language/en,language/ky)"),
    ):
        assert (made.name, made.kind, made.role, made.language, made.base) == (name, "mask", "ranking", "en", ranking.base)
        made.check_base(tiny_base)
    assert len({scaled(ranking, 0.25), scaled(ranking, 0.5), ranking}) == 3
    assert scaled(ranking, 1.0) == ranking


def test_the_operands_are_not_changed(tiny_base: Base, masks: tuple[Module, ...], loras: tuple[Module, ...]) -> None:
    adapters = (make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2))
    for modules in (masks, loras, adapters):
        before = [{name: tensor.clone() for name, tensor in module.tensors.items()} for module in modules]
        scaled(modules[0], 3.0)
        averaged(modules[:2])
        if modules is not adapters:
            subtracted(*modules[:2])
        for module, kept in zip(modules, before, strict=True):
            assert all(torch.equal(module.tensors[name], tensor) for name, tensor in kept.items())


def with_head(base: Base, module: Module, seed: int) -> Module:
    head = {name: tensor for name, tensor in make_ranking(base, seed).tensors.items() if name.startswith("head.")}
    return changed_module(module, {**module.tensors, **head}, {"pooling": "mean"}, role="ranking", name=f"ranking/{seed}")


@pytest.mark.parametrize("kind", ["masks", "loras"])
def test_heads_are_kept(tiny_base: Base, kind: str, request: pytest.FixtureRequest) -> None:
    plain, other, _ = request.getfixturevalue(kind)
    one, two = with_head(tiny_base, plain, 1), with_head(tiny_base, other, 2)
    names = [name for name in one.tensors if name.startswith("head.")]
    for made in (scaled(one, 0.5), subtracted(one, other), subtracted(one, two)):
        assert all(torch.equal(made.tensors[name], one.tensors[name]) for name in names)
        assert made.config["pooling"] == "mean"
    for name in names:
        torch.testing.assert_close(averaged([one, two]).tensors[name], (one.tensors[name] + two.tensors[name]) / 2)
    with pytest.raises(XlrankError, match=r"^average\(ranking/1,language/en\): the modules must carry the same heads"):
        averaged([one, other])


def test_what_cannot_be_scaled_is_refused(tiny_base: Base, masks: tuple[Module, ...]) -> None:
    with pytest.raises(XlrankError, match="scale: adapter 'language/ky' ends in a layer norm, which would undo the factor"):
        scaled(make_adapter(tiny_base, "ky", 1, ln_after=True), 0.5)
    for module, kind in ((make_ranking(tiny_base, 1, "full"), "full"), (make_head(tiny_base, 1), "head")):
        with pytest.raises(XlrankError, match=rf"scale: '{module.name}' is a {kind} module; expected an adapter, a mask or a"):
            scaled(module, 0.5)
    for factor in (float("nan"), float("inf")):
        with pytest.raises(XlrankError, match=f"scale: the factor of 'language/ky' is {factor}; expected a finite number"):
            scaled(masks[0], factor)


def test_what_has_no_mean_is_refused(tiny_base: Base, masks: tuple[Module, ...], loras: tuple[Module, ...]) -> None:
    with pytest.raises(
        XlrankError, match=r"^average\(language/ky,language/ky\): the modules must be of one kind .* mask of .*, lora of "
    ):
        averaged([masks[0], loras[0]])
    ky = make_adapter(tiny_base, "ky", 1)
    for other in (make_adapter(tiny_base, "en", 2, reduction_factor=4), make_adapter(tiny_base, "en", 2, non_linearity="gelu")):
        with pytest.raises(XlrankError, match=r"^average\(language/ky,language/en\): adapters must have the same configuration"):
            averaged([ky, other])
    with pytest.raises(XlrankError, match="full modules have no mean here; expected adapters, masks or LoRAs"):
        averaged([make_ranking(tiny_base, 1, "full"), make_ranking(tiny_base, 2, "full")])


def test_what_has_no_difference_is_refused(tiny_base: Base, masks: tuple[Module, ...], loras: tuple[Module, ...]) -> None:
    ky, en = make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2)
    for one, two, kinds in ((ky, en, "adapter and adapter"), (masks[0], loras[0], "mask and lora"), (masks[0], ky, "mask and")):
        with pytest.raises(XlrankError, match=rf"^subtract\(.*\): only masks and LoRAs are differences to a base; .* {kinds}"):
            subtracted(one, two)


@pytest.mark.parametrize("combine", [lambda one, two: averaged([one, two]), subtracted], ids=["average", "subtract"])
def test_modules_of_different_bases_do_not_combine(
    masks: tuple[Module, ...], combine: Callable[[Module, Module], Module]
) -> None:
    one, two, _ = masks
    foreign = changed_module(two, two.tensors, base=BaseReference("another", "0" * 16))
    with pytest.raises(XlrankError, match="the modules must be of one kind and one base"):
        combine(one, foreign)
    renamed = changed_module(two, two.tensors, base=BaseReference("elsewhere/the-same", two.base.fingerprint))
    assert combine(one, renamed) == combine(one, two)
