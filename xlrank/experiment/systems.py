"""The systems that have a name of their own, and expressions for all others."""

import re
from typing import Any

from xlrank.errors import XlrankError

KNOWN: dict[str, dict[str, str]] = {
    "bm25": {"label": "translated query + BM25", "retrieve": "bm25"},
    "psq": {"label": "PSQ + BM25", "retrieve": "psq"},
    "dense": {"label": "dense retrieval", "retrieve": "dense"},
    "fusion": {"label": "dense and PSQ, fused", "retrieve": "fusion"},
    "feedback": {"label": "fused, with feedback", "retrieve": "feedback"},
    "first": {"label": "first stage", "retrieve": "first"},
    "monobert": {"label": "monoBERT", "compose": "monobert"},
    "query": {"label": "RA + LA^Query", "compose": "query+rank"},
    "document": {"label": "RA + LA^Doc", "compose": "document+rank"},
    "split": {"label": "RA + LA^Split", "compose": "split(query,document)+rank"},
}
"""Fields of a :class:`~xlrank.experiment.model.System` by its name."""

DEFAULT_SYSTEMS = ("bm25", "psq", "dense", "fusion", "feedback", "monobert", "query", "document", "split")
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
        if call.name in METHODS or call.name in ALIASES:
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
