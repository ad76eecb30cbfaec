"""What an evaluation returns: a mapping of values per topic that prints as the means, and says which topics were left out."""

import math
from collections.abc import Mapping, Sequence

from xlrank.errors import XlrankError


class Evaluation(dict[str, dict[str, float]]):
    """Metric (as it was asked for) to topic id to value; printed, the means.

    Attributes:
        notes: a line on each kind of topics that did not count as the others did, with how many they were.
    """

    def __init__(self, values: Mapping[str, dict[str, float]], notes: Sequence[str] = ()) -> None:
        super().__init__(values)
        self.notes = tuple(notes)

    @property
    def means(self) -> dict[str, float]:
        """Metric to its mean over topics.

        Raises:
            XlrankError: there is no topic.
        """
        return {metric: mean(values) for metric, values in self.items()}

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        lines = [f"{metric:{width}}  {mean(values):.4f}" if values else f"{metric:{width}}  –" for metric, values in self.items()]
        topics = len(next(iter(self.values()), {}))
        return "\n".join([*lines, f"means over {topics} topics", *(f"note: {note}" for note in self.notes)])


def mean(values: Mapping[str, float]) -> float:
    """The arithmetic mean over topics.

    Raises:
        XlrankError: there is no topic.
    """
    if not values:
        raise XlrankError("no topics to average over; evaluate on at least one judged topic")
    return math.fsum(values.values()) / len(values)
