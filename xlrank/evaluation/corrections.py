"""Corrections of p-values for how many tests were made together (a family)."""

from collections.abc import Callable, Hashable, Mapping
from typing import Literal, TypeVar

from xlrank.errors import XlrankError

Correction = Literal["holm", "bh", "none"]
Name = TypeVar("Name", bound=Hashable)


def correct(p_values: Mapping[Name, float | None], correction: str) -> dict[Name, float | None]:
    """Correct a family of tests.

    Args:
        p_values: name to uncorrected p; ``None`` (no test was made) does not count as a test.
        correction: ``holm``, ``bh`` (Benjamini-Hochberg) or ``none``.

    Returns:
        The same names in the same order; corrected values are at most 1 and as ordered as the uncorrected ones.

    Raises:
        XlrankError: an unknown correction, or a p that is no probability.
    """
    for name, p in p_values.items():
        if p is not None and not 0 <= p <= 1:
            raise XlrankError(f"the p-value of {name!r} is {p}; expected a number from 0 to 1")
    methods: dict[str, Callable[[list[float]], list[float]]] = {"holm": _holm, "bh": _benjamini_hochberg, "none": list}
    if correction not in methods:
        raise XlrankError(f"correction is {correction!r}; expected holm, bh or none")
    tested = {name: p for name, p in p_values.items() if p is not None}
    names = sorted(tested, key=tested.__getitem__)
    found: dict[Name, float | None] = dict.fromkeys(p_values)
    found.update(zip(names, methods[correction]([tested[name] for name in names]), strict=True))
    return found


def holm(p_values: Mapping[Name, float | None]) -> dict[Name, float | None]:
    """Holm's correction (1979): the chance of any false discovery in the family stays below the level."""
    return correct(p_values, "holm")


def benjamini_hochberg(p_values: Mapping[Name, float | None]) -> dict[Name, float | None]:
    """Benjamini and Hochberg's correction (1995): the expected share of false discoveries among all stays below the level."""
    return correct(p_values, "bh")


def _holm(rising: list[float]) -> list[float]:
    corrected: list[float] = []
    for done, p in enumerate(rising):
        corrected.append(max([min(1.0, (len(rising) - done) * p), *corrected[-1:]]))
    return corrected


def _benjamini_hochberg(rising: list[float]) -> list[float]:
    corrected: list[float] = []
    for rank in range(len(rising), 0, -1):
        corrected.append(min([1.0, rising[rank - 1] * len(rising) / rank, *corrected[-1:]]))
    return corrected[::-1]
