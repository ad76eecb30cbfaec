"""What a composition must be to score relevance: checked before any weight is read."""

from collections.abc import Iterator

from xlrank.composition.expression import Composition, Plain
from xlrank.composition.plan import plan
from xlrank.composition.sides import meeting_of, side_of
from xlrank.errors import XlrankError


def check_rules(composition: Composition, *, reference: bool = False) -> None:
    """Refuse a resolved composition that cannot score relevance.

    Raises:
        XlrankError: kinds that do not combine, or no ranking module in it; the message says why.
    """
    check_sides(composition, reference=reference)
    if meeting_of(composition) is None:
        raise XlrankError(
            f"composition {str(composition)!r}: it needs a ranking module to give scores, e.g. {composition}+rank, or late()"
        )


def check_sides(composition: Composition, *, reference: bool = False) -> None:
    """Refuse a resolved composition whose parts do not combine in the way in which its query and document meet.

    Raises:
        XlrankError: the message says why.
    """
    meeting = meeting_of(composition)
    if meeting is not None and meeting.interaction == "late":
        if reference:
            name = meeting.module.name if meeting.module else "late()"
            raise XlrankError(
                f"reference mode repeats quirks of the original's cross-encoder; {name} is late interaction, which the original "
                "does not have: leave reference out, or use a cross-encoder's ranking module"
            )
        plan(side_of(composition, "query"))
        plan(side_of(composition, "document"))
        return
    plan(composition, reference=reference)
    declared = next((node for node in _plain(composition) if node != Plain()), None)
    if declared is not None:
        raise XlrankError(
            f"composition {composition}: {declared} is plain for late interaction only, since the shipped language modules were "
            f"aligned with it; a cross-encoder needs a module of {declared}: name one, or write none to leave it out"
        )


def _plain(node: Composition) -> Iterator[Plain]:
    if isinstance(node, Plain):
        yield node
    for child in node.children():
        yield from _plain(child)
