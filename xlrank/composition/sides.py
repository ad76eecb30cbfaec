"""What one side of a composition goes through, where query and document are encoded apart; and how the two sides meet."""

from dataclasses import dataclass

from xlrank.bases.prompts import Side
from xlrank.composition.expression import NO_MODULE, Both, Composition, Late, Leaf, Split, Stack
from xlrank.errors import XlrankError
from xlrank.modules import Interaction, Module

NOTHING = Stack(())
"""The composition of the plain base."""


@dataclass(frozen=True)
class Meeting:
    """How query and document meet under a composition.

    Attributes:
        interaction: ``cross`` or ``late``.
        module: the ranking module that says so, the highest; None where ``late()`` does.
    """

    interaction: Interaction
    module: Module | None


def meeting_of(composition: Composition) -> Meeting | None:
    """How query and document meet; None where no part says it.

    Args:
        composition: its ranking modules loaded; leaves that are still open say nothing.

    Raises:
        XlrankError: it has a module for late interaction and one for a cross-encoder.
    """
    found: dict[Interaction, tuple[str, Module | None]] = {}
    for node in _nodes(composition):
        if isinstance(node, Late) and "late" not in found:
            found["late"] = (str(node), None)
        module = node.module if isinstance(node, Leaf) else None
        if module is not None and module.interaction is not None:
            found[module.interaction] = (module.name, module)
    if len(found) > 1:
        raise XlrankError(
            f"composition {composition}: {found['late'][0]} is for late interaction, {found['cross'][0]} for a cross-encoder; "
            "use one of them"
        )
    return next((Meeting(interaction, module) for interaction, (_, module) in found.items()), None)


def is_late(composition: Composition) -> bool:
    """Whether query and document meet in late interaction.

    Raises:
        XlrankError: as of :func:`meeting_of`.
    """
    meeting = meeting_of(composition)
    return meeting is not None and meeting.interaction == "late"


def side_of(composition: Composition, side: Side) -> Composition:
    """The composition that a side's texts go through when they are encoded alone; an empty stack is the plain base.

    Args:
        composition: resolved or open.
        side: whose.
    """
    if isinstance(composition, NO_MODULE):
        return NOTHING
    if isinstance(composition, Split):
        return side_of(composition.query if side == "query" else composition.document, side)
    children = composition.children()
    if not children:
        return composition
    found = composition.with_children([side_of(child, side) for child in children])
    if isinstance(found, Stack):
        return found.parts[0] if len(found.parts) == 1 else found
    return _around_nothing(composition, found) if NOTHING in found.children() else found


def _around_nothing(composition: Composition, found: Composition) -> Composition:
    """A node with an empty part: a sum is what is left of it, everything else needs all of its parts."""
    kept = [child for child in found.children() if child != NOTHING]
    if not kept:
        return NOTHING
    if isinstance(found, Both):
        return kept[0]
    raise XlrankError(f"composition: {composition} mixes a module with none; leave the plain part out")


def _nodes(composition: Composition) -> list[Composition]:
    return [composition, *(node for child in composition.children() for node in _nodes(child))]
