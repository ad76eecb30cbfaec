"""What a composition must be to score relevance: checked before any weight is read."""

from xlrank.composition.expression import Composition
from xlrank.composition.plan import plan
from xlrank.errors import XlrankError


def check_rules(composition: Composition, *, reference: bool = False) -> None:
    """Refuse a resolved composition that cannot score relevance.

    Raises:
        XlrankError: kinds that do not combine, or no ranking module in it; the message says why.
    """
    modules = plan(composition, reference=reference).modules
    if all(module.role != "ranking" for module in modules):
        raise XlrankError(f"composition {str(composition)!r}: it needs a ranking module to give scores, e.g. {composition}+rank")
