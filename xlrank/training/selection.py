"""Which entries a sparse mask keeps: the k that full fine-tuning moved most (lottery-ticket sparse fine-tuning).

Ansell et al., ACL 2022. The original collects all differences in a Python list and partitions it; here a sample tells between
which bounds the k-th largest lies, and one pass over the parameters finds it there; they are never all held at once.
"""

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from xlrank.errors import XlrankError

CHUNK = 1 << 19
"""Entries looked at at once: 2 MB of float32, which stays in a processor's cache."""
SAMPLE = 1 << 20
"""Entries that the bounds are taken from."""
MARGIN = 5
"""Standard deviations between the bounds and where the sample puts the k-th largest."""


def most_changed(after: Mapping[str, Tensor], before: Mapping[str, Tensor], k: int) -> dict[str, Tensor]:
    """The positions of the ``k`` entries with the largest absolute change, exactly ``k`` of them.

    Args:
        after: parameters by name, float32.
        before: the same before training.
        k: how many in all; among equal changes those of earlier parameters and lower positions come first.

    Returns:
        Ascending flat positions by parameter, int32 (int64 in parameters of more than 2^31 entries); parameters without any are
        left out.

    Raises:
        XlrankError: ``k`` is not between 1 and the number of entries, or a change is NaN.
    """
    entries = sum(tensor.numel() for tensor in after.values())
    if not 1 <= k <= entries:
        raise XlrankError(f"mask: {k:,} entries of {entries:,}; expected a number from 1 to that, e.g. a smaller --entries")
    threshold, above = _kth_largest(after, before, k, entries)
    ties = k - above
    chosen: dict[str, list[Tensor]] = {}
    for name, offset, change in _changes(after, before):
        taken = change > threshold
        if ties and (equal := (change == threshold).nonzero().squeeze(1)[:ties]).numel():
            taken[equal] = True
            ties -= len(equal)
        found = taken.nonzero().squeeze(1)
        if len(found):
            chosen.setdefault(name, []).append(found + offset)
    narrow = {name: torch.int32 if after[name].numel() <= 1 << 31 else torch.int64 for name in chosen}
    return {name: torch.cat(parts).to(narrow[name]) for name, parts in chosen.items()}


def _kth_largest(after: Mapping[str, Tensor], before: Mapping[str, Tensor], k: int, entries: int) -> tuple[float, int]:
    """The k-th largest change, and how many changes are larger."""
    low, high = _bounds(after, before, k / entries, entries)
    while True:
        above, inside = 0, []
        for _, _, change in _changes(after, before):
            above += int(torch.count_nonzero(change > high))
            inside.append(change[(change >= low) & (change <= high)])
        between = torch.cat(inside)
        if above < k <= above + len(between):
            threshold = between.kthvalue(len(between) - (k - above) + 1).values
            return float(threshold), above + int(torch.count_nonzero(between > threshold))
        # A sample may mislead, as where most changes are equal: look everywhere on the side that was missed.
        low, high = (low, math.inf) if above >= k else (0.0, high)


def _bounds(after: Mapping[str, Tensor], before: Mapping[str, Tensor], share: float, entries: int) -> tuple[float, float]:
    """Changes between which the one lies that this share of all exceeds, judged by every so-manieth entry."""
    step = max(1, entries // SAMPLE)
    thinned = ((after[name].detach().reshape(-1)[::step], before[name].detach().reshape(-1)[::step]) for name in after)
    sample = torch.cat([(new - old).abs() for new, old in thinned]).sort(descending=True).values
    place, spread = share * len(sample), MARGIN * math.sqrt(share * (1 - share) * len(sample)) + 1
    first, last = math.floor(place - spread), math.ceil(place + spread)
    return (0.0 if last >= len(sample) else float(sample[last])), (math.inf if first < 0 else float(sample[first]))


def _changes(after: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> Iterator[tuple[str, int, Tensor]]:
    """(parameter, first position, absolute changes) in pieces."""
    for name, tensor in after.items():
        new, old = tensor.detach().reshape(-1), before[name].detach().reshape(-1)
        for start in range(0, len(new), CHUNK):
            change = (new[start : start + CHUNK] - old[start : start + CHUNK]).abs_()
            if change.sum().isnan():
                raise XlrankError(f"mask: {name} holds NaN after training; lower --rate and start again")
            yield name, start, change
