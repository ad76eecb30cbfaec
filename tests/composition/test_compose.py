"""Several compositions in one encoder, and one composition after another in the same encoder."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import (
    changed_module,
    composed_states,
    make_adapter,
    make_batch,
    make_lora,
    make_mask,
    make_ranking,
    snapshot,
)
from xlrank.bases import Base
from xlrank.composition import Composition, as_composition, average, both, drop, scale, split, without_invertible
from xlrank.composition.compose import Composer, compose, compose_many
from xlrank.composition.layers import PatchedEmbedding
from xlrank.composition.plan import plan
from xlrank.errors import XlrankError
from xlrank.modules import Module

PAIRS = [
    ("дарыя", "the river and the bridge of the market"),
    ("мектеп жана суу кыш", "a school"),
    ("алма базар", "apple market"),
    ("шайлоо", "the election in the school and the market in winter"),
    ("кыш", "water"),
]
Languages = dict[str, Module]


@pytest.fixture
def languages(tiny_base: Base) -> Languages:
    return {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "ug", "tr", "en"))}


@pytest.fixture
def rank(tiny_base: Base) -> Module:
    return make_ranking(tiny_base, 9)


def states_of(base: Base, compositions: list[Composition], variants: list[int]) -> Tensor:
    batch = make_batch(base, PAIRS)
    with torch.inference_mode():
        return compose_many(base, compositions)(**batch.tensors(), variants=torch.tensor(variants))  # type: ignore[no-any-return]


def assert_each_row_is_its_own(base: Base, compositions: list[Composition], variants: list[int]) -> None:
    together = states_of(base, compositions, variants)
    for row, number in enumerate(variants):
        alone = composed_states(base, compositions[number], [PAIRS[row]])[0]
        torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-5, rtol=0)


def test_a_batch_mixes_language_pairs(tiny_base: Base, languages: Languages, rank: Module) -> None:
    ky, ug, tr, en = languages.values()
    pairs = [
        split(query=ky, document=en),
        split(query=ug, document=tr),
        split(query=en, document=en),
        split(query=tr, document=ky),
    ]
    compositions = [pair + rank for pair in pairs]
    assert_each_row_is_its_own(tiny_base, compositions, [0, 1, 2, 3, 1])
    swapped, straight = (states_of(tiny_base, compositions, numbers) for numbers in ([1] * 5, [0] * 5))
    assert (swapped - straight).abs().max() > 0.1, "the languages should make a difference"


def test_modules_that_several_compositions_use_are_held_once(tiny_base: Base, languages: Languages, rank: Module) -> None:
    ky, ug, tr, en = languages.values()
    encoder = compose_many(tiny_base, [split(query=q, document=en) + rank for q in (ky, ug, tr, ky)])
    blocks = encoder.encoder.encoder.layer[0].output.blocks
    assert len(blocks) == 5, "ky, en, ug, tr and the ranking module"


def test_resident_adapters_cost_no_memory_of_their_own(tiny_base: Base, languages: Languages, rank: Module) -> None:
    encoder = compose_many(tiny_base, [module + rank for module in languages.values()])
    loaded = {t.data_ptr() for module in (*languages.values(), rank) for t in module.tensors.values()}
    shared = {parameter.data_ptr() for parameter in tiny_base.encoder.parameters()}
    assert {parameter.data_ptr() for parameter in encoder.parameters()} <= loaded | shared


def test_compositions_of_different_heights_share_a_batch(tiny_base: Base, languages: Languages, rank: Module) -> None:
    ky, ug, _, en = languages.values()
    plain = make_adapter(tiny_base, "sw", 20, invertible=False, attention=True)
    compositions = [
        ky + rank,
        as_composition(rank),
        split(query=ug, document=en) + plain + rank,
        without_invertible(ky) + rank,
        drop(ky, 0) + rank,
    ]
    assert_each_row_is_its_own(tiny_base, compositions, [0, 1, 2, 3, 4])
    assert_each_row_is_its_own(tiny_base, compositions, [4, 3, 2, 1, 0])


def test_variants_of_adapters_share_a_batch(tiny_base: Base, rank: Module) -> None:
    settings: list[dict[str, Any]] = [
        {},
        {"original_ln_before": False},
        {"residual_before_ln": False},
        {"ln_after": True},
        {"non_linearity": "gelu"},
    ]
    made = [make_adapter(tiny_base, "ky", seed, **each) for seed, each in enumerate(settings)]
    assert_each_row_is_its_own(tiny_base, [module + rank for module in made], [0, 1, 2, 3, 4])


def test_loras_of_several_languages_share_a_batch(tiny_base: Base, rank: Module) -> None:
    ky, ug, en = (make_lora(tiny_base, code, seed) for seed, code in enumerate(("ky", "ug", "en")))
    compositions = [split(query=ky, document=en) + rank, split(query=ug, document=en) + rank, as_composition(rank)]
    assert_each_row_is_its_own(tiny_base, compositions, [0, 1, 2, 1, 0])


def test_an_edit_of_the_weights_must_be_shared(tiny_base: Base, languages: Languages, rank: Module) -> None:
    mask, other = make_mask(tiny_base, "ky", 1), make_mask(tiny_base, "ug", 2)
    assert_each_row_is_its_own(tiny_base, [mask + languages["ky"] + rank, mask + languages["ug"] + rank], [0, 1, 0, 1, 1])
    with pytest.raises(XlrankError, match="change the weights that all rows of a batch share; rank them apart"):
        compose_many(tiny_base, [mask + rank, other + rank])


def test_the_original_takes_one_composition(tiny_base: Base, languages: Languages, rank: Module) -> None:
    with pytest.raises(XlrankError, match="the original takes one composition at a time"):
        compose_many(tiny_base, [languages["ky"] + rank, languages["ug"] + rank], reference=True)


def possible(base: Base, languages: Languages, rank: Module) -> list[Composition]:
    ky, ug, tr, en = languages.values()
    mask, mask2 = make_mask(base, "ky", 1), make_mask(base, "ug", 2, names=["embeddings.word_embeddings.weight", NORM])
    lora, lora2 = make_lora(base, "ky", 3), make_lora(base, "ug", 4)
    full = make_ranking(base, 5, "full")
    return [
        ky + rank,
        split(query=ug, document=en) + rank,
        without_invertible(tr) + rank,
        mask + rank,
        mask2 + rank,
        both(query=mask, document=mask2) + ky + rank,
        scale(mask, 0.5) + rank,
        lora + rank,
        split(query=lora, document=lora2) + rank,
        as_composition(full),
        average(ky, ug) + rank,
        as_composition(rank),
    ]


NORM = "encoder.layer.1.output.LayerNorm.weight"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_switching_any_number_of_times_is_composing_anew(
    tiny_base: Base, languages: Languages, rank: Module, dtype: torch.dtype
) -> None:
    compositions, batch, before = possible(tiny_base, languages, rank), make_batch(tiny_base, PAIRS), snapshot(tiny_base)
    with torch.inference_mode():
        expected = [compose(tiny_base, composition, dtype)(**batch.tensors()) for composition in compositions]
        composer, order = Composer(tiny_base, dtype), [*range(len(compositions))] * 4
        random.Random(0).shuffle(order)
        for number in order:
            found = composer.compose([plan(compositions[number])])(**batch.tensors())
            assert torch.equal(found, expected[number]), str(compositions[number])
    assert snapshot(tiny_base) == before


def test_switching_a_mask_touches_its_parameters_only(tiny_base: Base, rank: Module) -> None:
    mask, other = make_mask(tiny_base, "ky", 1, names=[NORM]), make_mask(tiny_base, "ug", 2, names=[QUERY])
    own = {name: parameter.data_ptr() for name, parameter in tiny_base.encoder.named_parameters()}
    composer = Composer(tiny_base)
    for module, touched in ((mask, NORM), (other, QUERY), (mask, NORM)):
        encoder = composer.compose([plan(module + rank)])
        found = {name: encoder.layers[name.rpartition(".")[0]].get_parameter(name.rpartition(".")[2]) for name in own}
        assert {name for name, parameter in found.items() if parameter.data_ptr() != own[name]} == {touched}


QUERY = "encoder.layer.0.attention.self.query.weight"


def test_switching_back_and_forth_returns_the_base_bit_for_bit(tiny_base: Base, languages: Languages, rank: Module) -> None:
    batch, composer = make_batch(tiny_base, PAIRS), Composer(tiny_base)
    with torch.inference_mode():
        plain = compose(tiny_base, as_composition(rank))(**batch.tensors())
        for composition in possible(tiny_base, languages, rank) * 3:
            composer.compose([plan(composition)])
            assert torch.equal(composer.compose([plan(as_composition(rank))])(**batch.tensors()), plain), str(composition)


def test_a_refused_composition_leaves_the_last_one_in_place(tiny_base: Base, languages: Languages, rank: Module) -> None:
    batch, composer = make_batch(tiny_base, PAIRS), Composer(tiny_base)
    outside = changed_module(
        make_mask(tiny_base, "ky", 1), {f"index.{NORM}": torch.tensor([9999]), f"value.{NORM}": torch.ones(1)}
    )
    with torch.inference_mode():
        encoder = composer.compose([plan(languages["ky"] + rank)])
        before = encoder(**batch.tensors())
        for wrong in (rank + languages["ky"], outside + rank, drop(languages["ug"], 7) + rank):
            with pytest.raises(XlrankError):
                composer.compose([plan(wrong)])
            assert torch.equal(encoder(**batch.tensors()), before), str(wrong)
        assert composer.compose([plan(languages["ky"] + rank)]) is encoder


def test_word_vectors_of_a_mask_stay_sparse(tiny_base: Base, rank: Module) -> None:
    encoder = compose(tiny_base, make_mask(tiny_base, "ky", 1) + rank)
    words = encoder.layers["embeddings"].word_embeddings
    assert isinstance(words, PatchedEmbedding)
    assert words.weight.data_ptr() == tiny_base.encoder.get_input_embeddings().weight.data_ptr()
