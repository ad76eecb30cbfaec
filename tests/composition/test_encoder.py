"""Composed encoders against the formulas: adapters, splits, dropped layers, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.composition.formulas import (
    PAIRS,
    Parts,
    Weights,
    assert_by_hand,
    attention,
    by_hand,
    close,
    embedded,
    gelu,
    invert,
    linear,
    norm,
    states_of,
)
from tests.conftest import (
    HIDDEN,
    LAYERS,
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
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.ranking.cross import CrossEncoder


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
            CrossEncoder(tiny_base, precision).outputs(batch, composition).logits[:, 0]
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
        compose(tiny_xlmr_base, as_composition(ky))


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
