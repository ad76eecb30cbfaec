"""One composed encoder for whatever compositions the rows at hand need: together where they can share a batch, else in turn."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch

from xlrank.bases import Base
from xlrank.composition import Composition
from xlrank.composition.compose import Composer
from xlrank.composition.encoder import ComposedEncoder
from xlrank.composition.plan import Plan, plan
from xlrank.errors import XlrankError
from xlrank.precision import ResolvedPrecision, torch_dtype
from xlrank.ranking.int8 import quantize_linears


@dataclass(frozen=True)
class Group:
    """Rows whose compositions the encoder holds at present.

    Attributes:
        rows: their numbers.
        variants: number of each row's composition in the encoder; None where it holds one.
    """

    rows: list[int]
    variants: list[int] | None


class SharedEncoder:
    """Composes an encoder and switches it; compositions that it has seen stay in it while they can share its weights.

    Every composition is planned once.

    Args:
        base: the encoder's base.
        precision: that it computes in.
        reference: see :func:`~xlrank.composition.compose.compose`.
        also: what compositions must have in common beside the weights that they change to share a batch.
    """

    def __init__(
        self,
        base: Base,
        precision: ResolvedPrecision = "fp32",
        *,
        reference: bool = False,
        also: Callable[[Plan], Hashable] = lambda _plan: None,
    ) -> None:
        self.base, self.precision, self.reference, self.also = base, precision, reference, also
        self.device = torch.device("cuda" if torch.cuda.is_available() and precision != "int8" else "cpu")
        self.resident: tuple[Composition, ...] = ()
        self._composer = self._new_composer()
        self._encoder: ComposedEncoder | None = None
        self._shared: Hashable = None
        self._plans: dict[Composition, Plan] = {}

    def planned(self, composition: Composition) -> Plan:
        """The plan of a composition.

        Raises:
            XlrankError: its parts cannot be combined.
        """
        if composition not in self._plans:
            self._plans[composition] = plan(composition, reference=self.reference)
        return self._plans[composition]

    def groups(self, compositions: Sequence[Composition]) -> Iterator[Group]:
        """Rows of the given compositions, group by group; the encoder holds a group's compositions until the next is asked for.

        Raises:
            XlrankError: something cannot be composed; the encoder keeps what it held.
        """
        distinct = {composition: self._in_common(composition) for composition in dict.fromkeys(compositions)}
        for shared in dict.fromkeys(distinct.values()):
            self._place([composition for composition, other in distinct.items() if other == shared], shared)
            numbers = {composition: number for number, composition in enumerate(self.resident)}
            rows = [i for i, composition in enumerate(compositions) if distinct[composition] == shared]
            variants = [numbers[compositions[i]] for i in rows] if len(numbers) > 1 else None
            yield Group(rows, variants)

    def hold(self, *compositions: Composition) -> None:
        """Put these compositions into the encoder, together, beside those that it holds and that go with them.

        Raises:
            XlrankError: they cannot share a batch, or not be composed; the encoder keeps what it held.
        """
        distinct = {self._in_common(composition) for composition in compositions}
        if len(distinct) > 1:
            raise XlrankError(
                f"compositions {compositions[0]} and {compositions[-1]} change the weights that all rows of a batch share "
                "differently, or score with other heads; rank them apart"
            )
        self._place(compositions, distinct.pop())

    @property
    def encoder(self) -> ComposedEncoder:
        """The encoder as it is composed at present."""
        if self._encoder is None:
            raise RuntimeError("SharedEncoder.groups must be asked before its encoder")
        return self._encoder

    def _new_composer(self) -> Composer:
        return Composer(self.base, torch_dtype(self.precision), reference=self.reference)

    def _in_common(self, composition: Composition) -> Hashable:
        wanted = self.planned(composition)
        return tuple(wanted.edits), self.also(wanted), composition if self.reference else None

    def _place(self, wanted: Sequence[Composition], shared: Hashable) -> None:
        kept = self.resident if self._encoder is not None and self._shared == shared else ()
        resident = tuple(dict.fromkeys([*kept, *wanted]))
        if self._encoder is not None and resident == self.resident:
            return
        if self.precision == "int8":  # quantised layers cannot be turned back
            self._composer = self._new_composer()
        self._encoder = self._composer.compose([self.planned(composition) for composition in resident])
        self.resident, self._shared = resident, shared
        if self.precision == "int8":
            quantize_linears(self._encoder)
        if self.device.type != "cpu":  # everything is made there, and looking at every layer takes as long as a switch
            self._encoder.to(self.device)
