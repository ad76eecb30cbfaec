"""Composed encoders against the formulas: full fine-tuning, masks, LoRAs and means."""

import pytest
import torch

from tests.composition.formulas import PAIRS, Parts, assert_by_hand, close, edited, states_of
from tests.conftest import (
    LAYERS,
    UPDATED,
    composed_states,
    make_adapter,
    make_batch,
    make_lora,
    make_mask,
    make_ranking,
)
from xlrank.bases import Base
from xlrank.composition import (
    Stack,
    as_composition,
    average,
    both,
    scale,
    split,
    subtract,
)
from xlrank.composition.compose import compose
from xlrank.composition.encoder import ComposedEncoder
from xlrank.modules.arithmetic import averaged
from xlrank.ranking.cross import CrossEncoder


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
    without = CrossEncoder(tiny_base, "fp32").outputs(batch, as_composition(parts[2])).logits[:, 0]
    for composition in (split(query=ky, document=en) + parts[2], split(query=ky, document=ky) + parts[2], ky + parts[2]):
        exact = CrossEncoder(tiny_base, "fp32").outputs(batch, composition).logits[:, 0]
        for precision in ("bf16", "int8"):
            scores = CrossEncoder(tiny_base, precision).outputs(batch, composition).logits[:, 0]
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
