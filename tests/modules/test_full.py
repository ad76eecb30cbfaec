"""Full fine-tuning as differences: added to the base's weights, in a copy."""

import pytest
import torch
from torch import Tensor

from tests.conftest import HIDDEN, make_ranking, snapshot
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.full import replaced_parameters

NAME = "encoder.layer.1.output.dense.bias"


def full(base: Base, tensors: dict[str, Tensor]) -> Module:
    source = make_ranking(base, 1, "full")
    return Module.create(tensors, name="mono", kind="full", role="ranking", language="en", base=source.base, config={})


def test_differences_are_added(tiny_base: Base) -> None:
    before, module = snapshot(tiny_base), make_ranking(tiny_base, 1, "full")
    replaced = replaced_parameters(module, tiny_base)
    own = dict(tiny_base.encoder.named_parameters())
    assert set(replaced) == {name for name in own if not name.startswith("pooler.")}
    assert all(torch.equal(value, own[name] + module.tensors[name]) for name, value in replaced.items())
    assert snapshot(tiny_base) == before


def test_half_precision_differences_are_added_in_float32(tiny_base: Base) -> None:
    difference = torch.full((HIDDEN,), 1e-4, dtype=torch.float16)
    replaced = replaced_parameters(full(tiny_base, {NAME: difference, "head.out.bias": torch.zeros(1)}), tiny_base)
    own = dict(tiny_base.encoder.named_parameters())[NAME]
    assert set(replaced) == {NAME}
    assert replaced[NAME].dtype == torch.float32
    assert torch.equal(replaced[NAME], own + difference.float())


@pytest.mark.parametrize("tensors", [{"encoder.layer.9.output.dense.bias": torch.zeros(HIDDEN)}, {NAME: torch.zeros(HIDDEN + 1)}])
def test_differences_that_do_not_fit_are_refused(tiny_base: Base, tensors: dict[str, Tensor]) -> None:
    with pytest.raises(XlrankError, match=f"module 'mono': tensor '{next(iter(tensors))}' does not fit base"):
        replaced_parameters(full(tiny_base, tensors), tiny_base)
