"""The sparse phase: only the chosen entries move, just as they would if all others were held by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import make_batch
from xlrank.bases import Base
from xlrank.training.sparse import Chosen, keep_only, whole_again
from xlrank.training.trainee import FullTrainee, parameter_of

PAIRS = [("дарыя", "the river and the bridge"), ("суу", "a school in winter")]
WORDS, QUERY, BIAS = (
    "embeddings.word_embeddings.weight",
    "encoder.layer.0.attention.self.query.weight",
    "encoder.layer.1.output.dense.bias",
)
CHOSEN = {WORDS: torch.tensor([3, 40, 41, 300], dtype=torch.int32), QUERY: torch.tensor([0, 99]), BIAS: torch.tensor([5])}


def steps(trainee: FullTrainee, parameters: Any, base: Base, after: Any = None) -> None:  # noqa: ANN401 - an optimiser's
    """Three of AdamW with weight decay on an arbitrary loss."""
    optimiser = torch.optim.AdamW(parameters, lr=0.05, weight_decay=0.3)
    for _ in range(3):
        trainee.encoder(**make_batch(base, PAIRS).tensors()).square().sum().backward()
        if after:
            after()
        optimiser.step()
        optimiser.zero_grad()


def by_hand(base: Base) -> dict[str, Tensor]:
    """Dense AdamW whose gradients and decay are undone outside of the chosen entries after every step."""
    trainee = FullTrainee(base, frozen=("LayerNorm", "pooler."))
    values = {name: parameter_of(trainee.encoder, name) for name in CHOSEN}
    masks = {name: torch.zeros(v.numel()).index_fill(0, CHOSEN[name].long(), 1).view(v.shape) for name, v in values.items()}
    optimiser = torch.optim.AdamW(values.values(), lr=0.05, weight_decay=0.3)
    for _ in range(3):
        trainee.encoder(**make_batch(base, PAIRS).tensors()).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        with torch.no_grad():
            for name, value in values.items():
                value.copy_(torch.where(masks[name] == 1, value, trainee.start[name]))
    return {name: value.detach() for name, value in values.items()}


def test_only_the_chosen_entries_move_and_as_they_would(tiny_base: Base) -> None:
    expected = by_hand(tiny_base)
    trainee = FullTrainee(tiny_base, frozen=("LayerNorm", "pooler."))
    values = keep_only(trainee.encoder, CHOSEN)
    assert {name: len(value) for name, value in values.items()} == {name: len(index) for name, index in CHOSEN.items()}
    learning = [p for p in trainee.encoder.parameters() if p.requires_grad]
    assert sum(p.numel() for p in learning) == 7
    steps(trainee, learning, tiny_base)
    whole_again(trainee.encoder)
    for name, start in trainee.start.items():
        value = parameter_of(trainee.encoder, name)
        assert isinstance(value, torch.nn.Parameter)
        changed = (value != start).reshape(-1).nonzero().squeeze(1)
        assert changed.tolist() == (CHOSEN[name].tolist() if name in CHOSEN else [])
        if name in CHOSEN:
            torch.testing.assert_close(value.detach(), expected[name], atol=1e-6, rtol=0)


def test_the_base_does_not_move(tiny_base: Base) -> None:
    before = {name: p.detach().clone() for name, p in tiny_base.encoder.named_parameters()}
    trainee = FullTrainee(tiny_base, frozen=("LayerNorm", "pooler."))
    values = keep_only(trainee.encoder, CHOSEN)
    steps(trainee, values.values(), tiny_base)
    assert all(torch.equal(p, before[name]) for name, p in tiny_base.encoder.named_parameters())


def test_a_tensor_that_is_used_twice_gets_both_gradients() -> None:
    chosen = Chosen(torch.arange(6.0).view(2, 3), torch.tensor([1, 5]))
    values = torch.tensor([10.0, 20.0], requires_grad=True)
    one, other = chosen(values), chosen(values)
    assert one.tolist() == [[0, 10, 2], [3, 4, 20]]
    (one.sum() + 2 * (other * other).sum()).backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1 + 4 * 10.0, 1 + 4 * 20.0]


@pytest.mark.parametrize("seed", [0, 1])
def test_gradients(seed: int) -> None:
    torch.manual_seed(seed)
    whole, index = torch.randn(3, 4, dtype=torch.float64), torch.tensor([0, 7, 8])
    weight = torch.randn(3, 4, dtype=torch.float64)

    def function(values: Tensor) -> Tensor:
        return (Chosen(whole.clone(), index)(values) ** 2 * weight).sum()  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(function, torch.randn(3, dtype=torch.float64, requires_grad=True))
