"""Composed encoders against the formulas written out in plain torch, row by row, with the tiny model's own weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import (
    HIDDEN,
    LAYERS,
    MASKED,
    UPDATED,
    changed_module,
    composed_states,
    make_adapter,
    make_batch,
    make_head,
    make_lora,
    make_mask,
    make_ranking,
    snapshot,
)
from xlrank.bases import Base
from xlrank.composition import (
    Composition,
    Stack,
    as_composition,
    average,
    both,
    drop,
    parse,
    scale,
    split,
    subtract,
    without_invertible,
)
from xlrank.composition.compose import compose
from xlrank.composition.encoder import ComposedEncoder, trainable
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.arithmetic import averaged
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter
from xlrank.ranking.scorer import Scorer

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


@pytest.fixture
def parts(tiny_base: Base) -> tuple[Module, Module, Module]:
    return make_adapter(tiny_base, "ky", 1), make_adapter(tiny_base, "en", 2), make_ranking(tiny_base, 3)


Parts = tuple[Module, Module, Module]


def test_without_modules_it_is_the_encoder(tiny_base: Base) -> None:
    batch = make_batch(tiny_base, PAIRS)
    plain = tiny_base.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids)
    with torch.inference_mode():
        assert torch.equal(ComposedEncoder(tiny_base)(**batch.tensors()), plain.last_hidden_state)
    row = int(batch.attention_mask[0].sum())
    border = int((batch.sides[0] == 0).sum())
    torch.testing.assert_close(
        plain.last_hidden_state[0, :row],
        by_hand(dict(tiny_base.encoder.named_parameters()), [], [], batch.input_ids[0, :row], border),
        atol=2e-5,
        rtol=0,
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
        encoder(**batch.tensors())
    for row in range(len(PAIRS)):
        query, document = batch.sides[row] == 0, batch.sides[row] == 1
        torch.testing.assert_close(seen[0][row, query], invert(dict(ky.tensors), plain[row, query]))
        torch.testing.assert_close(seen[0][row, document], invert(dict(en.tensors), plain[row, document]))
    assert (seen[0] - plain).abs().max() > 0.1


def test_composing_and_discarding_leaves_the_base_as_it_was(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    before = snapshot(tiny_base)
    batch = make_batch(tiny_base, PAIRS)
    lora, lora2, mask = make_lora(tiny_base, "ky", 6), make_lora(tiny_base, "en", 7), make_mask(tiny_base, "ky", 8)
    for composition in (
        split(query=ky, document=en) + rank,
        as_composition(make_ranking(tiny_base, 5, "full")),
        mask + lora + rank,
        split(query=lora, document=lora2) + rank,
    ):
        for precision in ("fp32", "bf16", "int8"):
            Scorer(tiny_base, composition, precision=precision)(batch)
        for dtype in (torch.float32, torch.bfloat16):
            compose(tiny_base, composition, dtype)(**batch.tensors())
    assert snapshot(tiny_base) == before


def test_switching_compositions_leaves_the_base_as_it_was(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    mask, mask2 = make_mask(tiny_base, "ky", 6), make_mask(tiny_base, "en", 7)
    lora, lora2 = make_lora(tiny_base, "ky", 8), make_lora(tiny_base, "en", 9)
    full = make_ranking(tiny_base, 5, "full")
    compositions = [
        ky + rank,
        split(query=ky, document=en) + rank,
        mask + rank,
        both(query=mask, document=mask2) + rank,
        lora + rank,
        split(query=lora, document=lora2) + rank,
        as_composition(full),
        average(ky, en) + rank,
        subtract(mask, mask2) + scale(lora, 2) + rank,
        drop(without_invertible(ky), 1) + full,
    ]
    before = snapshot(tiny_base)
    plain = states_of(tiny_base, Stack(()))
    first = [states_of(tiny_base, composition) for composition in compositions]
    assert all(not close(one, other) for i, one in enumerate(first) for other in [plain, *first[:i]])
    assert snapshot(tiny_base) == before
    for composition, states in zip(reversed(compositions), reversed(first), strict=True):
        assert torch.equal(states_of(tiny_base, composition), states), str(composition)
    assert torch.equal(states_of(tiny_base, Stack(())), plain)
    assert snapshot(tiny_base) == before


def test_compositions_of_one_base_do_not_disturb_each_other(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    batch = make_batch(tiny_base, PAIRS)
    one, other = compose(tiny_base, split(query=ky, document=en) + rank), compose(tiny_base, en + rank)
    with torch.inference_mode():
        alone = one(**batch.tensors())
        other(**make_batch(tiny_base, PAIRS[::-1]).tensors())
        assert torch.equal(one(**batch.tensors()), alone)


def test_a_full_module_replaces_weights(tiny_base: Base) -> None:
    module = make_ranking(tiny_base, 5, "full")
    batch = make_batch(tiny_base, PAIRS)
    encoder = compose(tiny_base, as_composition(module))
    own = dict(tiny_base.encoder.named_parameters())
    for name, parameter in encoder.encoder.named_parameters():
        difference = module.tensors.get(name)
        assert torch.equal(parameter, own[name] if difference is None else own[name] + difference), name
    plain = ComposedEncoder(tiny_base)(**batch.tensors())
    assert (encoder(**batch.tensors()) - plain).abs().max() > 0.1


def test_an_adapter_may_stand_above_a_full_module(tiny_base: Base, parts: Parts) -> None:
    full = make_ranking(tiny_base, 5, "full")
    both, alone = (composed_states(tiny_base, c, PAIRS) for c in (full + parts[2], as_composition(full)))
    assert (both - alone).abs().max() > 0.1


def test_a_full_modules_differences_are_made_wherever_it_stands(tiny_base: Base, parts: Parts) -> None:
    ky, _, rank = parts
    full = make_ranking(tiny_base, 5, "full")
    above, below = states_of(tiny_base, ky + full), states_of(tiny_base, full + ky)
    assert torch.equal(above, below)
    weights = {n: p.detach() + full.tensors.get(n, torch.zeros(())) for n, p in tiny_base.encoder.named_parameters()}
    assert_by_hand(tiny_base, ky + full + rank, [[ky], [rank]], weights=weights)
    twice = {n: p.detach() + 2 * full.tensors.get(n, torch.zeros(())) for n, p in tiny_base.encoder.named_parameters()}
    assert_by_hand(tiny_base, full + full, [], weights=twice)


def test_a_mask_below_a_ranking_adapter(tiny_base: Base, parts: Parts) -> None:
    mask, rank = make_mask(tiny_base, "ky", 6), parts[2]
    assert_by_hand(tiny_base, mask + rank, [[rank]], weights=edited(tiny_base, mask))
    assert_by_hand(tiny_base, mask + parts[0] + rank, [[parts[0]], [rank]], weights=edited(tiny_base, mask))


def test_both_adds_the_masks_of_both_sides(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = make_mask(tiny_base, "ky", 6), make_mask(tiny_base, "en", 7), parts[2]
    for composition in (both(query=ky, document=en) + rank, both(query=en, document=ky) + rank, ky + en + rank):
        assert_by_hand(tiny_base, composition, [[rank]], weights=edited(tiny_base, ky, en))


def test_one_mask_on_both_sides_counts_once(tiny_base: Base, parts: Parts) -> None:
    mask, rank = make_mask(tiny_base, "ky", 6), parts[2]
    same = both(query=mask, document=mask) + rank
    assert_by_hand(tiny_base, same, [[rank]], weights=edited(tiny_base, mask))
    once, twice = states_of(tiny_base, mask + rank), states_of(tiny_base, scale(mask, 2) + rank)
    assert torch.equal(states_of(tiny_base, same), once)
    assert close(states_of(tiny_base, same, reference=True), twice), "the original added it twice"
    assert not close(once, twice)
    other = both(query=mask, document=make_mask(tiny_base, "en", 7)) + rank
    assert torch.equal(states_of(tiny_base, other), states_of(tiny_base, other, reference=True))


LAYER_NAMES = {
    "attention": UPDATED,
    "feed-forward": [f"encoder.layer.{i}.{part}.dense" for i in range(LAYERS) for part in ("intermediate", "output")],
    "all": [
        f"encoder.layer.{i}.{part}"
        for i in range(LAYERS)
        for part in (
            *(f"attention.self.{x}" for x in ("query", "key", "value")),
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        )
    ],
}


@pytest.mark.parametrize("layers", LAYER_NAMES)
@pytest.mark.parametrize("fixture", ["tiny_base", "tiny_xlmr_base"])
def test_a_lora_in_the_weights_equals_it_beside_them(fixture: str, layers: str, request: pytest.FixtureRequest) -> None:
    base = request.getfixturevalue(fixture)
    lora, rank = make_lora(base, "ky", 6, names=LAYER_NAMES[layers]), make_adapter(base, "en", 3, attention=True)
    routed_twice = split(query=lora, document=lora)
    plain = states_of(base, Stack(()))
    for below, above in (
        (as_composition(lora), routed_twice),
        (lora + rank, routed_twice + rank),
        (rank + lora, rank + routed_twice),
    ):
        merged, beside = states_of(base, below), states_of(base, above)
        torch.testing.assert_close(beside, merged, atol=2e-5, rtol=0)
        assert not close(merged, plain)


@pytest.mark.parametrize("layers", LAYER_NAMES)
def test_a_split_of_loras_updates_each_token_by_its_sides(tiny_base: Base, parts: Parts, layers: str) -> None:
    ky, en = (make_lora(tiny_base, name, seed, rank, LAYER_NAMES[layers]) for name, seed, rank in (("ky", 6, 3), ("en", 7, 5)))
    language, _, rank = parts
    assert_by_hand(tiny_base, split(query=ky, document=en), [], [ky, en])
    assert_by_hand(tiny_base, split(query=ky, document=en) + rank, [[rank]], [ky, en])
    assert_by_hand(tiny_base, split(query=en, document=ky) + language + rank, [[language], [rank]], [en, ky])


def test_the_sides_loras_may_update_different_layers(tiny_base: Base, parts: Parts) -> None:
    ky, en = make_lora(tiny_base, "ky", 6, names=UPDATED[:2]), make_lora(tiny_base, "en", 7, names=UPDATED[1:])
    assert_by_hand(tiny_base, split(query=ky, document=en) + parts[2], [[parts[2]]], [ky, en])


def test_split_loras_stack_and_stand_above_edits(tiny_base: Base, parts: Parts) -> None:
    ky, en, mask = make_lora(tiny_base, "ky", 6), make_lora(tiny_base, "en", 7), make_mask(tiny_base, "ky", 8)
    assert_by_hand(tiny_base, mask + split(query=ky, document=en), [], [ky, en], edited(tiny_base, mask))
    twice = split(query=ky, document=en) + split(query=ky, document=en) + parts[2]
    assert close(states_of(tiny_base, twice), states_of(tiny_base, split(query=scale(ky, 2), document=scale(en, 2)) + parts[2]))


def test_a_split_of_loras_in_other_precisions(tiny_base: Base, parts: Parts) -> None:
    ky, en = make_lora(tiny_base, "ky", 6, names=LAYER_NAMES["all"]), make_lora(tiny_base, "en", 7, names=LAYER_NAMES["all"])
    batch = make_batch(tiny_base, [(query, document) for query, _ in PAIRS for _, document in PAIRS])
    without = Scorer(tiny_base, as_composition(parts[2]), precision="fp32")(batch)
    for composition in (split(query=ky, document=en) + parts[2], split(query=ky, document=ky) + parts[2], ky + parts[2]):
        exact = Scorer(tiny_base, composition, precision="fp32")(batch)
        for precision in ("bf16", "int8"):
            scores = Scorer(tiny_base, composition, precision=precision)(batch)
            assert 0 < (scores - exact).abs().max() < 0.1 * (exact.max() - exact.min()), precision
        assert (without - exact).abs().max() > 0.3 * (exact.max() - exact.min()), "the LoRAs hardly change anything"


def test_means_are_applied_as_one_module(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    mean = averaged([ky, en])
    assert_by_hand(tiny_base, average(ky, en) + rank, [[mean], [rank]])
    assert_by_hand(tiny_base, split(query=average(ky, en), document=en) + rank, [[mean, en], [rank]])
    lora, lora2 = make_lora(tiny_base, "ky", 6), make_lora(tiny_base, "en", 7, 5)
    merged = states_of(tiny_base, scale(lora, 0.5) + scale(lora2, 0.5) + rank)
    assert close(states_of(tiny_base, average(lora, lora2) + rank), merged)
    one_side = split(query=average(lora, lora2), document=average(lora, lora2)) + rank
    assert close(states_of(tiny_base, one_side), merged)
    mask, mask2 = make_mask(tiny_base, "ky", 8), make_mask(tiny_base, "en", 9)
    half = states_of(tiny_base, scale(mask, 0.5) + scale(mask2, 0.5) + rank)
    assert close(states_of(tiny_base, average(mask, mask2) + rank), half)
    assert close(states_of(tiny_base, subtract(mask, mask) + rank), states_of(tiny_base, as_composition(rank)))


def silent(module: Module, *layers: int) -> Module:
    """The module with bottlenecks that add nothing in some layers."""
    names = tuple(f"layer.{i}.up." for i in layers)
    return changed_module(module, {n: t * 0 if n.startswith(names) else t for n, t in module.tensors.items()})


def test_a_dropped_layer_adds_nothing(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    assert_by_hand(tiny_base, drop(ky, 0) + rank, [[silent(ky, 0)], [rank]])
    assert_by_hand(tiny_base, ky + drop(rank, 1), [[ky], [silent(rank, 1)]])
    assert_by_hand(tiny_base, drop(ky + rank, 1), [[silent(ky, 1)], [silent(rank, 1)]])
    assert_by_hand(tiny_base, drop(ky, 0, 1) + rank, [[silent(ky, 0, 1)], [rank]])
    assert_by_hand(tiny_base, split(query=drop(ky, 0), document=en) + rank, [[silent(ky, 0), en], [rank]])
    assert_by_hand(tiny_base, drop(split(query=ky, document=en), 0, 1) + rank, [[silent(ky, 0, 1), silent(en, 0, 1)], [rank]])
    assert_by_hand(tiny_base, drop(without_invertible(ky), 0, 1), [])


def test_a_dropped_layer_has_no_attention_bottleneck_either(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1, attention=True)
    encoder = compose(tiny_base, drop(module, 0))
    assert [name for name, _ in encoder.named_modules() if name.endswith(".blocks.0")] == [
        "encoder.embeddings.blocks.0",
        "encoder.encoder.layer.1.attention.output.blocks.0",
        "encoder.encoder.layer.1.output.blocks.0",
    ]


def test_without_its_invertible_block(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    bare = [
        changed_module(m, {n: t for n, t in m.tensors.items() if not n.startswith("invertible.")}, {"invertible": False})
        for m in (ky, en)
    ]
    assert_by_hand(tiny_base, without_invertible(ky) + rank, [[bare[0]], [rank]])
    assert_by_hand(tiny_base, without_invertible(split(query=ky, document=en)) + rank, [bare, [rank]])
    assert_by_hand(tiny_base, split(query=without_invertible(ky), document=en) + rank, [[bare[0], en], [rank]])
    assert_by_hand(tiny_base, rank + without_invertible(ky), [[rank], [bare[0]]])
    assert not close(states_of(tiny_base, ky + rank), states_of(tiny_base, without_invertible(ky) + rank))


def test_the_originals_split_has_the_first_sides_invertible_block(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    composition = split(query=ky, document=en) + rank
    batch, found = make_batch(tiny_base, PAIRS), states_of(tiny_base, composition, reference=True)
    of_ky = {name: tensor for name, tensor in ky.tensors.items() if name.startswith("invertible.")}
    mixed = changed_module(en, {**en.tensors, **of_ky})
    assert torch.equal(found, states_of(tiny_base, split(query=ky, document=mixed) + rank))
    assert not close(found, states_of(tiny_base, composition))
    assert found.shape == (*batch.input_ids.shape, HIDDEN)


def test_the_originals_split_has_the_first_sides_layer_norms(tiny_base: Base, parts: Parts) -> None:
    ky, rank = parts[0], parts[2]
    other = make_adapter(tiny_base, "en", 2, original_ln_before=False)
    composition = split(query=ky, document=other) + rank
    same = changed_module(other, other.tensors, {"original_ln_before": True})
    first = {name: tensor for name, tensor in ky.tensors.items() if name.startswith("invertible.")}
    expected = states_of(tiny_base, split(query=ky, document=changed_module(same, {**same.tensors, **first})) + rank)
    assert close(states_of(tiny_base, composition, reference=True), expected)
    assert not close(states_of(tiny_base, composition), states_of(tiny_base, split(query=ky, document=same) + rank))
    with pytest.raises(XlrankError, match="reference mode: the original cannot split adapters that leave out different layers"):
        compose(tiny_base, split(query=ky, document=make_adapter(tiny_base, "en", 2, leave_out=[0])) + rank, reference=True)


def test_a_parallel_adapter_reads_the_blocks_input(tiny_base: Base) -> None:
    module = make_adapter(tiny_base, "ky", 1, parallel=True, invertible=False)
    w: Weights = dict(tiny_base.encoder.named_parameters())
    batch, states = make_batch(tiny_base, PAIRS[:1]), composed_states(tiny_base, as_composition(module), PAIRS[:1])
    x = embedded(w, batch.input_ids[0], int((batch.sides[0] == 0).sum()))
    for i in range(LAYERS):
        layer, m = f"encoder.layer.{i}", dict(module.tensors)
        a = attention(x, w, f"{layer}.attention", linear)
        h = linear(gelu(linear(a, w, f"{layer}.intermediate.dense")), w, f"{layer}.output.dense")
        h = h + linear(linear(a, m, f"layer.{i}.down").clamp(min=0), m, f"layer.{i}.up")
        x = norm(h + a, w, f"{layer}.output.LayerNorm")
    torch.testing.assert_close(states[0], x, atol=2e-5, rtol=0)


def test_combinations_that_mean_nothing_are_refused(tiny_base: Base, parts: Parts) -> None:
    ky, en, rank = parts
    full, lora = make_ranking(tiny_base, 5, "full"), make_lora(tiny_base, "ky", 6)
    absolute = changed_module(full, full.tensors, {"values": "absolute"})
    parallel = make_adapter(tiny_base, "ky", 1, parallel=True, invertible=False)
    with_weight = changed_module(lora, {**lora.tensors, "absolute.embeddings.LayerNorm.bias": torch.zeros(HIDDEN)})
    of_pooler = make_lora(tiny_base, "ky", 6, names=["pooler.dense"])
    unknown = {"A.encoder.layer.9.x": torch.zeros(1, HIDDEN), "B.encoder.layer.9.x": torch.zeros(HIDDEN, 1)}
    narrow = {f"A.{UPDATED[0]}": torch.zeros(1, HIDDEN - 1), f"B.{UPDATED[0]}": torch.zeros(HIDDEN, 1)}
    cases: list[tuple[Composition, str]] = [
        (full + absolute, "'ranking/en' replaces the encoder's weights and would undo 'ranking/en' below it"),
        (split(query=full, document=full), "a full module changes the weights that all tokens share"),
        (split(query=ky, document=full), r"the two sides of a split must be of one kind, they are \['adapter', 'full'\]"),
        (rank + ky, "'language/ky' has an invertible adapter, which works on the embeddings; put it lowest"),
        (both(query=ky, document=en), "only masks and LoRAs can be added up"),
        (parallel + rank, "a parallel adapter reads its block's input, so it cannot be stacked with others"),
        (rank + parallel, "a parallel adapter reads its block's input, so it cannot be stacked with others"),
        (drop(ky, 0, 7), "drop: layer 7 does not exist; the base has layers 0 to 1"),
        (drop(ky, -1), "drop: layer -1 does not exist; the base has layers 0 to 1"),
        (as_composition(make_head(tiny_base, 1)), "'head/mlm' is a head, which changes no layer"),
        (parse("ky+rank"), "was not resolved"),
        (
            split(query=lora, document=with_weight),
            "'absolute.embeddings.LayerNorm.bias', a whole parameter that all tokens share",
        ),
        (
            split(query=of_pooler, document=lora),
            r"'language/ky' updates 'pooler\.dense', which sees no document; use it without split",
        ),
        (
            split(query=lora, document=changed_module(lora, unknown, {"scaling": 1.0})),
            r"'encoder\.layer\.9\.x\.weight', which base .* does not",
        ),
        (
            split(query=lora, document=changed_module(lora, narrow)),
            rf"{UPDATED[0]}\.weight has shape \[32, 31\], expected \[32, 32\]",
        ),
    ]
    for composition, problem in cases:
        with pytest.raises(XlrankError, match=problem):
            compose(tiny_base, composition)


def test_a_foreign_base_is_refused(tiny_base: Base, tiny_xlmr_base: Base, parts: Parts) -> None:
    ky, _, rank = parts
    with pytest.raises(XlrankError, match="was made for base"):
        compose(tiny_xlmr_base, ky + rank)
    with pytest.raises(XlrankError, match="was made for base"):
        trainable(tiny_xlmr_base, Adapter(AdapterConfig(), HIDDEN, LAYERS), [ky])


def test_only_the_trained_adapter_learns(tiny_base: Base, parts: Parts) -> None:
    torch.manual_seed(0)
    adapter = Adapter(AdapterConfig(), HIDDEN, LAYERS)
    encoder = trainable(tiny_base, adapter, [parts[0]])
    encoder(**make_batch(tiny_base, PAIRS).tensors()).square().sum().backward()
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    assert {id(parameter) for parameter in learning} == {id(parameter) for parameter in adapter.parameters()}
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in learning)
    assert all(parameter.grad is None for parameter in tiny_base.encoder.parameters())


def test_the_encoder_stays_in_evaluation_mode(tiny_base: Base, parts: Parts) -> None:
    encoder = compose(tiny_base, parts[0] + parts[2])
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    batch: Any = make_batch(tiny_base, PAIRS).tensors()
    assert torch.equal(encoder(**batch), encoder(**batch))


def test_weights_are_held_in_the_wanted_type(tiny_base: Base, parts: Parts) -> None:
    encoder = compose(tiny_base, parts[0] + parts[2], torch.bfloat16)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in parts[0].tensors.values()} == {torch.float32}
