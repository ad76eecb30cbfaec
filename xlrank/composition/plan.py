"""What a composition asks of an encoder: edits of its weights, stages of adapters, and low-rank updates by side."""

from dataclasses import dataclass, field

from xlrank.composition.expression import NO_MODULE, Both, Composition, Leaf, Split, Stack, StandIn
from xlrank.composition.functions import Changed, Merged, Part
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds import kind_named

Stage = tuple[Part | None, ...]
"""One part for all tokens, or the query side's and the document side's; None: these tokens pass."""


@dataclass
class Plan:
    """A composition, sorted by how it takes effect.

    Attributes:
        composition: that it is a plan of.
        edits: modules that change weights for all tokens, in order.
        adapters: stages of adapters, the lowest first.
        updates: stages of LoRAs that differ by side.
        modules: all modules in order.
    """

    composition: Composition
    edits: list[Module] = field(default_factory=list)
    adapters: list[Stage] = field(default_factory=list)
    updates: list[Stage] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)


def plan(composition: Composition, *, reference: bool = False) -> Plan:
    """Sort a resolved composition's stages.

    Args:
        composition: with all modules loaded.
        reference: ``both`` adds one mask twice when it stands on both sides, as the original did.

    Raises:
        XlrankError: modules are combined in a way that has no meaning; the message says why.
    """
    result = Plan(composition)
    for stage in _stages(composition, reference):
        modules = [part.module for part in stage if part is not None]
        if not modules:
            continue
        result.modules += modules
        kinds = {module.kind for module in modules}
        kind = kind_named(modules[0].kind)
        if "head" in {kind_named(name).place for name in kinds}:
            raise XlrankError(f"composition {composition}: {modules[0].name!r} is a head, which changes no layer; leave it out")
        if len(kinds) > 1:
            raise XlrankError(
                f"composition {composition}: the two sides of a split must be of one kind, they are {sorted(kinds)}"
            )
        if len(stage) > 1 and not kind.sided:
            raise XlrankError(
                f"composition {composition}: a split needs adapters or LoRAs; a {kind.name} module changes the weights "
                "that all tokens share (both(…) adds two masks)"
            )
        if kind.place == "layers":
            _check_embeddings(result, stage, reference)
            result.adapters.append(stage)
        elif len(stage) == 1:
            _add_edit(result, modules[0])
        else:
            result.updates.append(stage)
    return result


def _check_embeddings(result: Plan, stage: Stage, reference: bool) -> None:
    parts = [part for part in stage if part is not None and part.invertible]
    above = next((p.module for p in parts if kind_named(p.module.kind).works_on_embeddings(p.module)), None)
    if result.adapters and above is not None and not reference:
        raise XlrankError(f"composition: {above.name!r} has an invertible adapter, which works on the embeddings; put it lowest")


def _add_edit(result: Plan, module: Module) -> None:
    if result.edits and kind_named(module.kind).replaces_weights(module):
        raise XlrankError(
            f"composition: {module.name!r} replaces the encoder's weights and would undo {result.edits[-1].name!r} below it"
        )
    result.edits.append(module)


def _stages(node: Composition, reference: bool) -> list[Stage]:
    if isinstance(node, Stack):
        return [stage for part in node.parts for stage in _stages(part, reference)]
    if isinstance(node, Split):
        return [(_side(node.query), _side(node.document))]
    if isinstance(node, NO_MODULE) or (isinstance(node, StandIn) and isinstance(node.part, NO_MODULE)):
        return []
    if isinstance(node, Both):
        parts = [part for part in (_side(node.query), _side(node.document)) if part is not None]
        if not all(kind_named(part.module.kind).summable for part in parts):
            raise XlrankError(f"{node}: only masks and LoRAs can be added up; adapters of two languages are combined by split(…)")
        same = len(parts) == 2 and parts[0].module == parts[1].module and not reference
        return [(part,) for part in (parts[:1] if same else parts)]
    if isinstance(node, Changed):
        return [tuple(part and node.change(part) for part in stage) for stage in _stages(node.part, reference)]
    return [(_part(node),)]


def _side(node: Composition) -> Part | None:
    """One side of a split: a module, or none."""
    if isinstance(node, StandIn):
        return _side(node.part)
    return None if isinstance(node, NO_MODULE) else _part(node)


def _part(node: Composition) -> Part:
    """A node that stands for one module."""
    if isinstance(node, Leaf):
        return Part(node.loaded())
    if isinstance(node, StandIn):
        return _part(node.part)
    if isinstance(node, Changed):
        return node.change(_part(node.part))
    if isinstance(node, Merged):
        return node.merge([_part(child) for child in node.children()])
    raise XlrankError(f"composition: {node} stands where one module is needed")
