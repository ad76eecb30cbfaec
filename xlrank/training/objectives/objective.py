"""An objective: where its examples come from, what a batch of them is, and the loss; and the names by which they are added up."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from xlrank.errors import XlrankError

LEARNT_FROM = {"mlm": "plain text", "align": "sentence pairs", "ict": "articles"}
"""The objectives, and what each needs."""
HOLD = "hold"
"""Is added to others: vectors of plain text stay near the base's."""


class Objective(nn.Module, ABC):
    """One thing that a language module learns, with its data.

    Attributes:
        name: by which it is asked for.
    """

    name: ClassVar[str]

    @abstractmethod
    def draw(self, turn: int, count: int, random: np.random.Generator) -> Any:  # noqa: ANN401 - its own kind of examples
        """The examples of its batch number ``turn``, ``count`` of them if there are as many; the same for the same arguments."""

    @abstractmethod
    def heldout(self, count: int) -> Sequence[Any]:
        """The held-out batches, of ``count`` examples or about; always the same."""

    @abstractmethod
    def collate(self, examples: Any) -> dict[str, Tensor]:  # noqa: ANN401 - as drawn
        """A batch as tensors, among them ``labels``."""

    @abstractmethod
    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch, a scalar."""

    @abstractmethod
    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """What of a batch the record adds up."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the module's record says of the data."""


def objectives_named(text: str) -> tuple[str, ...]:
    """The names in ``mlm+hold``, in the order given; batches take turns in that order.

    Raises:
        XlrankError: a name is unknown or comes twice, or ``hold`` has nothing to act on.
    """
    names = tuple(name.strip() for name in text.split("+"))
    known = (*LEARNT_FROM, HOLD)
    for name in names:
        if name not in known:
            raise XlrankError(f"objective {text!r}: {name!r} is none; expected one of {', '.join(known)}, or several joined by +")
        if names.count(name) > 1:
            raise XlrankError(f"objective {text!r}: {name!r} comes twice; name each once")
    if HOLD in names and not {"mlm", "ict"} & set(names):
        reason = "align has its own target" if "align" in names else "nothing is learnt"
        raise XlrankError(f"objective {text!r}: hold acts on mlm and ict, and {reason}; add one of them or leave it out")
    return names


def parts(count: int, size: int) -> list[tuple[int, int]]:
    """Cut ``count`` examples into batches of nearly equal size, about ``size`` or less: start and stop of each."""
    cuts = np.linspace(0, count, -(-count // size) + 1).round().astype(int).tolist()
    return list(zip(cuts[:-1], cuts[1:], strict=True))
