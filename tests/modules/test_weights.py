"""Masks, LoRAs and full fine-tuning: edits of the base's weights, in new tensors, one after the other."""

import pytest
import torch
from torch import Tensor

from tests.conftest import HIDDEN, MASKED, UPDATED, changed_module, make_adapter, make_lora, make_mask, make_ranking, snapshot
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.weights import edited_parameters

NAME = "encoder.layer.1.output.dense.bias"
WEIGHT = "encoder.layer.0.attention.self.query.weight"


def full(base: Base, tensors: dict[str, Tensor], **config: object) -> Module:
    return changed_module(make_ranking(base, 1, "full"), tensors, config, name="mono")


def own(base: Base) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in base.encoder.named_parameters()}


def dense(base: Base, mask: Module, parameter: str) -> Tensor:
    """A mask's differences to one parameter, written out value by value."""
    result = torch.zeros_like(own(base)[parameter]).flatten()
    for place, value in zip(mask.tensors[f"index.{parameter}"].tolist(), mask.tensors[f"value.{parameter}"], strict=True):
        result[place] = value
    return result.view_as(own(base)[parameter])


def product(lora: Module, layer: str) -> Tensor:
    scaling: float = lora.config["scaling"][layer]
    return scaling * torch.einsum("or,ri->oi", lora.tensors[f"B.{layer}"], lora.tensors[f"A.{layer}"])


def test_differences_are_added(tiny_base: Base) -> None:
    before, module = snapshot(tiny_base), make_ranking(tiny_base, 1, "full")
    edited = edited_parameters([module], tiny_base)
    assert set(edited) == {name for name in own(tiny_base) if not name.startswith("pooler.")}
    assert all(torch.equal(value, own(tiny_base)[name] + module.tensors[name]) for name, value in edited.items())
    assert snapshot(tiny_base) == before


def test_half_precision_differences_are_added_in_float32(tiny_base: Base) -> None:
    difference = torch.full((HIDDEN,), 1e-4, dtype=torch.float16)
    edited = edited_parameters([full(tiny_base, {NAME: difference, "head.out.bias": torch.zeros(1)})], tiny_base)
    assert set(edited) == {NAME}
    assert edited[NAME].dtype == torch.float32
    assert torch.equal(edited[NAME], own(tiny_base)[NAME] + difference.float())


def test_absolute_values_replace(tiny_base: Base) -> None:
    value = torch.arange(float(HIDDEN))
    edited = edited_parameters([full(tiny_base, {NAME: value, "head.out.bias": torch.zeros(1)}, values="absolute")], tiny_base)
    assert set(edited) == {NAME}
    assert torch.equal(edited[NAME], value)


def test_a_mask_changes_its_positions(tiny_base: Base) -> None:
    before, mask = snapshot(tiny_base), make_mask(tiny_base, "ky", 1)
    edited = edited_parameters([mask], tiny_base)
    assert set(edited) == set(MASKED)
    for name, value in edited.items():
        assert torch.equal(value, own(tiny_base)[name] + dense(tiny_base, mask, name))
        touched = (value != own(tiny_base)[name]).sum()
        assert 0 < touched <= value.numel() // 3
    assert snapshot(tiny_base) == before


def test_a_lora_adds_its_scaled_products(tiny_base: Base) -> None:
    before, lora = snapshot(tiny_base), make_lora(tiny_base, "ky", 1)
    edited = edited_parameters([lora], tiny_base)
    assert set(edited) == {f"{layer}.weight" for layer in UPDATED}
    for layer in UPDATED:
        torch.testing.assert_close(edited[f"{layer}.weight"], own(tiny_base)[f"{layer}.weight"] + product(lora, layer))
    assert snapshot(tiny_base) == before


def test_one_scaling_for_all_layers(tiny_base: Base) -> None:
    lora = make_lora(tiny_base, "ky", 1)
    same = changed_module(lora, lora.tensors, {"scaling": 2.0})
    layer = UPDATED[0]
    expected = own(tiny_base)[WEIGHT] + 2 * lora.tensors[f"B.{layer}"] @ lora.tensors[f"A.{layer}"]
    torch.testing.assert_close(edited_parameters([same], tiny_base)[WEIGHT], expected)


def test_half_precision_factors_are_multiplied_in_float32(tiny_base: Base) -> None:
    lora = make_lora(tiny_base, "ky", 1)
    half = changed_module(lora, {name: tensor.half() for name, tensor in lora.tensors.items()})
    widened = changed_module(lora, {name: tensor.half().float() for name, tensor in lora.tensors.items()})
    edited, expected = edited_parameters([half], tiny_base), edited_parameters([widened], tiny_base)
    assert all(torch.equal(value, expected[name]) for name, value in edited.items())


def test_edits_are_applied_one_after_the_other(tiny_base: Base) -> None:
    mask, other, lora = make_mask(tiny_base, "ky", 1), make_mask(tiny_base, "en", 2), make_lora(tiny_base, "ky", 3)
    edited = edited_parameters([mask, other, lora, mask], tiny_base)
    differences = 2 * dense(tiny_base, mask, WEIGHT) + dense(tiny_base, other, WEIGHT) + product(lora, UPDATED[0])
    torch.testing.assert_close(edited[WEIGHT], own(tiny_base)[WEIGHT] + differences)
    replacing = full(tiny_base, {WEIGHT: torch.ones(HIDDEN, HIDDEN)}, values="absolute")
    assert torch.equal(edited_parameters([mask, replacing], tiny_base)[WEIGHT], torch.ones(HIDDEN, HIDDEN))
    torch.testing.assert_close(
        edited_parameters([replacing, mask], tiny_base)[WEIGHT], torch.ones(HIDDEN, HIDDEN) + dense(tiny_base, mask, WEIGHT)
    )


def test_a_mask_may_hold_whole_parameters_and_heads(tiny_base: Base) -> None:
    mask = make_mask(tiny_base, "ky", 1, ["encoder.layer.1.output.LayerNorm.weight"])
    more = {
        f"absolute.{NAME}": torch.full((HIDDEN,), 0.25),
        "absolute.cls.predictions.bias": torch.zeros(3),
        "head.out.weight": torch.zeros(1, HIDDEN),
    }
    edited = edited_parameters([changed_module(mask, {**mask.tensors, **more})], tiny_base)
    assert set(edited) == {"encoder.layer.1.output.LayerNorm.weight", NAME}
    assert torch.equal(edited[NAME], torch.full((HIDDEN,), 0.25))


def test_nothing_is_edited_by_an_adapter(tiny_base: Base) -> None:
    assert edited_parameters([], tiny_base) == {}
    head = {"head.out.weight": torch.zeros(1, HIDDEN)}
    assert edited_parameters([changed_module(make_adapter(tiny_base, "ky", 1), head)], tiny_base) == {}


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        (
            {"encoder.layer.9.output.dense.bias": torch.zeros(HIDDEN)},
            r"changes 'encoder\.layer\.9\.output\.dense\.bias', which base .* does not have",
        ),
        ({NAME: torch.zeros(HIDDEN + 1)}, rf": {NAME} has shape \[33\], expected \[32\]"),
    ],
)
def test_differences_that_do_not_fit_are_refused(tiny_base: Base, tensors: dict[str, Tensor], problem: str) -> None:
    with pytest.raises(XlrankError, match=f"module 'mono'{problem}" if problem[0] == ":" else f"module 'mono' {problem}"):
        edited_parameters([full(tiny_base, tensors)], tiny_base)


@pytest.mark.parametrize("index", [[-1, 2], [0, HIDDEN], [1, 2, 3]])
def test_indices_that_do_not_fit_are_refused(tiny_base: Base, index: list[int]) -> None:
    tensors = {f"index.{NAME}": torch.tensor(index), f"value.{NAME}": torch.ones(2)}
    mask = changed_module(make_mask(tiny_base, "ky", 1), tensors, name="sparse")
    with pytest.raises(XlrankError, match=rf"module 'sparse': {NAME}: indices do not fit a parameter of shape \[32\]"):
        edited_parameters([mask], tiny_base)


def test_a_lora_of_another_size_is_refused(tiny_base: Base) -> None:
    layer = UPDATED[0]
    tensors = {f"A.{layer}": torch.ones(2, HIDDEN), f"B.{layer}": torch.ones(HIDDEN + 1, 2)}
    lora = changed_module(make_lora(tiny_base, "ky", 1), tensors, name="low")
    with pytest.raises(XlrankError, match=rf"module 'low': {WEIGHT} has shape \[33, 32\], expected \[32, 32\]"):
        edited_parameters([lora], tiny_base)
    unknown = {"A.encoder.layer.9.x": torch.ones(2, HIDDEN), "B.encoder.layer.9.x": torch.ones(HIDDEN, 2)}
    with pytest.raises(XlrankError, match=r"module 'low' changes 'encoder\.layer\.9\.x\.weight', which base"):
        edited_parameters([changed_module(lora, unknown, {"scaling": 1.0})], tiny_base)
