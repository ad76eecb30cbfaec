"""The composed encoder's formulas written out in plain torch, row by row, with the tiny model's own weights."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tests.conftest import (
    HIDDEN,
    LAYERS,
    MASKED,
    composed_states,
    make_batch,
)
from xlrank.bases import Base
from xlrank.composition import (
    Composition,
)
from xlrank.composition.compose import compose
from xlrank.modules import Module

PAIRS = [
    ("дарыя", "the river and the bridge of the market"),
    ("мектеп жана суу кыш", "a school"),
    ("алма базар", "apple market"),
]
Weights = dict[str, Tensor]
Linear = Callable[[Tensor, Weights, str], Tensor]
Stage = Sequence[Module]
"""One module for all tokens, or the query's and the document's."""


def linear(x: Tensor, w: Weights, name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(x: Tensor, w: Weights, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def routed(stage: Stage, border: int, x: Tensor, apply: Callable[[Weights, Tensor], Tensor]) -> Tensor:
    """Tokens before ``border`` through the first module, the others through the last."""
    return torch.cat([apply(dict(stage[0].tensors), x[:border]), apply(dict(stage[-1].tensors), x[border:])])


def low_rank(module: Module, x: Tensor, name: str) -> Tensor | float:
    if f"A.{name}" not in module.tensors:
        return 0.0
    scaling: float = module.config["scaling"][name]
    return scaling * (x @ module.tensors[f"A.{name}"].T) @ module.tensors[f"B.{name}"].T


def attention(x: Tensor, w: Weights, name: str, linear: Linear) -> Tensor:
    q, k, v = (linear(x, w, f"{name}.self.{part}").view(len(x), 4, -1).transpose(0, 1) for part in ("query", "key", "value"))
    probabilities = (q @ k.transpose(1, 2) / math.sqrt(HIDDEN / 4)).softmax(-1)
    context = (probabilities @ v).transpose(0, 1).reshape(len(x), HIDDEN)
    return norm(linear(context, w, f"{name}.output.dense") + x, w, f"{name}.output.LayerNorm")


def invert(w: Weights, x: Tensor) -> Tensor:
    if "invertible.F.0.weight" not in w:
        return x
    x1, x2 = x[:, : HIDDEN // 2], x[:, HIDDEN // 2 :]
    y1 = x1 + linear(linear(x2, w, "invertible.F.0").clamp(min=0), w, "invertible.F.2")
    return torch.cat([y1, x2 + linear(linear(y1, w, "invertible.G.0").clamp(min=0), w, "invertible.G.2")], -1)


def embedded(w: Weights, ids: Tensor, border: int) -> Tensor:
    types = torch.zeros_like(ids)
    types[border:] = 1
    words, kinds, positions = (w[f"embeddings.{name}_embeddings.weight"] for name in ("word", "token_type", "position"))
    return norm(words[ids] + kinds[types] + positions[: len(ids)], w, "embeddings.LayerNorm")


def by_hand(w: Weights, stages: Sequence[Stage], updates: Stage, ids: Tensor, border: int) -> Tensor:
    """h <- f; for each stage h <- h + A(LN(h + a)); out = LN(h + a), with the invertible adapters of the lowest stage.

    Every linear layer of the encoder adds the low-rank products of the token's side.
    """

    def own_linear(x: Tensor, w: Weights, name: str) -> Tensor:
        y = linear(x, w, name)
        if not updates:
            return y
        query, document = low_rank(updates[0], x[:border], name), low_rank(updates[1], x[border:], name)
        return torch.cat([y[:border] + query, y[border:] + document])

    x = embedded(w, ids, border)
    if stages:
        x = routed(stages[0], border, x, invert)
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        a = attention(x, w, f"{layer}.attention", own_linear)
        h = own_linear(gelu(own_linear(a, w, f"{layer}.intermediate.dense")), w, f"{layer}.output.dense")
        for stage in stages:
            seen = norm(h + a, w, f"{layer}.output.LayerNorm")
            h = h + routed(
                stage,
                border,
                seen,
                lambda m, y, i=i: linear(linear(y, m, f"layer.{i}.down").clamp(min=0), m, f"layer.{i}.up"),  # type: ignore[misc]
            )
        x = norm(h + a, w, f"{layer}.output.LayerNorm")
    return x


def assert_by_hand(
    base: Base, composition: Composition, stages: Sequence[Stage], updates: Stage = (), weights: Weights | None = None
) -> None:
    """Composed states equal the formulas', with the base's weights or those given in their place."""
    w: Weights = dict(base.encoder.named_parameters()) | (weights or {})
    batch, states = make_batch(base, PAIRS), composed_states(base, composition, PAIRS)
    assert len({int(row.sum()) for row in batch.attention_mask}) == len(PAIRS), "the rows should be ragged"
    for row in range(len(PAIRS)):
        length, border = int(batch.attention_mask[row].sum()), int((batch.sides[row] == 0).sum())
        expected = by_hand(w, stages, updates, batch.input_ids[row, :length], border)
        torch.testing.assert_close(states[row, :length], expected, atol=2e-5, rtol=0)


def edited(base: Base, *masks: Module) -> Weights:
    """The parameters that masks change, their differences added value by value."""
    own = {name: parameter.detach().clone() for name, parameter in base.encoder.named_parameters() if name in MASKED}
    for mask in masks:
        for name in MASKED:
            flat = own[name].view(-1)
            for place, value in zip(mask.tensors[f"index.{name}"].tolist(), mask.tensors[f"value.{name}"], strict=True):
                flat[place] += value
    return own


def states_of(base: Base, composition: Composition, *, reference: bool = False) -> Tensor:
    with torch.inference_mode():
        return compose(base, composition, reference=reference)(**make_batch(base, PAIRS).tensors())  # type: ignore[no-any-return]


def close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() < 2e-5)


Parts = tuple[Module, Module, Module]
"""Adapters of two languages, and a ranking adapter."""
