"""Late interaction's settings, its head by hand, MaxSim by hand, and what does not fit."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from tests.conftest import HIDDEN, changed_module, make_late_ranking, make_ranking
from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules.kinds.head.late import PROJECTION, LateHead, LateSettings, build_late_head, maxsim

GENERATOR = torch.Generator().manual_seed(1)
STATES = torch.randn(3, 5, HIDDEN, generator=GENERATOR)
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
CONTENT = torch.tensor([[0, 1, 1, 1, 0], [0, 1, 1, 0, 0], [0, 1, 0, 0, 0]])


def test_what_a_module_says_without_saying_anything() -> None:
    settings = LateSettings.of(None)
    assert settings == LateSettings()
    assert (settings.prompt("query"), settings.prompt("document")) == ("query: ", "passage: ")
    assert (settings.length("query"), settings.length("document")) == (256, 256)
    assert (settings.pooled, settings.temperature, settings.dim) == (0.0, 0.02, None)


def test_settings_survive_a_module(tiny_base: Base) -> None:
    settings: dict[str, Any] = {"query_prompt": "", "document_prompt": "d: ", "query_length": 12, "document_length": 33}
    settings |= {"pooled": 0.5, "temperature": 0.1, "dim": 8}
    found = LateSettings.of(make_late_ranking(tiny_base, 1, **settings))
    assert found == LateSettings(**settings)
    assert found.as_dict() == settings
    assert (found.prompt("query"), found.prompt("document"), found.length("query"), found.length("document")) == (
        "",
        "d: ",
        12,
        33,
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("query_prompt", None, "text"),
        ("document_prompt", 1, "text"),
        ("query_length", 7, "a whole number from 8 on"),
        ("query_length", 8.0, "a whole number from 8 on"),
        ("document_length", True, "a whole number from 8 on"),
        ("document_length", "64", "a whole number from 8 on"),
        ("pooled", -0.1, "a number from 0 on"),
        ("pooled", math.nan, "a number from 0 on"),
        ("pooled", math.inf, "a number from 0 on"),
        ("pooled", "1", "a number from 0 on"),
        ("pooled", True, "a number from 0 on"),
        ("temperature", 0, "a number above 0"),
        ("temperature", -1.0, "a number above 0"),
        ("temperature", math.inf, "a number above 0"),
        ("dim", 0, "a whole number from 1 on, or none"),
        ("dim", 2.5, "a whole number from 1 on, or none"),
        ("dim", False, "a whole number from 1 on, or none"),
    ],
)
def test_settings_out_of_range_are_refused(tiny_base: Base, name: str, value: object, expected: str) -> None:
    with pytest.raises(XlrankError) as caught:
        LateSettings(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"late interaction: {name} is {value!r}; expected {expected}"
    module = changed_module(make_late_ranking(tiny_base, 1), {}, {"late": {name: value}}, name="mine")
    with pytest.raises(XlrankError, match="^module 'mine': late interaction: "):
        LateSettings.of(module)


def test_damaged_settings_are_refused(tiny_base: Base) -> None:
    ranking = make_late_ranking(tiny_base, 1)
    for value, problem in (
        ([1], "module 'ranking/late': 'late' in its config must be an object; restore the module"),
        ({"weight": 1}, "module 'ranking/late': unknown setting 'weight' of late interaction; made by a newer xlrank?"),
    ):
        with pytest.raises(XlrankError) as caught:
            LateSettings.of(changed_module(ranking, {}, {"late": value}))
        assert str(caught.value) == problem
    with pytest.raises(XlrankError, match="must be an object"):
        LateSettings.of(make_ranking(tiny_base, 1))


def test_the_lowest_score_is_below_all_that_texts_can_have() -> None:
    for pooled in (0.0, 0.5, 3.0):
        opposite = -1.0 - pooled
        assert LateSettings(pooled=pooled).lowest < opposite


def by_hand(projection: Tensor | None) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Token vectors of the content, and pooled vectors, of each row."""
    vectors, pooled = [], []
    for row in range(len(STATES)):
        tokens = [STATES[row, i] for i in range(5) if CONTENT[row, i]]
        tokens = tokens if projection is None else [projection @ token for token in tokens]
        vectors.append([token / token.norm() for token in tokens])
        mean = STATES[row, : int(MASK[row].sum())].mean(0)
        pooled.append(mean / mean.norm())
    return vectors, pooled


@pytest.mark.parametrize("dim", [None, 8, 48])
def test_the_vectors_by_hand(tiny_base: Base, dim: int | None) -> None:
    module = make_late_ranking(tiny_base, 2, dim=dim)
    head = build_late_head(module, HIDDEN)
    vectors, pooled = head(STATES, MASK, CONTENT)
    expected, means = by_hand(module.tensors.get(PROJECTION))
    assert vectors.shape == (3, 5, dim or HIDDEN)
    for row in range(3):
        torch.testing.assert_close(vectors[row][CONTENT[row] == 1], torch.stack(expected[row]))
        assert not vectors[row][CONTENT[row] == 0].any()
    torch.testing.assert_close(pooled, torch.stack(means))
    assert not any(parameter.requires_grad for parameter in head.parameters())


def test_vectors_are_float32_whatever_the_encoder_computes_in(tiny_base: Base) -> None:
    head = build_late_head(make_late_ranking(tiny_base, 2, dim=8), HIDDEN)
    coarse, fine = head(STATES.bfloat16(), MASK, CONTENT), head(STATES, MASK, CONTENT)
    for found, expected in zip(coarse, fine, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def test_a_projection_that_learns_starts_orthogonal() -> None:
    head = LateHead(HIDDEN, 8)
    assert head.projection is not None and head.projection.bias is None
    weight = head.projection.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(8), atol=1e-5, rtol=0)
    assert weight.requires_grad
    assert LateHead(HIDDEN).projection is None


def test_a_projection_of_another_size_is_refused(tiny_base: Base) -> None:
    ranking = make_late_ranking(tiny_base, 1, dim=8)
    without = {name: tensor for name, tensor in ranking.tensors.items() if name != PROJECTION}
    bare = make_late_ranking(tiny_base, 1)
    for module, problem in (
        (changed_module(ranking, without), f"its projection is none, expected [8, {HIDDEN}]"),
        (
            changed_module(ranking, {**without, PROJECTION: torch.ones(8, HIDDEN + 1)}),
            f"its projection is [8, {HIDDEN + 1}], expected [8, {HIDDEN}]",
        ),
        (
            changed_module(ranking, {**without, PROJECTION: torch.ones(4, HIDDEN)}),
            f"its projection is [4, {HIDDEN}], expected [8, {HIDDEN}]",
        ),
        (
            changed_module(bare, {**bare.tensors, PROJECTION: torch.ones(8, HIDDEN)}),
            f"its projection is [8, {HIDDEN}], expected none",
        ),
    ):
        with pytest.raises(XlrankError) as caught:
            build_late_head(module, HIDDEN)
        assert str(caught.value) == f"module 'ranking/late': {problem} ([dim, hidden size])"


def random_texts(lengths: list[int], dim: int, seed: int) -> tuple[Tensor, Tensor]:
    """Padded unit vectors of texts of these lengths, special tokens around them, and where their content is."""
    generator = torch.Generator().manual_seed(seed)
    vectors = normalize(torch.randn(len(lengths), max(lengths) + 2, dim, generator=generator), dim=-1)
    content = torch.zeros(vectors.shape[:2], dtype=torch.long)
    for row, length in enumerate(lengths):
        content[row, 1 : length + 1] = 1
    return vectors * content.unsqueeze(-1), content


def test_maxsim_by_hand() -> None:
    queries, query_content = random_texts([1, 4, 2], 6, 1)
    documents, document_content = random_texts([3, 1, 7, 5], 6, 2)
    found = maxsim(queries, query_content, documents, document_content)
    assert found.shape == (3, 4)
    for q in range(3):
        for d in range(4):
            mine, theirs = queries[q][query_content[q] == 1], documents[d][document_content[d] == 1]
            best = [max(float(token @ other) for other in theirs) for token in mine]
            assert float(found[q, d]) == pytest.approx(sum(best) / len(best), abs=1e-6)


def test_maxsim_of_opposite_texts_is_negative() -> None:
    vectors, content = random_texts([3], 6, 3)
    vectors[0, 1:4] = vectors[0, 1]
    assert maxsim(vectors, content, -vectors, content).item() == pytest.approx(-1.0)


def test_maxsim_has_gradients_of_content_only() -> None:
    queries, query_content = random_texts([2, 3], 6, 4)
    documents, document_content = random_texts([4, 1], 6, 5)
    queries.requires_grad_()
    documents.requires_grad_()
    maxsim(queries, query_content, documents, document_content).sum().backward()  # type: ignore[no-untyped-call]
    for vectors, content in ((queries, query_content), (documents, document_content)):
        assert vectors.grad is not None and vectors.grad.isfinite().all()
        assert not vectors.grad[content == 0].any()
    assert queries.grad is not None and queries.grad[query_content == 1].abs().sum(-1).gt(0).all()
