"""The systems that have a name of their own, and expressions for all others."""

import re
from typing import Any

from xlrank.errors import XlrankError

KNOWN: dict[str, dict[str, Any]] = {
    "bm25": {"label": "translated query + BM25", "retrieve": "bm25"},
    "psq": {"label": "PSQ + BM25", "retrieve": "psq"},
    "dense": {"label": "dense retrieval", "retrieve": "dense"},
    "fusion": {"label": "dense and PSQ, fused", "retrieve": "fusion"},
    "feedback": {"label": "fused, with feedback", "retrieve": "feedback"},
    "first": {"label": "first stage", "retrieve": "first"},
    "late": {"label": "late interaction", "compose": "split(query,document)+rank"},
    "late-la": {"label": "late interaction, no language modules", "compose": "rank"},
    "best": {"label": "feedback learned from late interaction", "retrieve": "best"},
    "monobert": {"label": "monoBERT", "compose": "monobert"},
    "query": {"label": "RA + LA^Query", "compose": "query+cross"},
    "document": {"label": "RA + LA^Doc", "compose": "document+cross"},
    "split": {"label": "RA + LA^Split", "compose": "split(query,document)+cross"},
}
"""Fields of a :class:`~xlrank.experiment.model.System` by its name."""

USUAL_MODULES = dict.fromkeys(("query", "document", "split"), {"language": "mlm/{language}"})
"""Modules of these systems where neither the system nor the experiment names others: the language modules that the shipped
cross-encoder's ranking module was trained on."""

CROSS_ENCODERS = ("monobert", "query", "document", "split")
"""Systems that encode every pair."""

DEFAULT_SYSTEMS = ("bm25", "psq", "dense", "fusion", "feedback", "late", "late-la", "best", *CROSS_ENCODERS)
"""What is compared where nobody says what; the cross-encoders re-order the first :data:`DEFAULT_CROSS_DEPTH` only."""

DEFAULT_CROSS_DEPTH = 20
"""Candidates that are worth their time to the shipped cross-encoders, which take four fifths of it."""
ENSEMBLE = re.compile(r"ens\((?P<names>.+)\)")


def system_named(text: str) -> dict[str, Any]:
    """The fields of a system from its name, from ``ens(SYSTEM, …)``, or from a composition or first-stage expression.

    Raises:
        ValueError: the text is neither.
    """
    from xlrank.composition import parse
    from xlrank.retrieval.expression import parse_call
    from xlrank.retrieval.methods import ALIASES, METHODS

    name = text.strip()
    if name in KNOWN:
        return {"name": name, **KNOWN[name]}
    if found := ENSEMBLE.fullmatch(name):
        names = tuple(split_systems(found["names"]))
        return {"name": name, "ensemble": ("first", *names) if len(names) == 1 else names}
    try:
        call = parse_call(name)
        # ``late()`` without a composition is one itself, of the bare vectors.
        if call.name in ALIASES or (call.name in METHODS and (call.name != "late" or call.arguments)):
            return {"name": str(call), "retrieve": str(call)}
    except XlrankError:
        pass  # compositions have signs of their own
    try:
        expression = str(parse(name))
    except XlrankError as error:
        known = ", ".join(KNOWN)
        raise ValueError(f"system {text!r}: not one of {known}, nor an expression ({error})") from None
    return {"name": expression, "compose": expression}


def split_systems(text: str) -> list[str]:
    """Split a comma-separated list of systems; commas inside parentheses belong to an expression."""
    names, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            names.append("")
        else:
            names[-1] += character
    return [name.strip() for name in names if name.strip()]
