"""Which tokens go through which of a stage's items, in batches of one composition and of several."""

from collections.abc import Sequence

import pytest
import torch

from xlrank.composition.routing import Routing, Slots


def test_equal_items_are_held_once() -> None:
    assert Slots.of([("ky", "en")]) == Slots(("ky", "en"), ((0, 1),))
    assert Slots.of([("en",)]) == Slots(("en",), ((0, 0),))
    assert Slots.of([("ky", "en"), ("ug", "en"), ("en", "en")]) == Slots(("ky", "en", "ug"), ((0, 1), (2, 1), (1, 1)))
    assert Slots.of([("ky", "en")]).map(str.upper) == Slots(("KY", "EN"), ((0, 1),))


def test_routing_must_know_the_batch() -> None:
    with pytest.raises(RuntimeError, match=r"Routing\.set must precede"):
        Routing().apply(Slots.of([(1.0, 2.0)]), lambda factor, x: factor * x[0], torch.zeros(1, 2, 3))


def test_one_item_is_for_all_tokens_whatever_the_sides() -> None:
    x = torch.arange(6.0).view(1, 2, 3)
    assert torch.equal(Routing().apply(Slots.of([(3.0, 3.0)]), lambda factor, inputs: factor * inputs[0], x), 3 * x)


def test_routing_hands_each_side_its_tokens_of_all_inputs() -> None:
    routing, one, other = Routing(), torch.arange(6.0).view(2, 3, 1), 10 * torch.arange(12.0).view(2, 3, 2)
    routing.set(torch.tensor([[0, 0, 1], [0, 1, 1]]))
    slots = Slots.of([(1.0, -1.0)])
    found = routing.apply(slots, lambda factor, inputs: factor * (inputs[0] + inputs[1]), one, other)
    signs = torch.tensor([[1.0, 1, -1], [1, -1, -1]]).unsqueeze(-1)
    assert torch.equal(found, signs * (one + other))


def test_routing_of_batches_with_an_empty_side() -> None:
    routing, x = Routing(), torch.arange(6.0).view(1, 6, 1)
    for sides, factors in (([0] * 6, [2] * 6), ([1] * 6, [-1] * 6), ([0, 1, 1, 0, 1, 0], [2, -1, -1, 2, -1, 2])):
        routing.set(torch.tensor([sides]))
        found = routing.apply(Slots.of([(2.0, -1.0)]), lambda factor, inputs: factor * inputs[0], x)
        assert torch.equal(found, x * torch.tensor(factors).view(1, 6, 1))


def test_every_row_follows_its_own_composition() -> None:
    routing, x = Routing(), torch.ones(4, 3, 2)
    slots = Slots.of([(1.0, 5.0), (2.0, 5.0), (3.0, 3.0)])
    routing.set(torch.tensor([[0, 0, 1], [0, 1, 1], [0, 1, 1], [1, 0, 0]]), torch.tensor([2, 0, 1, 0]))
    seen: list[tuple[float, int]] = []

    def times(factor: float, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        seen.append((factor, len(inputs[0])))
        return factor * inputs[0]

    found = routing.apply(slots, times, x)
    assert found[..., 0].tolist() == [[3, 3, 3], [1, 5, 5], [2, 5, 5], [5, 1, 1]]
    assert seen == [(1.0, 3), (5.0, 5), (2.0, 1), (3.0, 3)], "each item sees its tokens as one matrix"


def test_an_item_that_no_token_needs_is_not_called() -> None:
    routing = Routing()
    routing.set(torch.zeros(2, 3, dtype=torch.long), torch.tensor([1, 1]))
    found = routing.apply(Slots.of([(0.0, 1.0), (2.0, 3.0)]), lambda factor, x: x[0] * 6 / factor, torch.ones(2, 3, 1))
    assert torch.equal(found, torch.full((2, 3, 1), 3.0))


def test_gradients_flow_through_the_routing() -> None:
    routing, x = Routing(), torch.randn(2, 4, 3, requires_grad=True)
    routing.set(torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]]))
    routing.apply(Slots.of([(2.0, -3.0)]), lambda factor, inputs: factor * inputs[0], x).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad[..., 0].tolist() == [[2, 2, -3, -3], [2, -3, -3, -3]]
