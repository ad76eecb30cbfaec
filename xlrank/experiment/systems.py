"""The systems of an evaluation: first stages, and rankers by the composition they apply."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xlrank.composition import Composition, parse
from xlrank.composition.resolve import StandInRule, resolver
from xlrank.errors import XlrankError

FIRST_STAGES = {"bm25": "translated query + BM25", "dense": "dense retrieval"}
RANKERS = {
    "monobert": ("monoBERT", "monobert"),
    "query": ("RA + LA^Query", "query+rank"),
    "document": ("RA + LA^Doc", "document+rank"),
    "split": ("RA + LA^Split", "split(query,document)+rank"),
}
DEFAULT_SYSTEMS = (*FIRST_STAGES, *RANKERS)


@dataclass(frozen=True)
class System:
    """One row of a leaderboard before it is measured.

    Attributes:
        name: what the user wrote: ``dense``, ``split``, or an expression.
        label: how the paper calls it.
        template: the composition's expression with ``query`` and ``document`` in it; None for a first stage.
    """

    name: str
    label: str
    template: str | None = None

    def composition(
        self,
        query: str,
        document: str,
        modules: Mapping[str, str | Path] | None = None,
        stand_in: StandInRule = "nearest",
    ) -> Composition:
        """The composition for a language pair, modules loaded.

        Raises:
            XlrankError: it is a first stage, or a module is missing.
        """
        if self.template is None:
            raise XlrankError(f"system {self.name!r} is a first stage and has no composition")
        return parse(self.template).resolve(resolver(query, document, modules, stand_in=stand_in))


def system(name: str) -> System:
    """A system by name or composition expression.

    Raises:
        XlrankError: neither.
    """
    name = name.strip()
    if name in FIRST_STAGES:
        return System(name, FIRST_STAGES[name])
    if name in RANKERS:
        return System(name, *RANKERS[name])
    try:
        return System(str(parse(name)), str(parse(name)), str(parse(name)))
    except XlrankError as error:
        raise XlrankError(f"system {name!r}: not one of {', '.join(DEFAULT_SYSTEMS)}, nor an expression ({error})") from None


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
