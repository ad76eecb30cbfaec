"""Heads: pooling, the relevance logit and the prediction head by hand, and heads that do not fit."""

import pytest
import torch
from torch import Tensor

from tests.conftest import HIDDEN, changed_module, make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.layers import MlmHead, RankingHead, build_ranking_head, mean_pooling, relevance

STATES = torch.randn(3, 4, HIDDEN, generator=torch.Generator().manual_seed(1))
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]])
SIDES = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]])


def test_mean_pooling_leaves_padding_out() -> None:
    expected = torch.stack([STATES[0].mean(0), STATES[1, :3].mean(0), STATES[2, :2].mean(0)])
    torch.testing.assert_close(mean_pooling(STATES, MASK), expected)
    assert not mean_pooling(STATES, torch.zeros_like(MASK)).any()
    assert mean_pooling(STATES.bfloat16(), MASK).dtype == torch.float32


def pooled_by_hand(pooling: str) -> Tensor:
    if pooling == "cls":
        return STATES[:, 0]
    whole = [STATES[row, : MASK[row].sum()] for row in range(len(STATES))]
    if pooling == "mean":
        return torch.stack([tokens.mean(0) for tokens in whole])
    borders = [2, 1, 1]
    means = [(tokens[:border].mean(0), tokens[border:].mean(0)) for tokens, border in zip(whole, borders, strict=True)]
    return torch.stack([HIDDEN * (query / query.norm()) * (document / document.norm()) for query, document in means])


@pytest.mark.parametrize("pooling", ["cls", "mean", "match"])
def test_the_logit_by_hand(tiny_base: Base, pooling: str) -> None:
    module = make_ranking(tiny_base, 2, pooling=pooling)
    w = {name: module.tensors[f"head.{name}"] for name in ("dense.weight", "dense.bias", "out.weight", "out.bias")}
    inner = torch.tanh(pooled_by_hand(pooling) @ w["dense.weight"].T + w["dense.bias"])
    expected = inner @ w["out.weight"].T + w["out.bias"]
    head = build_ranking_head(module, HIDDEN)
    torch.testing.assert_close(head(STATES, MASK, SIDES), expected)
    assert expected.shape == (3, 1)
    torch.testing.assert_close(relevance(head(STATES, MASK, SIDES)), expected[:, 0])
    assert not any(parameter.requires_grad for parameter in head.parameters())


def test_two_labels_are_irrelevant_and_relevant(tiny_base: Base) -> None:
    ranking = make_ranking(tiny_base, 2)
    generator = torch.Generator().manual_seed(7)
    out = {"head.out.weight": torch.randn(2, HIDDEN, generator=generator), "head.out.bias": torch.tensor([0.5, -1.0])}
    head = build_ranking_head(changed_module(ranking, {**ranking.tensors, **out}), HIDDEN)
    logits = head(STATES, MASK, SIDES)
    assert logits.shape == (3, 2)
    probabilities = logits.softmax(1)
    torch.testing.assert_close(relevance(logits), (probabilities[:, 1] / probabilities[:, 0]).log())
    assert (relevance(logits) - logits[:, 1]).abs().max() > 0.1


def test_a_head_without_its_first_layer_waits_for_the_encoders(tiny_base: Base) -> None:
    ranking = make_ranking(tiny_base, 2)
    static = {name: tensor for name, tensor in ranking.tensors.items() if not name.startswith("head.dense.")}
    head = build_ranking_head(changed_module(ranking, static), HIDDEN)
    assert head.dense is None
    with pytest.raises(RuntimeError, match="the head's first layer, the encoder's pooler, was not put in place"):
        head(STATES, MASK, SIDES)
    whole = build_ranking_head(ranking, HIDDEN)
    head.dense = whole.dense
    assert torch.equal(head(STATES, MASK, SIDES), whole(STATES, MASK, SIDES))


def test_logits_are_float32_whatever_comes_in(tiny_base: Base) -> None:
    head = build_ranking_head(make_ranking(tiny_base, 2), HIDDEN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(STATES.bfloat16(), MASK, SIDES)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, head(STATES.bfloat16().float(), MASK, SIDES))


@pytest.mark.parametrize("pooling", ["cls", "mean", "match"])
def test_padding_does_not_matter(tiny_base: Base, pooling: str) -> None:
    head = build_ranking_head(make_ranking(tiny_base, 2, pooling=pooling), HIDDEN)
    other = STATES.clone()
    other[MASK == 0] = 100.0
    assert torch.equal(head(STATES, MASK, SIDES), head(other, MASK, SIDES))


def test_heads_that_do_not_fit_are_refused(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="module 'language/ky' has no relevance head with 1 or 2 labels"):
        build_ranking_head(make_adapter(tiny_base, "ky", 1), HIDDEN)
    ranking = make_ranking(tiny_base, 1)
    with pytest.raises(XlrankError, match="has no relevance head for hidden size 48"):
        build_ranking_head(ranking, 48)
    fewer = {name: tensor for name, tensor in ranking.tensors.items() if name != "head.out.bias"}
    with pytest.raises(XlrankError, match="module 'x' has no relevance head"):
        build_ranking_head(changed_module(ranking, fewer, name="x"), HIDDEN)
    three = {**ranking.tensors, "head.out.weight": torch.zeros(3, HIDDEN), "head.out.bias": torch.zeros(3)}
    with pytest.raises(XlrankError, match="module 'x' has no relevance head with 1 or 2 labels"):
        build_ranking_head(changed_module(ranking, three, name="x"), HIDDEN)


def test_a_fresh_match_head_orders_as_the_cosine_does() -> None:
    head = RankingHead(HIDDEN, "match")
    query = torch.randn(HIDDEN, generator=torch.Generator().manual_seed(2))
    documents = [query + 0.3 * noise * torch.randn(HIDDEN, generator=torch.Generator().manual_seed(3)) for noise in range(5)]
    states = torch.stack([torch.stack([query, document]) for document in documents])
    logits = relevance(head(states, torch.ones(5, 2), torch.tensor([[0, 1]] * 5)))
    assert logits.argsort(descending=True).tolist() == list(range(5))


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(XlrankError, match="unknown pooling 'max'; expected one of cls, mean, match"):
        RankingHead(HIDDEN, "max")


def test_the_prediction_head_by_hand() -> None:
    head = MlmHead(HIDDEN, 7, 1e-5)
    torch.manual_seed(3)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    x = STATES[0]
    inner = x @ head.dense.weight.T + head.dense.bias
    inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    scaled = (inner - inner.mean(-1, keepdim=True)) / torch.sqrt(inner.var(-1, unbiased=False, keepdim=True) + 1e-5)
    torch.testing.assert_close(head.transform(x), scaled * head.norm.weight + head.norm.bias)
    assert head.bias.shape == (7,)
