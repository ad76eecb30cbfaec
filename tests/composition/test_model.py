"""Composed models: whose head they use, where its first layer comes from, and predictions through the inverse."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.conftest import (
    HIDDEN,
    changed_module,
    headed_checkpoint,
    load_base,
    make_adapter,
    make_batch,
    make_lora,
    make_mask,
    make_ranking,
)
from xlrank.bases import Base
from xlrank.composition import Composition, Stack, as_composition, average, scale, split, subtract
from xlrank.composition.compose import compose
from xlrank.composition.model import Output, PredictionModel
from xlrank.composition.plan import plan
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.head.layers import build_ranking_head
from xlrank.ranking.cross import CrossEncoder

PAIRS = [("дарыя", "the river and the bridge"), ("мектеп жана суу", "a school"), ("кыш", "the winter market")]


def output(base: Base, composition: Composition, *, reference: bool = False) -> Output:
    return CrossEncoder(base, reference=reference).outputs(make_batch(base, PAIRS), composition)


def head_source(base: Base, composition: Composition) -> Module:
    return CrossEncoder(base).head_source(plan(composition))


def with_head(module: Module, source: Module) -> Module:
    """The module with another one's relevance head, as a ranking module."""
    head = {name: tensor for name, tensor in source.tensors.items() if name.startswith("head.")}
    return changed_module(module, {**module.tensors, **head}, {"pooling": source.config["pooling"]}, role="ranking")


def without_first_layer(module: Module) -> Module:
    return changed_module(module, {n: t for n, t in module.tensors.items() if not n.startswith("head.dense.")})


def assert_head(base: Base, composition: Composition, source: Module) -> None:
    found, batch = output(base, composition), make_batch(base, PAIRS)
    with torch.inference_mode():
        states = compose(base, composition)(**batch.tensors())
        expected = build_ranking_head(source, HIDDEN)(states, batch.attention_mask, batch.sides)
    assert torch.equal(found.last_hidden_state, states)
    torch.testing.assert_close(found.logits, expected)
    assert head_source(base, composition) == source


def test_the_highest_modules_head_counts(tiny_base: Base) -> None:
    low, high = make_ranking(tiny_base, 1), make_ranking(tiny_base, 2, pooling="mean")
    ky = make_adapter(tiny_base, "ky", 3, invertible=False)
    full = make_ranking(tiny_base, 4, "full")
    mask, lora = with_head(make_mask(tiny_base, "en", 5), high), with_head(make_lora(tiny_base, "en", 6), low)
    cases: list[tuple[Composition, Module]] = [
        (as_composition(low), low),
        (ky + low, low),
        (low + ky, low),
        (low + high, high),
        (high + low + ky, low),
        (full + low, low),
        (low + full, full),
        (mask + ky, mask),
        (low + mask, mask),
        (lora + mask, mask),
        (split(query=make_adapter(tiny_base, "tr", 7), document=ky) + lora, lora),
    ]
    for composition, source in cases:
        assert_head(tiny_base, composition, source)


def test_heads_survive_arithmetic(tiny_base: Base) -> None:
    mask, other = with_head(make_mask(tiny_base, "en", 5), make_ranking(tiny_base, 1)), make_mask(tiny_base, "ky", 6)
    for composition in (subtract(mask, other), scale(mask, 0.5), average(mask, mask)):
        source = head_source(tiny_base, composition)
        assert torch.equal(source.tensors["head.out.weight"], mask.tensors["head.out.weight"])
        assert output(tiny_base, composition).logits.shape == (3, 1)


def test_two_labels(tiny_base: Base) -> None:
    rank = make_ranking(tiny_base, 1)
    out = {"head.out.weight": torch.ones(2, HIDDEN), "head.out.bias": torch.tensor([0.0, 2.0])}
    logits = output(tiny_base, as_composition(changed_module(rank, {**rank.tensors, **out}))).logits
    assert logits.shape == (3, 2)
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], torch.full((3,), 2.0))


def test_nothing_that_scores_is_refused(tiny_base: Base) -> None:
    ky = make_adapter(tiny_base, "ky", 3)
    with pytest.raises(XlrankError, match=r"^composition 'language/ky': nothing in it scores .* e\.g\. language/ky\+rank$"):
        output(tiny_base, as_composition(ky))
    with pytest.raises(XlrankError, match="was not resolved"):
        output(tiny_base, as_composition("ky"))


def by_pooler(base: Base, module: Module, states: Tensor, change: Tensor | float = 0.0) -> Tensor:
    pooler: Any = base.encoder.pooler
    first = torch.tanh(states[:, 0] @ (pooler.dense.weight + change).T + pooler.dense.bias)
    return first @ module.tensors["head.out.weight"].T + module.tensors["head.out.bias"]


def test_a_head_without_a_first_layer_uses_the_encoders_pooler(tiny_base: Base) -> None:
    rank, ky = without_first_layer(make_ranking(tiny_base, 1)), make_adapter(tiny_base, "ky", 3)
    found = output(tiny_base, ky + rank)
    torch.testing.assert_close(found.logits, by_pooler(tiny_base, rank, found.last_hidden_state))


def test_the_pooler_is_the_edited_one(tiny_base: Base) -> None:
    mask = make_mask(tiny_base, "ky", 5, ["pooler.dense.weight"])
    change = torch.zeros(HIDDEN * HIDDEN)
    change[mask.tensors["index.pooler.dense.weight"]] = mask.tensors["value.pooler.dense.weight"]
    rank = without_first_layer(make_ranking(tiny_base, 1))
    found = output(tiny_base, mask + rank)
    expected = by_pooler(tiny_base, rank, found.last_hidden_state, change.view(HIDDEN, HIDDEN))
    torch.testing.assert_close(found.logits, expected)
    assert (expected - by_pooler(tiny_base, rank, found.last_hidden_state)).abs().max() > 0.01


def test_a_base_without_pooler_needs_a_whole_head(tiny_bert_folder: Path) -> None:
    bare = load_base(tiny_bert_folder)
    bare.encoder.pooler = None
    rank = make_ranking(bare, 1)
    assert output(bare, as_composition(rank)).logits.shape == (3, 1)
    with pytest.raises(XlrankError, match="has no pooler, which the relevance head needs; use a head with a first layer of its"):
        output(bare, as_composition(without_first_layer(rank)))


def test_logits_are_float32_in_a_bfloat16_encoder(tiny_base: Base) -> None:
    for rank in (make_ranking(tiny_base, 1), without_first_layer(make_ranking(tiny_base, 1))):
        composition = make_adapter(tiny_base, "ky", 3) + rank
        coarse = CrossEncoder(tiny_base, "bf16").outputs(make_batch(tiny_base, PAIRS), composition)
        assert coarse.last_hidden_state.dtype == torch.bfloat16
        assert coarse.logits.dtype == torch.float32
        torch.testing.assert_close(coarse.logits, output(tiny_base, composition).logits, atol=0.05, rtol=0)


def test_in_reference_mode_invertible_adapters_stand_anywhere(tiny_base: Base) -> None:
    rank, ky = make_ranking(tiny_base, 1), make_adapter(tiny_base, "ky", 3)
    bare = changed_module(
        ky, {n: t for n, t in ky.tensors.items() if not n.startswith("invertible.")}, {"invertible": False}, name="bare"
    )
    # The original passes the embeddings once, through the lowest stage's block, and rank has none.
    torch.testing.assert_close(output(tiny_base, rank + ky, reference=True).logits, output(tiny_base, rank + bare).logits)
    with pytest.raises(XlrankError, match="put it lowest"):
        output(tiny_base, rank + ky)


def inputs(base: Base) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in vars(make_batch(base, PAIRS)).items() if name != "sides"}


@pytest.mark.parametrize("architecture", ["Bert", "XLMRoberta"])
def test_a_bases_own_relevance_head(architecture: str, tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path) -> None:
    source = tiny_bert_folder if architecture == "Bert" else tiny_xlmr_folder
    model = headed_checkpoint(tmp_path / "base", source, f"{architecture}ForSequenceClassification")
    base = load_base(tmp_path / "base")
    with torch.inference_mode():
        expected = model(**inputs(base)).logits
    torch.testing.assert_close(output(base, Stack(())).logits, expected)
    assert expected.shape == (3, 2)
    ky, rank = make_adapter(base, "ky", 3), make_ranking(base, 4)
    assert head_source(base, as_composition(ky)) == base.own_head
    assert output(base, as_composition(ky)).logits.shape == (3, 2)
    assert_head(base, ky + rank, rank)


UNTIED = {"tie_word_embeddings": False}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("BertForMaskedLM", {}),
        ("BertForMaskedLM", UNTIED),
        ("BertForMaskedLM", {"hidden_act": "relu"}),
        ("BertForPreTraining", {}),
        ("XLMRobertaForMaskedLM", {"hidden_act": "relu"}),
        ("XLMRobertaForMaskedLM", UNTIED),
    ],
)
def test_predictions_are_transformers(
    kind: str, config: dict[str, Any], tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path
) -> None:
    source = tiny_bert_folder if kind.startswith("Bert") else tiny_xlmr_folder
    model = headed_checkpoint(tmp_path / "base", source, kind, **config)
    base = load_base(tmp_path / "base")
    batch = make_batch(base, PAIRS)
    with torch.inference_mode():
        found = model(**inputs(base))
        expected = found.prediction_logits if kind.endswith("PreTraining") else found.logits
    torch.testing.assert_close(PredictionModel(base, Stack(()))(**batch.tensors()).logits, expected, atol=1e-4, rtol=1e-4)
    ky, en = make_adapter(base, "ky", 1), make_adapter(base, "en", 2)
    for composition in (as_composition(ky), split(query=ky, document=en)):
        whole, without = (PredictionModel(base, composition, inverse=inverse)(**batch.tensors()) for inverse in (True, False))
        assert torch.equal(whole.last_hidden_state, without.last_hidden_state)
        assert (whole.logits - without.logits).abs().max() > 0.1
        prediction = PredictionModel(base, composition)
        vectors = prediction.head.transform(whole.last_hidden_state)
        blocks = [prediction.encoder.invertibles.items[0], prediction.encoder.invertibles.items[-1]]
        inverted = [block.inverse(vectors) for block in blocks if block is not None]
        mixed = torch.where(batch.sides.unsqueeze(-1) == 0, inverted[0], inverted[1])
        words = model.get_output_embeddings().weight
        torch.testing.assert_close(whole.logits, mixed @ words.T + prediction.head.bias, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "XLMRobertaForMaskedLM"])
def test_a_tied_decoder_follows_edits_of_the_word_vectors(
    kind: str, tiny_bert_folder: Path, tiny_xlmr_folder: Path, tmp_path: Path
) -> None:
    headed_checkpoint(tmp_path / "base", tiny_bert_folder if kind.startswith("Bert") else tiny_xlmr_folder, kind)
    base, words = load_base(tmp_path / "base"), "embeddings.word_embeddings.weight"
    assert not any("decoder" in name for name in base.head_tensors)
    mask = make_mask(base, "ky", 5, [words])
    own = base.encoder.get_parameter(words).clone().view(-1)
    own[mask.tensors[f"index.{words}"]] += mask.tensors[f"value.{words}"]
    torch.testing.assert_close(PredictionModel(base, as_composition(mask)).decoder.reshape(-1), own)


def test_a_decoder_that_is_missing_is_not_taken_to_be_tied(tiny_bert_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    headed_checkpoint(tmp_path / "base", tiny_bert_folder, "BertForMaskedLM", **UNTIED)
    tensors = load_file(tmp_path / "base" / "model.safetensors")
    del tensors["cls.predictions.decoder.weight"]
    save_file(tensors, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(XlrankError, match="has no masked-language-model head in its checkpoint"):
        PredictionModel(load_base(tmp_path / "base"), Stack(()))


def test_an_encoder_alone_predicts_nothing(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="has no masked-language-model head in its checkpoint"):
        PredictionModel(tiny_base, Stack(()))
