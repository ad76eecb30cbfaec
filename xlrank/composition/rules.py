"""What may be combined with what: checked before any weight is read."""

from xlrank.composition.expression import Composition, Leaf, Split
from xlrank.errors import XlrankError
from xlrank.modules import Module


def check_rules(composition: Composition) -> None:
    """Refuse a resolved composition that cannot score relevance.

    Raises:
        XlrankError: kinds that do not combine, or no ranking module on top; the message says why.
    """
    check_kinds(composition)
    ranking_module(composition)


def check_kinds(composition: Composition) -> None:
    """Refuse kinds of modules that do not combine.

    Raises:
        XlrankError: the message says which and why.
    """
    for place, stage in enumerate(composition.stages()):
        modules = [leaf.loaded() for leaf in stage.leaves()]
        kinds = {module.kind for module in modules}
        if isinstance(stage, Split) and kinds != {"adapter"}:
            raise XlrankError(
                f"composition: {stage} needs two adapters; weights that are replaced cannot differ from token to token"
            )
        if not kinds <= {"adapter", "full"}:
            raise XlrankError(
                f"composition: {modules[0].name!r} is a {modules[0].kind} module; expected an adapter or a full one"
            )
        above = next((module for module in modules if place > 0 and module.config.get("invertible")), None)
        if above is not None:
            raise XlrankError(
                f"composition: {above.name!r} has an invertible adapter, which works on the embeddings; put it lowest"
            )
        if "full" in kinds and place > 0:
            raise XlrankError(f"composition: {modules[0].name!r} replaces the encoder's weights, so nothing may stand below it")


def ranking_module(composition: Composition) -> Module:
    """The module whose head gives the scores: the composition's highest, which must be a ranking module.

    Raises:
        XlrankError: the highest stage is no ranking module.
    """
    top = composition.stages()[-1]
    if not isinstance(top, Leaf) or top.loaded().role != "ranking":
        raise XlrankError(f"composition {str(composition)!r}: the last stage must be a ranking module, e.g. {composition}+rank")
    return top.loaded()
