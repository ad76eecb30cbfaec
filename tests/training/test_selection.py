"""The entries that moved most: exactly k, ties in order, as composable-sft's rule picks them where there are none."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from xlrank.errors import XlrankError
from xlrank.training import selection
from xlrank.training.selection import most_changed

Tensors = dict[str, Tensor]


def moved(seed: int, scale: float = 1.0) -> tuple[Tensors, Tensors]:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a": (40, 30), "b": (7,), "c": (3, 5, 11)}
    before = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return {name: t + scale * torch.randn(t.shape, generator=generator) for name, t in before.items()}, before


def by_composable_sft(after: Tensors, before: Tensors, k: int) -> dict[str, list[int]]:
    """Its rule: the k-th largest of all absolute differences, collected in one list, is the threshold; all not below it stay."""
    differences: list[float] = []
    for name in after:
        differences.extend((after[name] - before[name]).abs().reshape(-1).tolist())
    threshold = np.partition(differences, len(differences) - k)[len(differences) - k]
    kept = {name: (after[name] - before[name]).abs().reshape(-1) >= threshold for name in after}
    return {name: mask.nonzero().squeeze(1).tolist() for name, mask in kept.items() if mask.any()}


@pytest.mark.parametrize("k", [1, 2, 17, 600, 1371, 1372])
@pytest.mark.parametrize("sizes", [(1 << 19, 1 << 20), (50, 64)])
def test_the_same_entries_as_composable_sfts(k: int, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "CHUNK", sizes[0])
    monkeypatch.setattr(selection, "SAMPLE", sizes[1])
    after, before = moved(k)
    found = most_changed(after, before, k)
    assert {name: index.tolist() for name, index in found.items()} == by_composable_sft(after, before, k)
    assert {index.dtype for index in found.values()} == {torch.int32}


@pytest.mark.parametrize("chunk", [1 << 19, 13])
@pytest.mark.parametrize("k", [1, 5, 100, 500, 1000])
def test_ties_are_broken_by_order(k: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "CHUNK", chunk)
    before = {"a": torch.zeros(20, 30), "b": torch.zeros(400)}
    after = {"a": torch.ones(20, 30), "b": -torch.ones(400)}
    after["b"][7] = 3
    found = most_changed(after, before, k)
    assert sum(map(len, found.values())) == k
    assert 7 in found["b"]
    assert found.get("a", torch.tensor([], dtype=torch.int32)).tolist() == list(range(min(k - 1, 600)))
    assert found["b"].tolist() == sorted({7, *[i for i in range(400) if i != 7][: max(0, k - 601)]})


def test_entries_that_did_not_move_come_last() -> None:
    after, before = moved(1)
    after["a"] = before["a"].clone()
    found = most_changed(after, before, 7 + 165)
    assert set(found) == {"b", "c"}
    assert sum(map(len, most_changed(after, before, 7 + 165 + 3).values())) == 7 + 165 + 3


def test_a_misleading_sample_costs_time_not_correctness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "SAMPLE", 10)
    before = {"a": torch.zeros(1000)}
    after = {"a": torch.zeros(1000)}
    after["a"][1::100] = torch.arange(1.0, 11.0)  # never looked at by the sample, which takes every hundredth from 0 on
    found = most_changed(after, before, 4)
    assert found["a"].tolist() == [601, 701, 801, 901]


@pytest.mark.parametrize("k", [0, -1, 1373])
def test_a_number_that_there_cannot_be_is_refused(k: int) -> None:
    after, before = moved(1)
    with pytest.raises(XlrankError, match="entries of 1,372; expected a number from 1 to that"):
        most_changed(after, before, k)


@pytest.mark.parametrize("value", [math.nan])
def test_values_that_are_none_are_refused(value: float) -> None:
    after, before = moved(1)
    after["b"][3] = value
    with pytest.raises(XlrankError, match="mask: b holds NaN after training; lower --rate"):
        most_changed(after, before, 5)
