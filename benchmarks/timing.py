"""Times of alternatives, measured in turn so that a busy machine slows all of them, and tables of what came out."""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds of one alternative, a value a round."""

    seconds: Sequence[float]

    @property
    def best(self) -> float:
        """The fastest round: what the machine can do when left alone."""
        return min(self.seconds)

    def ratio(self, other: "Times") -> float:
        """Median over rounds of this alternative's time by the other's in the same round."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True))


def take_turns(alternatives: Mapping[str, Callable[[], object]], rounds: int = 9, warm_up: int = 1) -> dict[str, Times]:
    """Run every alternative once a round, in an order of the round's own, and time it."""
    for _ in range(warm_up):
        for run in alternatives.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    order, shuffle = list(alternatives.items()), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name, run in order:
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: Times(values) for name, values in seconds.items()}


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print an aligned table; the first column is text, the others are numbers."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}\n")
    for row in [header, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))))
