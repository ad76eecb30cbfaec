"""From names in a composition to modules: shipped ids, folders, language codes, the sides' languages, and stand-ins.

A language without a module is served by relatives (:func:`xlrank.languages.kinship` measures how near they are): by the nearest
one, or by the average of all in the closest circle that has any. What was done is part of the composition as it prints.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from xlrank.bases.prompts import SIDES
from xlrank.composition.expression import Composition, Leaf, Plain, Resolver, StandIn
from xlrank.composition.functions import Average
from xlrank.errors import XlrankError
from xlrank.languages import ALIASES, LANGUAGES, language_code, nearest, relatives
from xlrank.modules import Module, shipped_modules

SHORT = {"rank": "ranking/en", "cross": "ranking/cross-en", "monobert": "ranking/monobert"}
"""Short names of shipped modules."""
PIVOT = "en"
"""The language that the shipped language modules were aligned with. It has none of its own: the plain base is its module."""
LANGUAGE = "language/"

StandInRule = Literal["nearest", "average"]
STAND_INS: dict[StandInRule, str] = {
    "nearest": "its nearest relative with one stands in",
    "average": "the average of its relatives' stands in",
}
"""The rules, as results say them."""


def resolver(
    query_language: str | None = None,
    document_language: str | None = None,
    modules: Mapping[str, str | Path] | None = None,
    *,
    stand_in: StandInRule = "nearest",
    keep_sides: bool = False,
) -> Resolver:
    """A function from a leaf's name to a leaf with its module, or to what stands in for a language without one.

    Args:
        query_language: what ``query`` stands for.
        document_language: what ``document`` stands for.
        modules: folders or ids by the name they replace, e.g. ``{"ug": "my/ug"}``.
        stand_in: ``nearest``: the nearest relative's module, printed as ``ug~ky``; ``average``: the mean of the relatives',
            printed as ``ug~average(ky,tr)``.
        keep_sides: leave ``query`` and ``document`` as they are where their language is not given.

    Raises:
        XlrankError: the rule is unknown.
    """
    if stand_in not in STAND_INS:
        raise XlrankError(f"stand-in rule {stand_in!r}: expected one of {', '.join(STAND_INS)}")
    replaced = {ALIASES.get(name, name): path for name, path in (modules or {}).items()}
    sides = dict(zip(SIDES, (query_language, document_language), strict=True))

    def resolve(name: str) -> Composition:
        known = name in SIDES or name in LANGUAGES or name in ALIASES
        if name in SIDES:
            language = sides[name]
            if language is None and keep_sides:
                return Leaf(name)
            if language is None:
                raise XlrankError(
                    f"composition: {name!r} needs to know the {name}'s language; name the language instead, e.g. ky"
                )
            name = language
        if name in replaced:
            return Leaf(name, Module.load(replaced[name]))
        if not known or _is_module(name):
            return Leaf(name, Module.load(SHORT.get(name, name)))
        return _language(language_code(name), replaced, stand_in)

    return resolve


def _language(code: str, replaced: Mapping[str, str | Path], rule: StandInRule) -> Composition:
    """The module of a language, or what stands in for it."""
    shipped = [name.removeprefix(LANGUAGE) for name in shipped_modules() if name.startswith(LANGUAGE)]
    available = {language: LANGUAGE + language for language in shipped if language in LANGUAGES}
    available |= {name: str(path) for name, path in replaced.items() if name in LANGUAGES}
    if code in available:
        return Leaf(code, Module.load(available[code]))
    if code == PIVOT:
        return Plain(code)
    # The pivot may stand in as well, plainly, but has no part in a mean of modules.
    known = list(dict.fromkeys([*available, PIVOT]))
    near = [nearest(code, known)] if rule == "nearest" else relatives(code, known)
    near = [language for language in near if language in available] or [PIVOT]
    leaves = [Leaf(language, Module.load(available[language])) if language in available else Plain(language) for language in near]
    return StandIn(code, leaves[0] if len(leaves) == 1 else Average(tuple(leaves)))


def _is_module(name: str) -> bool:
    return (Path(name) / "module.json").is_file()
