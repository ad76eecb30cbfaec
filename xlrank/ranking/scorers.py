"""One scorer at work for whatever compositions the pairs at hand need: together where they can share a batch, else in turn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.model import head_source
from xlrank.composition.plan import plan
from xlrank.modules import Module
from xlrank.precision import ResolvedPrecision
from xlrank.ranking.pairs import EncodedPair, PairEncoder
from xlrank.ranking.scorer import Scorer

Shared = tuple[tuple[Module, ...], Module, Composition | None]
"""What compositions must have in common to share a batch: modules that change weights, and the head; in reference mode all."""


@dataclass
class Scorers:
    """Keeps one :class:`Scorer` and switches it; languages that it has seen stay resident while they can share its weights."""

    base: Base
    precision: ResolvedPrecision
    reference: bool = False
    _scorer: Scorer | None = None
    _shared: Shared | None = None

    def groups(self, compositions: Sequence[Composition]) -> Iterator[tuple[list[int], "Group"]]:
        """For pairs of the given compositions: the pairs that are scored together, and what scores them, group by group.

        Raises:
            XlrankError: something cannot be composed.
        """
        distinct = {composition: self._in_common(composition) for composition in dict.fromkeys(compositions)}
        for shared in dict.fromkeys(distinct.values()):
            wanted = [composition for composition, other in distinct.items() if other == shared]
            rows = [i for i, composition in enumerate(compositions) if distinct[composition] == shared]
            yield rows, Group(self._switched(wanted, shared))

    def _in_common(self, composition: Composition) -> Shared:
        edits = plan(composition, reference=self.reference).edits
        return tuple(edits), head_source(self.base, composition), composition if self.reference else None

    def _switched(self, wanted: Sequence[Composition], shared: Shared) -> Scorer:
        if self._scorer is None:
            self._scorer = Scorer(self.base, *wanted, precision=self.precision, reference=self.reference)
        else:
            resident = self._scorer.compositions if self._shared == shared else ()
            self._scorer.switch(*dict.fromkeys([*resident, *wanted]))
        self._shared = shared
        return self._scorer


class Group:
    """Scores batches of pairs whose compositions the scorer holds."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.numbers = {composition: number for number, composition in enumerate(scorer.compositions)}

    def __call__(self, rows: Sequence[EncodedPair], compositions: Sequence[Composition], encoder: PairEncoder) -> Tensor:
        """Scores [rows] of encoded pairs, each with its composition."""
        variants = [self.numbers[composition] for composition in compositions] if len(self.numbers) > 1 else None
        return self.scorer(encoder.batch(rows, variants))
