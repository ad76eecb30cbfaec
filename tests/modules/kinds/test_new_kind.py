"""A kind that the package does not have: a folder's worth of code, and everything else works with it."""

from collections.abc import Iterator, Sequence

import pytest
import torch

from tests.conftest import composed_states, make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.composition import average, both, scale, split
from xlrank.errors import XlrankError
from xlrank.modules import BaseReference, Module
from xlrank.modules.arithmetic import derived, means
from xlrank.modules.kinds import HOMES, kind_named
from xlrank.modules.kinds.kind import Kind
from xlrank.modules.weights import Edit, SumEdit

PAIRS = [("дарыя", "the river and the bridge of the market"), ("мектеп жана суу кыш", "a school")]
NAME = "encoder.layer.0.output.dense.bias"


class BiasKind(Kind):
    """Differences to biases (BitFit, Ben Zaken et al. 2022)."""

    name = "bias"
    place = "weights"
    summable = True

    def edits(self, module: Module) -> Iterator[Edit]:
        for name, tensor in module.tensors.items():
            yield SumEdit(module.name, name, tensor)

    def scaled(self, module: Module, factor: float) -> Module:
        return derived(module, f"scale({module.name})", {name: factor * t for name, t in module.tensors.items()})

    def averaged(self, modules: Sequence[Module], name: str) -> Module:
        return derived(modules[0], name, means(modules, list(modules[0].tensors)))


KIND = BiasKind()


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(HOMES, "bias", __name__)


def made(base: Base, seed: int) -> Module:
    shift = torch.randn(dict(base.encoder.named_parameters())[NAME].shape, generator=torch.Generator().manual_seed(seed))
    reference = BaseReference(base.name, base.fingerprint)
    return Module.create(
        {NAME: shift}, name=f"bias/{seed}", kind="bias", role="language", language="ky", base=reference, config={}
    )


def test_it_composes(tiny_base: Base) -> None:
    one, other, rank = made(tiny_base, 1), made(tiny_base, 2), make_ranking(tiny_base, 3)
    assert kind_named("bias") is KIND
    alone = composed_states(tiny_base, one + rank, PAIRS)
    assert (alone - composed_states(tiny_base, other + rank, PAIRS)).abs().max() > 0.1
    torch.testing.assert_close(composed_states(tiny_base, average(one, one) + rank, PAIRS), alone)
    torch.testing.assert_close(
        composed_states(tiny_base, scale(one, 0.5) + scale(one, 0.5) + rank, PAIRS), alone, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        composed_states(tiny_base, both(query=one, document=other) + rank, PAIRS),
        composed_states(tiny_base, one + other + rank, PAIRS),
    )


def test_what_it_does_not_say_is_refused(tiny_base: Base) -> None:
    one, rank = made(tiny_base, 1), make_ranking(tiny_base, 3)
    with pytest.raises(XlrankError, match="a split needs adapters or LoRAs; a bias module changes the weights"):
        composed_states(tiny_base, split(query=one, document=one) + rank, PAIRS)
    with pytest.raises(XlrankError, match="must be of one kind"):
        composed_states(tiny_base, split(query=one, document=make_adapter(tiny_base, "ky", 1)) + rank, PAIRS)
    with pytest.raises(XlrankError, match="bias modules are no differences to a base"):
        KIND.subtracted(one, one, "subtract(a,b)")
    with pytest.raises(XlrankError, match="not one that works between layers"):
        KIND.build(one, (32, 2))
    with pytest.raises(XlrankError, match="cannot act on some tokens only"):
        KIND.updates(one, tiny_base)


def test_every_shipped_kind_has_its_name() -> None:
    assert {name: kind_named(name).name for name in HOMES} == {name: name for name in HOMES}
