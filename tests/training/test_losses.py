"""The losses against plain loops over groups, their gradients, and targets that do not fit."""

import itertools
import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from xlrank.errors import XlrankError
from xlrank.training.data.opening import TrainingData
from xlrank.training.losses import LossName, check_data, needs, ranking_loss

NAMES: tuple[LossName, ...] = get_args(LossName)
GROUPS = torch.tensor([7, 3, 7, 3, 3, 7, 7, 12, 12])
"""Three groups of four, three and two rows, mixed up and numbered with gaps."""
LABELS = torch.tensor([1, 0, 0, 1, 0, 1, 0, 0, 1.0])
TEACHER = torch.tensor([2.5, -1, 0.3, 4, 0.2, 1.5, -2, 0.7, 0.1])
SCORES = torch.tensor([0.4, 1.2, -0.3, 2.0, -1.5, 0.9, 0.0, 0.8, -0.6])


def targets_of(name: LossName) -> Tensor:
    return LABELS if needs(name).targets == "labels" else TEACHER


def softmax(values: list[float]) -> list[float]:
    return [math.exp(value) / sum(math.exp(other) for other in values) for value in values]


def one_group(name: LossName, scores: list[float], targets: list[float]) -> float:
    pairs = list(itertools.combinations(range(len(scores)), 2))
    if name == "listwise":
        found = [-math.log(p) for p, label in zip(softmax(scores), targets, strict=True) if label]
        return sum(found) / len(found)
    if name == "pairwise":
        ordered = [(i, j) for i in range(len(scores)) for j in range(len(scores)) if targets[i] > targets[j]]
        return sum(math.log(1 + math.exp(scores[j] - scores[i])) for i, j in ordered) / len(ordered)
    if name == "margin-mse":
        return sum(((scores[i] - scores[j]) - (targets[i] - targets[j])) ** 2 for i, j in pairs) / len(pairs)
    return sum(t * math.log(t / s) for t, s in zip(softmax(targets), softmax(scores), strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bce"])
def test_ragged_groups_against_a_loop(name: LossName) -> None:
    targets, expected = targets_of(name), []
    for number in (3, 7, 12):
        rows = GROUPS == number
        expected.append(one_group(name, SCORES[rows].tolist(), targets[rows].tolist()))
    assert ranking_loss(name, SCORES, targets, GROUPS).item() == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_bce_is_the_mean_over_rows() -> None:
    rows = zip(SCORES.tolist(), LABELS.tolist(), strict=True)
    expected = [math.log(1 + math.exp(-score if label else score)) for score, label in rows]
    assert ranking_loss("bce", SCORES, LABELS, GROUPS).item() == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    assert ranking_loss("bce", SCORES[:1], LABELS[:1], GROUPS[:1]).item() == pytest.approx(expected[0], rel=1e-5)


def test_listwise_is_cross_entropy_where_one_of_equal_groups_is_relevant() -> None:
    scores = torch.randn(12, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(3, 4).index_put((torch.arange(3), torch.tensor([0, 2, 3])), torch.tensor(1.0)).view(-1)
    expected = torch.nn.functional.cross_entropy(scores.view(3, 4), torch.tensor([0, 2, 3]))
    torch.testing.assert_close(ranking_loss("listwise", scores, labels, torch.arange(3).repeat_interleave(4)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: LossName) -> None:
    targets = targets_of(name).double()
    assert torch.autograd.gradcheck(
        lambda scores: ranking_loss(name, scores, targets, GROUPS), (SCORES.double().requires_grad_(),)
    )


@pytest.mark.parametrize("name", NAMES)
def test_extreme_and_half_precision_scores_stay_finite(name: LossName) -> None:
    scores = (SCORES * 3e4).bfloat16().requires_grad_()
    loss = ranking_loss(name, scores, targets_of(name), GROUPS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("name", ["margin-mse", "kl"])
def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn(name: LossName) -> None:
    scores = (TEACHER + 5).requires_grad_()  # only differences count
    loss = ranking_loss(name, scores, TEACHER, GROUPS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert scores.grad is not None
    assert float(scores.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name: LossName) -> None:
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    moved = ranking_loss(name, SCORES[order], targets_of(name)[order], GROUPS[order])
    torch.testing.assert_close(moved, ranking_loss(name, SCORES, targets_of(name), GROUPS))


@pytest.mark.parametrize(
    ("name", "targets", "groups", "problem"),
    [
        ("margin-mse", [1, 0, 0], [0, 0, 0], "loss margin-mse: the targets are labels 0 and 1; expected a teacher's scores"),
        ("kl", [1, 0, 0], [0, 0, 0], "loss kl: the targets are labels 0 and 1; expected a teacher's scores"),
        ("kl", [1.5, 0, 3], [0, 0, 1], "loss kl: there are groups of one document"),
        ("margin-mse", [1.5, 0, 3], [0, 0, 1], "loss margin-mse: there are groups of one document"),
        ("bce", [1, 0.5, 0], [0, 0, 0], "loss bce: the targets are scores; expected labels 0 and 1"),
        ("listwise", [2.0, 0, 0], [0, 0, 0], "loss listwise: the targets are scores"),
        ("listwise", [1, 0, 0], [0, 0, 1], "loss listwise: there are groups without a positive"),
        ("listwise", [1, 0, 1], [0, 0, 1], "loss listwise: there are groups of one document"),
        ("pairwise", [0, 0, 0], [0, 0, 0], "loss pairwise: there are groups without a positive or a negative"),
        ("pairwise", [1, 0, 1], [0, 0, 1], "loss pairwise: there are groups without a positive or a negative"),
        ("hinge", [1, 0, 0], [0, 0, 0], "unknown loss 'hinge'; known: bce, listwise, pairwise, margin-mse, kl"),
        ("bce", [1, 0], [0, 0, 0], r"scores, targets and groups of shapes \[3\], \[2\], \[3\]"),
    ],
)
def test_targets_that_do_not_fit(name: Any, targets: list[float], groups: list[int], problem: str) -> None:  # noqa: ANN401
    with pytest.raises(XlrankError, match=problem):
        ranking_loss(name, torch.zeros(3), torch.tensor(targets), torch.tensor(groups))


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(XlrankError, match="expected"):
        ranking_loss("bce", torch.zeros(0), torch.zeros(0), torch.zeros(0, dtype=torch.int64))


def data(targets: Any, sizes: tuple[int, int]) -> TrainingData:  # noqa: ANN401 - a literal
    nothing: Any = None
    return TrainingData("g.jsonl", nothing, nothing, [], sizes, targets)


def test_data_are_checked_before_training() -> None:
    for name in NAMES:
        check_data(name, data(needs(name).targets, (2, 5)))
        with pytest.raises(XlrankError, match=rf"g\.jsonl: the loss {name} learns from"):
            check_data(name, data("scores" if needs(name).targets == "labels" else "labels", (2, 5)))
    check_data("bce", data("labels", (1, 1)))
    with pytest.raises(XlrankError, match=r"g\.jsonl: the loss pairwise compares documents"):
        check_data("pairwise", data("labels", (1, 3)))
