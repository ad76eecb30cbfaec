"""What a composition does, whatever its modules are called."""

from xlrank.composition.expression import Composition, Leaf, Plain, StandIn


def identity_of(composition: Composition) -> str:
    """The expression with every module's digest in the place of its name: equal for compositions that act alike.

    Raises:
        XlrankError: a leaf was never resolved.
    """
    return str(_by_digest(composition))


def _by_digest(node: Composition) -> Composition:
    if isinstance(node, Leaf):
        return Leaf(node.loaded().digest)
    if isinstance(node, StandIn):
        return _by_digest(node.part)
    if isinstance(node, Plain):
        return Plain()
    return node.with_children([_by_digest(child) for child in node.children()])
