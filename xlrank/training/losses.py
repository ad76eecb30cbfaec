"""Losses of ranking modules over groups of documents of any sizes; all in float32 (or wider) and without loops."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from xlrank.errors import XlrankError
from xlrank.training.data.opening import TrainingData
from xlrank.training.data.records import Targets

LossName = Literal["bce", "listwise", "pairwise", "margin-mse", "kl"]
"""What a cross-encoder can learn by."""

LateLossName = Literal["contrastive", "margin-mse", "kl"]
"""What late interaction can learn by (:mod:`xlrank.training.late`)."""


@dataclass(frozen=True)
class Needs:
    """What a loss needs of training data: the arguments of the same names of :func:`~xlrank.training.data.open_data`.

    Attributes:
        targets: ``labels``, or a teacher's ``scores``.
        grouped: whether it compares documents of the same query.
    """

    targets: Targets
    grouped: bool


def needs(name: LossName) -> Needs:
    """What a loss needs.

    Raises:
        XlrankError: no such loss.
    """
    if name not in get_args(LossName):
        raise XlrankError(f"unknown loss {name!r}; known: {', '.join(get_args(LossName))}")
    return Needs("scores" if name in ("margin-mse", "kl") else "labels", grouped=name != "bce")


def check_data(name: LossName, data: TrainingData) -> None:
    """Check before training that data have what a loss needs.

    Raises:
        XlrankError: they lack a teacher's scores or labels, or have single documents where documents are compared.
    """
    wanted = needs(name)
    if data.targets != wanted.targets:
        have, lack = ("labels", "a teacher's scores") if wanted.targets == "scores" else ("a teacher's scores", "labels")
        raise XlrankError(f"{data.name}: the loss {name} learns from {lack}, these data were opened with {have}")
    if wanted.grouped and data.sizes[0] < 2:
        raise XlrankError(
            f"{data.name}: the loss {name} compares documents of a query, but some stand alone; use bce or add negatives"
        )


def ranking_loss(name: LossName, scores: Tensor, targets: Tensor, groups: Tensor) -> Tensor:
    """The loss of a batch, a scalar.

    Args:
        name: one of

            * ``bce``: binary cross-entropy of each document's logit, mean over rows (the paper's);
            * ``listwise``: cross-entropy of the softmax over each group with the labels, which several positives share
              equally, mean over groups (Cao et al. 2007);
            * ``pairwise``: log(1 + exp(s_negative - s_positive)), mean over the pairs of a group, then over groups
              (RankNet, Burges et al. 2005);
            * ``margin-mse``: squared difference between the student's and the teacher's difference of two documents' scores,
              mean over the pairs of a group, then over groups (Hofstätter et al. 2020);
            * ``kl``: KL divergence of the softmax over each group from that of the teacher's scores, mean over groups.
        scores: relevance logits [rows].
        targets: labels 0 and 1, or for ``margin-mse`` and ``kl`` a teacher's scores [rows].
        groups: number of each row's group [rows]; neither sorted nor without gaps.

    Raises:
        XlrankError: no such loss, shapes differ, or the targets are not of the kind that the loss needs: scores instead of
            labels or the reverse, a group without a positive, or without another document to compare with.
    """
    wanted = needs(name)
    if scores.ndim != 1 or not scores.shape == targets.shape == groups.shape or not len(scores):
        shapes = ", ".join(str(list(tensor.shape)) for tensor in (scores, targets, groups))
        raise XlrankError(f"loss {name}: scores, targets and groups of shapes {shapes}; expected [rows], the same for all")
    dtype = torch.promote_types(scores.dtype, torch.float32)
    scores, targets = scores.to(dtype), targets.to(dtype)
    labels = bool(((targets == 0) | (targets == 1)).all())
    if labels != (wanted.targets == "labels"):
        found = "are labels 0 and 1" if labels else "are scores"
        expected = "labels 0 and 1" if wanted.targets == "labels" else "a teacher's scores"
        raise XlrankError(f"loss {name}: the targets {found}; expected {expected}")
    if name == "bce":
        return binary_cross_entropy_with_logits(scores, targets)
    return _GROUPED[name](scores, targets, _Groups(groups))


class _Groups:
    """Sums and softmaxes over the rows of each group."""

    index: Tensor
    sizes: Tensor

    def __init__(self, numbers: Tensor) -> None:
        _, self.index, self.sizes = torch.unique(numbers, return_inverse=True, return_counts=True)

    def sum(self, values: Tensor) -> Tensor:
        """Sums [groups] of values [rows]."""
        return values.new_zeros(len(self.sizes)).index_add(0, self.index, values)

    def log_softmax(self, values: Tensor) -> Tensor:
        """Logarithm of the softmax [rows] over each group."""
        lowest = values.new_full((len(self.sizes),), -torch.inf)
        # The maximum only keeps the exponentials finite; the result does not depend on it, nor does the gradient.
        largest = lowest.scatter_reduce(0, self.index, values.detach(), "amax")[self.index]
        shifted = values - largest
        return shifted - self.sum(shifted.exp()).log()[self.index]

    def require(self, met: Tensor, what: str) -> None:
        """Check something about all groups.

        Raises:
            XlrankError: it is not met [groups] by one of them.
        """
        if not bool(met.all()):
            raise XlrankError(f"loss {what}; leave such groups out or use the loss bce")


def _listwise(scores: Tensor, targets: Tensor, groups: _Groups) -> Tensor:
    positives = groups.sum(targets)
    groups.require(positives > 0, "listwise: there are groups without a positive")
    groups.require(groups.sizes > 1, "listwise: there are groups of one document")
    return (-groups.sum(targets * groups.log_softmax(scores)) / positives).mean()


def _pairwise(scores: Tensor, targets: Tensor, groups: _Groups) -> Tensor:
    positives = groups.sum(targets)
    groups.require((positives > 0) & (positives < groups.sizes), "pairwise: there are groups without a positive or a negative")
    same = groups.index[:, None] == groups.index
    better, worse = (same & (targets[:, None] > targets)).nonzero(as_tuple=True)
    pairs = (positives * (groups.sizes - positives))[groups.index[better]]
    return (softplus(scores[worse] - scores[better]) / pairs).sum() / len(groups.sizes)


def _margin_mse(scores: Tensor, targets: Tensor, groups: _Groups) -> Tensor:
    groups.require(groups.sizes > 1, "margin-mse: there are groups of one document")
    # The mean over all pairs of (d_i - d_j)^2, with d the student's less the teacher's score, is twice the variance of d.
    differences = scores - targets
    centred = differences - (groups.sum(differences) / groups.sizes)[groups.index]
    return (2 * groups.sum(centred**2) / (groups.sizes - 1)).mean()


def _kl(scores: Tensor, targets: Tensor, groups: _Groups) -> Tensor:
    groups.require(groups.sizes > 1, "kl: there are groups of one document")
    teacher = groups.log_softmax(targets)
    return groups.sum(teacher.exp() * (teacher - groups.log_softmax(scores))).mean()


_GROUPED: dict[str, Callable[[Tensor, Tensor, _Groups], Tensor]] = {
    "listwise": _listwise,
    "pairwise": _pairwise,
    "margin-mse": _margin_mse,
    "kl": _kl,
}
