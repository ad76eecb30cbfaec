"""Composed encoders against the formulas written out in plain torch, row by row, with the tiny model's own weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import HIDDEN, LAYERS, composed_states, make_adapter, make_batch, make_head, make_ranking, snapshot
from xlrank.bases import Base
from xlrank.composition import Composition, as_composition, parse, split
from xlrank.composition.encoder import ComposedEncoder, compose, trainable
from xlrank.composition.routing import Routing
from xlrank.composition.rules import ranking_module
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.adapter import Adapter, AdapterConfig
from xlrank.ranking.scorer import Scorer

PAIRS = [
    ("дарыя", "the river and the bridge of the market"),
    ("мектеп жана суу кыш", "a school"),
    ("алма базар", "apple market"),
]
Weights = dict[str, Tensor]
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


def attention(x: Tensor, w: Weights, name: str) -> Tensor:
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


def by_hand(base: Base, stages: Sequence[Stage], ids: Tensor, border: int) -> Tensor:
    """h <- f; for each stage h <- h + A(LN(h + a)); out = LN(h + a), with the invertible adapters of the lowest stage."""
    w: Weights = dict(base.encoder.named_parameters())
    x = embedded(w, ids, border)
    if stages:
        x = routed(stages[0], border, x, invert)
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        a = attention(x, w, f"{layer}.attention")
        h = linear(gelu(linear(a, w, f"{layer}.intermediate.dense")), w, f"{layer}.output.dense")
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


def assert_by_hand(base: Base, composition: Composition, stages: Sequence[Stage]) -> None:
    batch, states = make_batch(base, PAIRS), composed_states(base, composition, PAIRS)
    assert len({int(row.sum()) for row in batch.attention_mask}) == len(PAIRS), "the rows should be ragged"
    for row in range(len(PAIRS)):
        length, border = int(batch.attention_mask[row].sum()), int((batch.sides[row] == 0).sum())
        expected = by_hand(base, stages, batch.input_ids[row, :length], border)
        torch.testing.assert_close(states[row, :length], expected, atol=2e-5, rtol=0)


@pytest.fixture
def parts(tiny_base: Base) -> tuple[Module, Module, Module]:
    return make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2), make_ranking(tiny_base, 3)


Parts = tuple[Module, Module, Module]


def test_without_modules_it_is_the_encoder(tiny_base: Base) -> None:
    batch = make_batch(tiny_base, PAIRS)
    plain = tiny_base.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids)
    with torch.inference_mode():
        assert torch.equal(ComposedEncoder(tiny_base, [])(**vars(batch)), plain.last_hidden_state)
    row = int(batch.attention_mask[0].sum())
    border = int((batch.sides[0] == 0).sum())
    torch.testing.assert_close(
        plain.last_hidden_state[0, :row], by_hand(tiny_base, [], batch.input_ids[0, :row], border), atol=2e-5, rtol=0
    )


def test_a_language_module(tiny_base: Base, parts: Parts) -> None:
    assert_by_hand(tiny_base, as_composition(parts[0]), [[parts[0]]])


def test_a_stack_is_pfeiffers(tiny_base: Base, parts: Parts) -> None:
    ky, _, rank = parts
    assert_by_hand(tiny_base, ky + rank, [[ky], [rank]])


def test_a_split_sends_each_token_through_its_sides_modules(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    assert_by_hand(tiny_base, split(query=ky, document=en) + rank, [[ky, en], [rank]])


def test_a_split_of_a_module_with_and_one_without_an_invertible_adapter(tiny_base: Base, parts: Parts) -> None:
    en = make_adapter(tiny_base, "en", 2, invertible=False)
    assert_by_hand(tiny_base, split(query=parts[0], document=en) + parts[2], [[parts[0], en], [parts[2]]])


@pytest.mark.parametrize("fixture", ["tiny_base", "tiny_xlmr_base"])
def test_a_split_with_the_same_module_twice_is_the_plain_stack(fixture: str, request: pytest.FixtureRequest) -> None:
    base = request.getfixturevalue(fixture)
    ky, rank = make_adapter(base, "ky", 1), make_ranking(base, 3)
    plain = composed_states(base, ky + rank, PAIRS)
    torch.testing.assert_close(composed_states(base, split(query=ky, document=ky) + rank, PAIRS), plain, atol=1e-5, rtol=0)
    other = composed_states(base, split(query=ky, document=make_adapter(base, "en", 2)) + rank, PAIRS)
    assert (other - plain).abs().max() > 0.1


@pytest.mark.parametrize("fixture", ["tiny_base", "tiny_xlmr_base"])
def test_a_ragged_batch_equals_its_rows_alone(fixture: str, request: pytest.FixtureRequest) -> None:
    base = request.getfixturevalue(fixture)
    composition = split(query=make_adapter(base, "ky", 1), document=make_adapter(base, "en", 2)) + make_ranking(base, 3)
    together = composed_states(base, composition, PAIRS)
    for row, pair in enumerate(PAIRS):
        alone = composed_states(base, composition, [pair])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-5, rtol=0)


def test_each_sides_invertible_adapter_works_on_its_own_tokens(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    batch = make_batch(tiny_base, PAIRS)
    encoder = compose(tiny_base, split(query=ky, document=en) + rank)
    seen: list[Tensor] = []
    encoder.encoder.embeddings.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    plain = tiny_base.encoder.embeddings(input_ids=batch.input_ids, token_type_ids=batch.token_type_ids)
    with torch.inference_mode():
        encoder(**vars(batch))
    for row in range(len(PAIRS)):
        query, document = batch.sides[row] == 0, batch.sides[row] == 1
        torch.testing.assert_close(seen[0][row, query], invert(dict(ky.tensors), plain[row, query]))
        torch.testing.assert_close(seen[0][row, document], invert(dict(en.tensors), plain[row, document]))
    assert (seen[0] - plain).abs().max() > 0.1


def test_composing_and_discarding_leaves_the_base_as_it_was(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    before = snapshot(tiny_base)
    batch = make_batch(tiny_base, PAIRS)
    for composition in (split(query=ky, document=en) + rank, as_composition(make_ranking(tiny_base, 5, "full"))):
        for precision in ("fp32", "bf16", "int8"):
            Scorer(tiny_base, composition, precision)(batch)
        for dtype in (torch.float32, torch.bfloat16):
            compose(tiny_base, composition, dtype)(**vars(batch))
    assert snapshot(tiny_base) == before


def test_compositions_of_one_base_do_not_disturb_each_other(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    batch = make_batch(tiny_base, PAIRS)
    one, other = compose(tiny_base, split(query=ky, document=en) + rank), compose(tiny_base, en + rank)
    with torch.inference_mode():
        alone = one(**vars(batch))
        other(**vars(make_batch(tiny_base, PAIRS[::-1])))
        assert torch.equal(one(**vars(batch)), alone)


def test_a_full_module_replaces_weights(tiny_base: Base) -> None:
    module = make_ranking(tiny_base, 5, "full")
    batch = make_batch(tiny_base, PAIRS)
    encoder = compose(tiny_base, as_composition(module))
    own = dict(tiny_base.encoder.named_parameters())
    for name, parameter in encoder.encoder.named_parameters():
        difference = module.tensors.get(name)
        assert torch.equal(parameter, own[name] if difference is None else own[name] + difference), name
    plain = ComposedEncoder(tiny_base, [])(**vars(batch))
    assert (encoder(**vars(batch)) - plain).abs().max() > 0.1


def test_an_adapter_may_stand_above_a_full_module(tiny_base: Base, parts: Parts) -> None:
    full = make_ranking(tiny_base, 5, "full")
    both, alone = (composed_states(tiny_base, c, PAIRS) for c in (full + parts[2], as_composition(full)))
    assert (both - alone).abs().max() > 0.1


def test_combinations_that_mean_nothing_are_refused(tiny_base: Base, parts: Parts) -> None:
    ky, _, _ = parts
    full = make_ranking(tiny_base, 5, "full")
    for composition in (ky + full, full + full):
        with pytest.raises(XlrankError, match="'ranking/en' replaces the encoder's weights, so nothing may stand below it"):
            compose(tiny_base, composition)
    for composition in (split(query=full, document=full), split(query=ky, document=full)):
        with pytest.raises(XlrankError, match="needs two adapters; weights that are replaced cannot differ from token to token"):
            compose(tiny_base, composition)
    with pytest.raises(XlrankError, match="'head/mlm' is a head module; expected an adapter or a full one"):
        compose(tiny_base, as_composition(make_head(tiny_base, 1)))
    with pytest.raises(XlrankError, match="was not resolved"):
        compose(tiny_base, parse("ky+rank"))


def test_a_foreign_base_is_refused(tiny_base: Base, tiny_xlmr_base: Base, parts: Parts) -> None:
    ky, _, rank = parts
    with pytest.raises(XlrankError, match="was made for base"):
        compose(tiny_xlmr_base, ky + rank)
    with pytest.raises(XlrankError, match="was made for base"):
        trainable(tiny_xlmr_base, Adapter(AdapterConfig(), HIDDEN, LAYERS), [ky])


def test_the_highest_stage_must_be_a_ranking_module(parts: Parts) -> None:
    ky, en, rank = parts
    assert ranking_module(split(query=ky, document=en) + rank) is rank
    for composition in (rank + ky, split(query=ky, document=en), as_composition(ky)):
        with pytest.raises(XlrankError, match="the last stage must be a ranking module"):
            ranking_module(composition)


def test_only_the_trained_adapter_learns(tiny_base: Base, parts: Parts) -> None:
    torch.manual_seed(0)
    adapter = Adapter(AdapterConfig(), HIDDEN, LAYERS)
    encoder = trainable(tiny_base, adapter, [parts[0]])
    encoder(**vars(make_batch(tiny_base, PAIRS))).square().sum().backward()
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    assert {id(parameter) for parameter in learning} == {id(parameter) for parameter in adapter.parameters()}
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in learning)
    assert all(parameter.grad is None for parameter in tiny_base.encoder.parameters())


def test_the_encoder_stays_in_evaluation_mode(tiny_base: Base, parts: Parts) -> None:
    encoder = compose(tiny_base, parts[0] + parts[2])
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    batch: Any = vars(make_batch(tiny_base, PAIRS))
    assert torch.equal(encoder(**batch), encoder(**batch))


def test_weights_are_held_in_the_wanted_type(tiny_base: Base, parts: Parts) -> None:
    encoder = compose(tiny_base, parts[0] + parts[2], torch.bfloat16)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in parts[0].tensors.values()} == {torch.float32}


def test_routing_must_know_the_batch() -> None:
    with pytest.raises(RuntimeError, match=r"Routing\.set must precede"):
        Routing().apply([torch.nn.Identity(), torch.nn.Identity()], torch.zeros(1, 2, 3))


def test_routing_of_batches_with_an_empty_side() -> None:
    routing, x = Routing(), torch.arange(6.0).view(1, 6, 1)
    double, negative = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(double.weight, 2.0)
    torch.nn.init.constant_(negative.weight, -1.0)
    for sides, factors in (([0] * 6, [2] * 6), ([1] * 6, [-1] * 6), ([0, 1, 1, 0, 1, 0], [2, -1, -1, 2, -1, 2])):
        routing.set(torch.tensor([sides]))
        assert torch.equal(routing.apply([double, negative], x), x * torch.tensor(factors).view(1, 6, 1))
